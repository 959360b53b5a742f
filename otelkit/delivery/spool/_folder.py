"""The folder of the spool: private to its owner, or refused.

It is held by a descriptor and everything in it is reached through that, so that a path swapped
later leads nowhere. CVE-2026-42191 was about spool files in a folder that others could write to.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path
from typing import NamedTuple

from otelkit.delivery.spool._name import Name
from otelkit.delivery.spool._words import SpoolError

try:
    import fcntl
except ImportError:  # Windows: the spool refuses to open, see Folder.open
    fcntl = None  # type: ignore[assignment]

__all__ = ["Folder", "Listed", "lock"]

_OPEN_FOLDER = (
    os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
)
_OPEN_FILE = (  # O_NONBLOCK: a pipe with the name of a spool file must not hold us
    os.O_RDWR
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_NOCTTY", 0)
)
_CREATE_FILE = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


class Listed(NamedTuple):
    """A spool file in the folder, and whether it still has its temporary name."""

    name: Name
    size: int
    temporary: bool


class Folder:
    """An open, private folder. One thread at a time."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self.path = path
        self.descriptor = descriptor

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
        if make:
            _make(path)
        try:
            descriptor = os.open(path, _OPEN_FOLDER)
        except OSError as error:
            if error.errno in {errno.ELOOP, errno.ENOTDIR}:
                raise _refusal(path, "it, or what it lies in, is a symbolic link or not a folder") from error
            raise
        try:
            _make_private(path, descriptor)
        except BaseException:
            os.close(descriptor)
            raise
        return cls(path, descriptor)

    @property
    def gone(self) -> bool:
        """Whether the folder was closed or deleted."""
        return self.descriptor < 0 or os.fstat(self.descriptor).st_nlink == 0

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

    def create(self, name: str) -> int:
        """A new, empty file of mode 0600; returns its descriptor."""
        return os.open(name, _CREATE_FILE, 0o600, dir_fd=self.descriptor)

    def close_new(self, name: str, descriptor: int) -> None:
        """Take back a file that could not be finished."""
        self.unlink(name)
        os.close(descriptor)

    def take(self, name: str) -> int | None:
        """Open and lock the file of a dead owner; None when it is not ours to take."""
        try:
            descriptor = os.open(name, _OPEN_FILE, dir_fd=self.descriptor)
        except OSError:
            return None  # deleted meanwhile, a link, or not ours
        try:
            if self._takeable(name, descriptor):
                return descriptor
        except OSError:
            pass
        os.close(descriptor)
        return None

    def remove(self, name: str) -> None:
        """Delete a file unless a live process holds it."""
        descriptor = self.take(name)
        if descriptor is not None:
            self.close_new(name, descriptor)

    def _takeable(self, name: str, descriptor: int) -> bool:
        status = os.fstat(descriptor)
        if (
            not stat.S_ISREG(status.st_mode)
            or status.st_uid != os.geteuid()
            or status.st_mode & _OTHERS_WRITE
        ):
            return False
        lock(descriptor)
        # Its owner may have finished and deleted it between our open and our lock.
        return os.path.samestat(status, os.stat(name, dir_fd=self.descriptor, follow_symlinks=False))

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
        descriptor, self.descriptor = self.descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def lock(descriptor: int) -> None:
    """Lock a file for this process; raises BlockingIOError when another one has it."""
    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _make(path: Path) -> None:
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        pass
    except FileNotFoundError:
        if path == path.parent:
            raise
        _make(path.parent)
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            pass


def _make_private(path: Path, descriptor: int) -> None:
    status = os.fstat(descriptor)
    if status.st_uid != os.geteuid():
        raise _refusal(path, f"it belongs to uid {status.st_uid} and this process runs as {os.geteuid()}")
    if status.st_mode & _OTHERS:
        os.fchmod(descriptor, 0o700)
        if os.fstat(descriptor).st_mode & _OTHERS:
            raise _refusal(path, "others may enter it, and its file system does not let that be changed")


def _refusal(path: Path, reason: str) -> SpoolError:
    return SpoolError(f"the spool folder {path} cannot be used: {reason}. Give a folder of this user's own.")
