"""The files that one spool holds, and the folder they lie in."""

from __future__ import annotations

from pathlib import Path

from otelkit.delivery.spool._file import LockedFile
from otelkit.delivery.spool._folder import Folder
from otelkit.delivery.spool._name import Name

__all__ = ["Shelf"]


class Shelf:
    """Open files, at most one of them live per signal. One thread at a time.

    Attributes:
        files: All files with unsettled records and the live ones, the oldest first.
        live: By signal, the file that takes new records.
        loading: Files that are being searched before they are kept.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._folder: Folder | None = None
        self.files: list[LockedFile] = []
        self.live: dict[str, LockedFile] = {}
        self.loading: set[LockedFile] = set()

    @property
    def bytes(self) -> int:
        """How large the files are together."""
        return sum(file.end for file in self.files)

    def folder(self, *, make: bool) -> Folder:
        """The folder as it is now; see `Folder.open`."""
        if self._folder is not None and self._folder.gone:
            self._folder.close()
            self._folder = None
        if self._folder is None:
            self._folder = Folder.open(self._path, make=make)
        return self._folder

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
        if self.live.get(file.name.signal) is file:
            del self.live[file.name.signal]
        self.files.remove(file)
        file.delete()

    def close(self) -> None:
        """Let go of all files and delete those that have nothing left."""
        for file in list(self.files):
            if file.index:
                file.close()
            else:
                file.delete()
        self.files.clear()
        self.live.clear()
        self._close_folder()

    def abandon(self) -> None:
        """Close all descriptors; no file changes."""
        for file in (*self.files, *self.loading):
            file.abandon()
        self._close_folder()

    def _close_folder(self) -> None:
        if self._folder is not None:
            self._folder.close()
        self._folder = None
