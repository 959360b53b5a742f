"""A byte stream to one address, each of whose waits ends with the `Limit` of its transport."""

from __future__ import annotations

import errno
import os
import socket
from typing import Any, NoReturn, Protocol

from otelkit.delivery.transport._failures import Failure, Unanswered
from otelkit.delivery.transport._limit import Limit
from otelkit.delivery.transport._owned import OwnedSocket
from otelkit.delivery.transport._ready import ready
from otelkit.delivery.transport._words import place

__all__ = ["Line", "Stream", "connect"]

_SLICE_S = 0.05
_UNDER_WAY = (errno.EINPROGRESS, errno.EWOULDBLOCK, errno.EAGAIN)


class Stream(Protocol):
    """Bytes in both directions; every method but `close` raises `Failure` and ends with the limit."""

    def send(self, data: bytes | memoryview) -> None:
        """Write all of ``data``."""
        ...

    def receive(self, size: int, *, wait: bool = True) -> bytes | None:
        """Up to ``size`` bytes; ``b""`` at the end of the stream; None if not to wait and none are here."""
        ...

    def close(self) -> None:
        """Close without a farewell: in a forked child the connection is still its parent's."""
        ...


class Line:
    """A connected TCP socket, which does not block.

    Each wait has the time that is left, so a peer that sends (or takes) one byte a second gains
    nothing by it; and after each the socket is asked for anew, as its descriptor may be somebody
    else's by then.
    """

    def __init__(self, connected: OwnedSocket, limit: Limit) -> None:
        self._socket = connected
        self._limit = limit
        limit.watch(connected)

    def send(self, data: bytes | memoryview) -> None:
        """Write all of ``data``."""
        rest = memoryview(data)
        while rest:
            left_s = self._limit.left()
            connected = self._socket.get()
            try:
                rest = rest[connected.send(rest) :]
            except BlockingIOError:
                ready(connected, left_s, write=True)
            except OSError as error:
                self._fail(error)

    def receive(self, size: int, *, wait: bool = True) -> bytes | None:
        """What has arrived; see `Stream`."""
        while True:
            left_s = self._limit.left()
            connected = self._socket.get()
            try:
                data = connected.recv(size)
            except BlockingIOError:
                if not wait:
                    return None
                ready(connected, left_s, write=False)
                continue
            except OSError as error:
                self._fail(error)
            self._limit.left()  # an interruption looks like the end of the stream
            return data

    def _fail(self, error: OSError) -> NoReturn:
        self._limit.left()
        raise Unanswered(f"the connection was lost ({_reason(error)})") from error

    def close(self) -> None:
        """Close the socket."""
        self._limit.release(self._socket)


def connect(host: str, port: int, limit: Limit, *, note: str = "") -> Line:
    """Connect to the first address of ``host`` that answers.

    Each address gets its part of the time left, so that one that is a black hole leaves some to the
    next. The resolver of the C library has its own timeouts and cannot be interrupted; only there
    a send may outlast its deadline.

    Args:
        host: Where to, without brackets.
        port: The port there.
        limit: What ends the waits.
        note: What is there, for the message of a failure.

    Raises:
        Failure: No address answered; names host and port.
    """
    said = f" ({note})" if note else ""
    where = place(host, port)
    limit.awaiting = f"connection to {where}{said}"
    addresses = _resolve(host, port, said)
    problem = 0
    for index, (family, kind, protocol, _, address) in enumerate(addresses):
        share_s = limit.left() / (len(addresses) - index)
        try:
            return _attempt(OwnedSocket(socket.socket(family, kind, protocol)), address, limit, share_s)
        except OSError as error:
            problem = error.errno or 0
    limit.left()
    if problem == errno.ECONNREFUSED:
        raise Failure(f"connection refused by {where}{said}")
    raise Failure(f"no connection to {where} ({os.strerror(problem)}){said}")


def _resolve(host: str, port: int, said: str) -> list[Any]:
    try:
        return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise Failure(f"the name {host!r} cannot be resolved ({_reason(error)}){said}") from error


def _attempt(owned: OwnedSocket, address: Any, limit: Limit, time_s: float) -> Line:
    limit.watch(owned)
    try:
        candidate = owned.get()
        candidate.setblocking(False)
        problem = candidate.connect_ex(address)
        _check(_wait(owned, limit, time_s) if problem in _UNDER_WAY else problem)
        owned.get().setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    except BaseException:
        limit.release(owned)
        raise
    return Line(owned, limit)


def _wait(owned: OwnedSocket, limit: Limit, time_s: float) -> int:
    """How the attempt ended, as an error number.

    It waits in short slices: not every system lets `shutdown` wake a socket that is connecting.
    """
    for_others_s = limit.left() - time_s
    while (left_s := limit.left() - for_others_s) > 0:
        if ready(owned.get(), min(left_s, _SLICE_S), write=True):
            limit.left()
            return owned.get().getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
    limit.left()
    return errno.ETIMEDOUT


def _check(problem: int) -> None:
    if problem:
        raise OSError(problem, os.strerror(problem))


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or type(error).__name__
