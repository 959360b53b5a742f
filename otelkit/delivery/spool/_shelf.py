"""The files that one spool holds, and the folder they lie in."""

from __future__ import annotations

from pathlib import Path

from otelkit.delivery.spool._file import Hold, LockedFile
from otelkit.delivery.spool._folder import Folder
from otelkit.delivery.spool._handle import close_inherited
from otelkit.delivery.spool._name import Name
from otelkit.delivery.spool._words import SpoolError

__all__ = ["Shelf"]


class Shelf:
    """Open files, at most one of them live per signal. One thread at a time.

    Args:
        path: Where the folder is.
        closed: Whether it was closed already.

    Attributes:
        closed: Whether `close` was called; then nothing can be opened any more.
        files: All files with unsettled records and the live ones, the oldest first.
        live: By signal, the file that takes new records.
        loading: Files that are being searched before they are kept.
        lost: Files that others have closed, and that could not be had again yet.
    """

    def __init__(self, path: Path, *, closed: bool) -> None:
        self.closed = closed
        self._path = path
        self._folder: Folder | None = None
        self.files: list[LockedFile] = []
        self.live: dict[str, LockedFile] = {}
        self.loading: set[LockedFile] = set()
        self.lost: list[LockedFile] = []

    @property
    def bytes(self) -> int:
        """How large the files are together."""
        return sum(file.end for file in self.files)

    def folder(self, *, make: bool) -> Folder:
        """The folder as it is now; see `Folder.open`."""
        if self.closed:
            raise SpoolError("the spool is closed.")
        if self._folder is None:
            self._folder = Folder.open(self._path, make=make)
        elif self._folder.gone:
            self._folder.reopen(make=make)
        return self._folder

    def regain(self) -> list[tuple[LockedFile, Hold]]:
        """Lock those files again whose descriptors others have closed; what came of each.

        Those that have vanished or are another process's now are let go of, and their items are the
        caller's to account for.
        """
        was_live = dict(self.live)
        for file in [file for file in self.files if not file.held]:
            self._remove(file)
            self.lost.append(file)
        found: list[tuple[LockedFile, Hold]] = [(file, self._hold(file)) for file in self.lost]
        self.lost = [file for file, hold in found if hold == "later"]
        for file, hold in found:
            signal = file.name.signal
            if hold == "ours":
                self.keep(file)
                if was_live.get(signal) is file:
                    self.live[signal] = file
            elif hold != "later":
                file.close()
        return found

    def _find_folder(self) -> None:
        """Have the folder in hand if it was opened before; without it no file in it can be deleted."""
        try:
            if self._folder is not None:
                self.folder(make=False)
        except (OSError, SpoolError):
            pass

    def _hold(self, file: LockedFile) -> Hold:
        try:
            self.folder(make=False)
        except FileNotFoundError:
            return "vanished"
        except (OSError, SpoolError):
            return "later"
        return file.regain()

    def begin(self, name: Name, *, durable: bool) -> LockedFile:
        """A new live file.

        Raises:
            SpoolError: The folder is refused.
            OSError: It could not be made.
        """
        try:
            file = LockedFile.create(self.folder(make=True), name, durable=durable)
        except FileNotFoundError:  # the folder was deleted between the two steps
            file = LockedFile.create(self.folder(make=True), name, durable=durable)
        self.live[name.signal] = file
        self.keep(file)
        return file

    def keep(self, file: LockedFile) -> None:
        """One file more."""
        self.files.append(file)
        self.files.sort(key=lambda file: file.name.created_ns)

    def roll(self, signal: str) -> None:
        """The live file takes no more; what is left in it becomes backlog."""
        file = self.live.pop(signal)
        if not file.index:
            self.drop(file)

    def drop(self, file: LockedFile) -> None:
        """Delete a file."""
        self._remove(file)
        self._find_folder()
        file.delete()

    def _remove(self, file: LockedFile) -> None:
        if self.live.get(file.name.signal) is file:
            del self.live[file.name.signal]
        self.files.remove(file)

    def close(self) -> None:
        """Let go of all files and delete those that have nothing left."""
        self._find_folder()
        self.closed = True
        for file in list(self.files):
            if file.index:
                file.close()
            else:
                file.delete()
        self.files.clear()
        self.live.clear()
        self.lost.clear()
        self._close_folder()

    def abandon(self) -> None:
        """Close all descriptors, in a forked child those of all its parent's spools; no file changes."""
        for file in (*self.files, *self.loading):
            file.abandon()
        self._close_folder()
        close_inherited()

    def _close_folder(self) -> None:
        if self._folder is not None:
            self._folder.close()
        self._folder = None
