"""A descriptor that is used only while it still means what was opened.

An application may close every descriptor there is (`os.closerange`, python-daemon), ours too, and open
its own files; they get the same numbers. So before anything is changed through a number it is asked
what it stands for, and one that stands for something else is forgotten, not closed.

Asking costs one or two microseconds, and the interpreter's lock for a moment, so it is done where it
must be and not more often.

A forked child has all descriptors of its parent, and with them the locks. So each is known here from
before it is locked, and the child can close it, whatever the parent was about to do with it.
"""

from __future__ import annotations

import errno
import os

from otelkit.delivery.spool import _forks

__all__ = ["Handle", "close_inherited"]

_TRIES = 100  # in case somebody forks all the time, or a fork waits for us
_STDERR = 2

_latest: dict[int, Handle] = {}  # by number: a second opening says that the first was closed by others


class Handle:
    """A descriptor and what it was opened on. Any thread, as far as the descriptor allows.

    Args:
        number: A descriptor that was just opened.

    Attributes:
        unasked: The descriptor: good for use at once after `status`, and for reading what has a
            checksum.
    """

    __slots__ = ("_identity", "_pid", "unasked")

    def __init__(self, number: int) -> None:
        status = os.fstat(number)
        self.unasked = number
        self._identity = (status.st_dev, status.st_ino)
        self._pid = os.getpid()
        _latest[number] = self

    @classmethod
    def open(cls, name: str, flags: int, *, folder: Handle) -> Handle:
        """Open a file of a folder to lock it; what is made has mode 0600.

        The child of a fork that comes after the system has opened the file and before it is known here
        never closes it, and would have its lock too. So then it is opened once more: the copy in the
        child is never locked. What remains are the forks that `_forks` does not notice, and one that
        is still under way after a hundred tries.
        """
        for _ in range(_TRIES):
            mark = _forks.now()
            handle = cls._open(name, flags, folder)
            if _forks.none_since(mark):
                return handle
            handle.close()
            flags &= ~(os.O_CREAT | os.O_EXCL)
        return cls._open(name, flags, folder)

    @classmethod
    def _open(cls, name: str, flags: int, folder: Handle) -> Handle:
        number = _above_stdio(os.open(name, flags, 0o600, dir_fd=folder.number))
        try:
            return cls(number)
        except BaseException:
            os.close(number)
            raise

    def status(self) -> os.stat_result:
        """What the file system says now of what was opened.

        Raises:
            OSError: The descriptor was closed, by us or by others (EBADF), or cannot be asked.
        """
        if _latest.get(self.unasked) is self:
            try:
                status = os.fstat(self.unasked)
            except OSError as error:
                if error.errno != errno.EBADF:
                    raise
            else:
                if self._is(status):
                    return status
        self.unasked = -1
        raise OSError(errno.EBADF, "the descriptor is closed")

    @property
    def number(self) -> int:
        """The descriptor, for one use at once; raises as `status` does."""
        self.status()
        return self.unasked

    @property
    def held(self) -> bool:
        """Whether the descriptor is still ours."""
        try:
            self.status()
        except OSError:
            return False
        return True

    def is_at(self, name: str, *, folder: Handle) -> bool:
        """Whether ``name`` in a folder means what was opened; asks the folder, not the descriptor.

        Raises:
            OSError: Nothing has that name, or the folder cannot be asked.
        """
        return self._is(os.stat(name, dir_fd=folder.number, follow_symlinks=False))

    def close(self) -> None:
        """Close the descriptor if it is ours, else forget it."""
        try:
            number = self.number
        except OSError:
            return
        finally:
            self.unasked = -1
        os.close(number)

    def _is(self, status: os.stat_result) -> bool:
        return (status.st_dev, status.st_ino) == self._identity

    @property
    def inherited(self) -> bool:
        """Whether it was opened by another process, of which this one is a fork."""
        return self._pid != os.getpid()


def close_inherited() -> None:
    """In a forked child: close what its parents have opened, also what stood in no list yet."""
    for handle in tuple(_latest.values()):
        if handle.inherited:
            handle.close()


def _above_stdio(number: int) -> int:
    """The same file under a number above 2; what a daemon prints, which has closed those, is not for it."""
    if number > _STDERR:
        return number
    import fcntl

    try:
        return fcntl.fcntl(number, fcntl.F_DUPFD_CLOEXEC, _STDERR + 1)
    finally:
        os.close(number)
