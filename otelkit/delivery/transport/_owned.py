"""A socket that knows whether its descriptor is still its own.

A program that becomes a daemon closes every descriptor that it did not open itself, also ours, and
the numbers go to what it opens next. A socket object trusts its number: it would send our telemetry
into the application's connections, take bytes out of them, and close them.
"""

from __future__ import annotations

import os
import socket
import weakref

from otelkit.delivery.transport._failures import Unanswered

__all__ = ["OwnedSocket"]


class OwnedSocket:
    """A socket with the file behind its descriptor; ask for it before each use.

    Args:
        opened: A socket that nobody else uses.
    """

    def __init__(self, opened: socket.socket) -> None:
        self._socket = opened
        self._file = _file(opened)
        # A socket that is collected closes its number. This keeps it until nobody uses this object,
        # also in a cycle of garbage, whose parts die in any order.
        weakref.finalize(self, _disown, opened, self._file).atexit = False

    def get(self) -> socket.socket:
        """The socket.

        Raises:
            Unanswered: Somebody closed its descriptor.
        """
        if not _owns(self._socket, self._file):
            raise Unanswered("the connection was lost (the application closed its descriptor)")
        return self._socket

    def shutdown(self) -> None:
        """End the connection, so that every wait for it ends."""
        if _owns(self._socket, self._file):
            try:
                self._socket.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self) -> None:
        """Close it, or let go of a number that is now somebody else's."""
        _disown(self._socket, self._file)
        self._socket.close()


def _file(opened: socket.socket) -> tuple[int, int] | None:
    if os.name == "nt":  # a socket has a handle there, which no program closes by counting
        return None
    try:
        status = os.fstat(opened.fileno())
    except OSError:
        return None
    return status.st_dev, status.st_ino


def _owns(opened: socket.socket, file: tuple[int, int] | None) -> bool:
    return _file(opened) == file


def _disown(opened: socket.socket, file: tuple[int, int] | None) -> None:
    if not _owns(opened, file):
        opened.detach()
