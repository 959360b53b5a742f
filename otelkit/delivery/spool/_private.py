"""Which folder the spool lies in: the given one if it is private, else a private one in it, or none.

Only what the spool has made is ever changed: a folder that others use stays as it is.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from otelkit.delivery.spool._name import Name
from otelkit.delivery.spool._words import SpoolError

__all__ = ["open_private"]

_INNER = "otelkit"
_OPEN_FOLDER = (
    os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
)
_OTHERS = stat.S_IRWXG | stat.S_IRWXO
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


def open_private(path: Path, *, make: bool) -> int:
    """Open the spool's folder; returns its descriptor.

    It is ``path`` itself if that was made here or is private already, and ``otelkit`` in it where
    others may enter it.

    Args:
        path: The folder that was given.
        make: Make what is not there, parents too. What is made has mode 0700.

    Raises:
        SpoolError: It cannot be used safely; nothing of it was changed.
        OSError: It is not there, or cannot be made or opened.
    """
    made = make and _make(path)
    outer = _open(path)
    try:
        if not made and _is_shared(os.fstat(outer)):
            return _open_inner(path, outer, make=make)
        _make_private(path, outer, ours=made)
    except BaseException:
        os.close(outer)
        raise
    return outer


def _open_inner(path: Path, outer: int, *, make: bool) -> int:
    """The private folder in a shared one, which is closed."""
    if make:
        try:
            os.mkdir(_INNER, 0o700, dir_fd=outer)
        except FileExistsError:
            pass
    inner = _open(path / _INNER, outer)
    try:
        _make_private(path / _INNER, inner, ours=_has_only_ours(inner))
    except BaseException:
        os.close(inner)
        raise
    os.close(outer)
    return inner


def _open(path: Path, outer: int | None = None) -> int:
    try:
        return os.open(path if outer is None else path.name, _OPEN_FOLDER, dir_fd=outer)
    except OSError as error:
        if error.errno in {errno.ELOOP, errno.ENOTDIR}:
            raise _refusal(path, "it, or what it lies in, is a symbolic link or not a folder") from error
        raise


def _make(path: Path) -> bool:
    """Make a folder and its parents; whether it was not there before."""
    try:
        path.mkdir(mode=0o700)
    except FileExistsError:
        return False
    except FileNotFoundError:
        if path == path.parent:
            raise
        _make(path.parent)
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            return False
    return True


def _is_shared(status: os.stat_result) -> bool:
    """Whether a folder is for others too; another user's that we may only look into is not."""
    if status.st_uid == os.geteuid():
        return bool(status.st_mode & (_OTHERS | stat.S_ISVTX))
    return bool(status.st_mode & (_OTHERS_WRITE | stat.S_ISVTX))


def _make_private(path: Path, descriptor: int, *, ours: bool) -> None:
    status = os.fstat(descriptor)
    if status.st_uid != os.geteuid():
        raise _refusal(path, f"it belongs to uid {status.st_uid} and this process runs as {os.geteuid()}")
    if not status.st_mode & _OTHERS:
        return
    if not ours:
        raise _refusal(path, "others may enter it, and it holds more than a spool")
    os.fchmod(descriptor, 0o700)
    if os.fstat(descriptor).st_mode & _OTHERS:
        raise _refusal(path, "others may enter it, and its file system does not let that be changed")


def _has_only_ours(descriptor: int) -> bool:
    """Whether nothing but spool files is in a folder, so that it was made for them."""
    with os.scandir(descriptor) as entries:
        return all(Name.parse(entry.name) or Name.parse_temporary(entry.name) for entry in entries)


def _refusal(path: Path, reason: str) -> SpoolError:
    return SpoolError(f"the spool folder {path} cannot be used: {reason}. Give a folder of this user's own.")
