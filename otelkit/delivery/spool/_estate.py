"""What lies in the folder, and what of it dead processes have left to us."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping

from otelkit.delivery.spool._file import LockedFile
from otelkit.delivery.spool._folder import Listed
from otelkit.delivery.spool._name import Name
from otelkit.delivery.spool._shelf import Shelf
from otelkit.delivery.spool._words import SpoolError

__all__ = ["Estate"]

_AT_ONCE = 16  # adopted files of each signal: each is an open descriptor of the application's process


class Estate:
    """Looks through the folder and takes files from it. Any thread; nothing raises.

    Args:
        lock: The spool's; each method is one step under it.
        shelf: Where the spool's files are.
        identities: By signal, whose files are ours to adopt.
    """

    def __init__(self, lock: threading.Lock, shelf: Shelf, identities: Mapping[str, str]) -> None:
        self._lock = lock
        self._shelf = shelf
        self._identities = identities
        self._found: dict[str, deque[Name]] = {}

    def listing(self) -> list[Listed]:
        """The files of the folder; none when it cannot be opened: only `append` complains."""
        with self._lock:
            try:
                return self._shelf.folder(make=False).listing()
            except (OSError, SpoolError):
                return []

    def find(self) -> None:
        """Look which files may be adopted, the oldest first; some of them may have living owners."""
        listed = self.listing()
        with self._lock:
            held = {file.name for file in (*self._shelf.files, *self._shelf.lost)}
            self._found = {signal: deque() for signal in self._identities}
            for name, _, temporary in listed:
                if not temporary and name not in held and self._identities.get(name.signal) == name.identity:
                    self._found[name.signal].append(name)

    def next(self, signal: str) -> Name | None:
        """A file to adopt; None while so many are open, and when there are no more."""
        with self._lock:
            found = self._found.get(signal)
            if not found or self._shelf.closed:
                return None
            adopted = sum(file.adopted and file.name.signal == signal for file in self._shelf.files)
            return found.popleft() if adopted < _AT_ONCE else None

    def take(self, name: Name) -> LockedFile | None:
        """Lock a dead process's file; `Spool.forget` knows of it while it is being searched."""
        with self._lock:
            try:
                file = LockedFile.take(self._shelf.folder(make=False), name)
            except (OSError, SpoolError):
                return None
            if file is not None:
                self._shelf.loading.add(file)
            return file

    def remove_temporary(self, name: Name) -> None:
        """Delete what was left of a file that was being made."""
        with self._lock:
            try:
                self._shelf.folder(make=False).remove(name.temporary)
            except (OSError, SpoolError):
                pass  # the folder has gone, and the file with it
