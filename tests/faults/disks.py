"""A disk that is small or read-only: a real tmpfs where the test may mount one."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["mounted", "read_only"]


@contextmanager
def mounted(folder: Path, *, options: str) -> Iterator[bool]:
    """Mount a tmpfs at ``folder`` for a while; yields whether that was possible."""
    folder.mkdir(mode=0o700, exist_ok=True)
    possible = _run("mount", "-t", "tmpfs", "-o", f"{options},mode=0700", "tmpfs", str(folder))
    try:
        yield possible
    finally:
        if possible:
            _run("umount", "-l", str(folder))


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Make what is mounted at ``folder``, or the folder itself, read-only for a while."""
    remounted = _run("mount", "-o", "remount,ro", str(folder))
    if not remounted:
        folder.chmod(0o500)
    try:
        yield
    finally:
        if not remounted:
            folder.chmod(0o700)


def _run(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False
