"""The folder of the spool: private to its owner, or refused.

It is held by a descriptor and everything in it is reached through that, so that a path swapped
later leads nowhere. CVE-2026-42191 was about spool files in a folder that others could write to.
Which folder that is, and when it is refused, is decided in `_private`.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import NamedTuple

from otelkit.delivery.spool._handle import Handle
from otelkit.delivery.spool._name import Name
from otelkit.delivery.spool._private import open_private
from otelkit.delivery.spool._words import SpoolError

try:
    import fcntl
except ImportError:  # Windows: the spool refuses to open, see Folder.open
    fcntl = None  # type: ignore[assignment]

__all__ = ["Folder", "Listed", "lock"]

_OPEN_FILE = (  # O_NONBLOCK: a pipe with the name of a spool file must not hold us
    os.O_RDWR
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
)
_CREATE_FILE = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class Listed(NamedTuple):
    """A spool file in the folder, and whether it still has its temporary name."""

    name: Name
    size: int
    temporary: bool


class Folder:
    """An open, private folder. One thread at a time.

    Args:
        path: What was given; the folder is this one or a private one in it, see `open_private`.
        handle: The folder.
    """

    def __init__(self, path: Path, handle: Handle) -> None:
        self._path = path
        self._handle = handle

    @classmethod
    def open(cls, path: Path, *, make: bool) -> Folder:
        """Open the folder.

        Args:
            path: Where it is.
            make: Make it, and its parents, if it is not there. What is made has mode 0700.

        Raises:
            SpoolError: It cannot be used safely; nothing of it was changed.
            OSError: It is not there, or cannot be made or opened.
        """
        if fcntl is None:
            raise SpoolError("the spool cannot be used: this system has no file locks (fcntl).")
        return cls(path, Handle(open_private(path, make=make)))

    def reopen(self, *, make: bool) -> None:
        """Open it again by its path, with the same checks; raises as `open` does."""
        self.close()
        self._handle = Handle(open_private(self._path, make=make))

    @property
    def descriptor(self) -> int:
        """The descriptor, for one use at once.

        Raises:
            OSError: It was closed.
        """
        return self._handle.number

    @property
    def gone(self) -> bool:
        """Whether the folder was deleted, or closed, by us or by others."""
        try:
            return self._handle.status().st_nlink == 0
        except OSError:
            return True

    def listing(self) -> list[Listed]:
        """The spool files of this user, the oldest first; foreign names are left out."""
        found = []
        with os.scandir(self.descriptor) as entries:
            for entry in entries:
                name = Name.parse(entry.name)
                temporary = Name.parse_temporary(entry.name) if name is None else None
                either = name or temporary
                if either is None:
                    continue
                try:
                    status = entry.stat(follow_symlinks=False)
                except OSError:
                    continue  # deleted meanwhile
                if stat.S_ISREG(status.st_mode) and status.st_uid == os.geteuid():
                    found.append(Listed(either, status.st_size, name is None))
        return sorted(found, key=lambda listed: listed.name.created_ns)

    def create(self, name: str) -> Handle:
        """A new, empty file of mode 0600."""
        return Handle.open(name, _CREATE_FILE, folder=self._handle)

    def close_new(self, name: str, file: Handle) -> None:
        """Take back a file that could not be finished."""
        self.unlink(name)
        file.close()

    def take(self, name: str) -> Handle | None:
        """Open and lock the file of a dead owner; None when it is not ours to take."""
        try:
            file = self._open(name)
        except OSError:
            return None  # deleted meanwhile, a link, or not ours
        try:
            if self._takeable(name, file):
                return file
        except OSError:
            pass
        file.close()
        return None

    def retake(self, name: str, before: Handle) -> Handle:
        """Open and lock a file again that was ours, and whose descriptor others have closed.

        Raises:
            FileNotFoundError: It is there no more, or another one is in its place.
            BlockingIOError: A live process has it, which has adopted it meanwhile.
            OSError: It cannot be had now.
        """
        if before.is_at(name, folder=self._handle):
            file = self._open(name)
            try:
                lock(file.number)
                # It may have been adopted, finished and deleted before our lock.
                if before.is_at(name, folder=self._handle) and file.is_at(name, folder=self._handle):
                    return file
            except BaseException:
                file.close()
                raise
            file.close()
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)

    def remove(self, name: str) -> None:
        """Delete a file unless a live process holds it."""
        file = self.take(name)
        if file is not None:
            self.close_new(name, file)

    def _open(self, name: str) -> Handle:
        return Handle.open(name, _OPEN_FILE, folder=self._handle)

    def _takeable(self, name: str, file: Handle) -> bool:
        status = file.status()
        if (
            not stat.S_ISREG(status.st_mode)
            or status.st_uid != os.geteuid()
            or status.st_mode & _OTHERS_WRITE
        ):
            return False
        lock(file.number)
        # Its owner may have finished and deleted it between our open and our lock.
        return file.is_at(name, folder=self._handle)

    def rename(self, old: str, new: str) -> None:
        """Give a file another name."""
        os.rename(old, new, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)

    def unlink(self, name: str) -> None:
        """Delete a file as far as that is possible."""
        try:
            os.unlink(name, dir_fd=self.descriptor)
        except OSError:
            pass  # gone with its folder, or read-only

    def close(self) -> None:
        """Close the descriptor; nothing in the folder changes."""
        self._handle.close()


def lock(descriptor: int) -> None:
    """Lock a file for this process; raises BlockingIOError when another one has it."""
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
