"""One connection, kept open between requests; the parts of a transport that HTTP and gRPC share."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Callable
from dataclasses import replace
from typing import Protocol

from otelkit import _guard
from otelkit._clock import SYSTEM_CLOCK
from otelkit.delivery.transport import Answer
from otelkit.delivery.transport._failures import Failure, NotTaken, Unanswered
from otelkit.delivery.transport._limit import Limit
from otelkit.delivery.transport._words import clean

__all__ = ["Connection", "KeptTransport"]

_IDLE_S = 30.0
_LEVEL = 1


class Connection(Protocol):
    """One open connection; used by one thread at a time."""

    def request(self, payload: bytes) -> Answer:
        """Send one request, already compressed, and wait for its answer.

        Raises:
            Failure: There was none. The connection is of no further use then.
        """
        ...

    def reusable(self) -> bool:
        """Whether another request may be sent, as far as can be seen without waiting."""
        ...

    def close(self) -> None:
        """Close it."""
        ...


class KeptTransport:
    """A `Transport` over connections of one kind.

    A kept connection may have been closed by the peer, or dropped in silence by a load balancer,
    since it was last used. One that was idle for 30 s is therefore not used again, and a request
    that meets the end of a kept connection before anything of an answer arrived is sent once more
    on a new one (RFC 9112, section 9.3.1). That is a property of reuse and no retry: a request on a
    fresh connection is tried once, and whether to send it again is the sender's business. A peer
    that says that it did not process the request (GOAWAY: RFC 9113, section 6.8) is asked once
    more in any case.

    Args:
        connect: Opens a connection; raises `Failure`. Called by the sending thread.
        compression: ``gzip``, ``deflate`` or ``none``.
        secrets: What no message may show.
    """

    def __init__(
        self, connect: Callable[[Limit], Connection], *, compression: str, secrets: tuple[str, ...]
    ) -> None:
        self._connect = connect
        self._compression = compression
        self._secrets = secrets
        self._limit = Limit()
        self._connection: Connection | None = None
        self._used = 0.0
        self._pid = 0

    def send(self, body: bytes, *, timeout_s: float) -> Answer:
        """Send one serialised request; see `Transport`."""
        self._limit.begin(timeout_s)
        try:
            answer = self._exchange(_compress(body, self._compression))
        except Failure as failure:
            answer = Answer(kind="retry", message=str(failure))
        except Exception:
            problem = _guard.current_error()
            _guard.swallowed("delivery.transport")
            answer = Answer(kind="retry", message=problem)
        return replace(answer, message=clean(answer.message, self._secrets))

    def interrupt(self) -> None:
        """End the send under way and every later one; see `Transport`."""
        self._limit.interrupt()

    def close(self) -> None:
        """Close the connection."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def _exchange(self, payload: bytes) -> Answer:
        self._limit.left()
        kept = self._take_kept()
        try:
            return self._request(kept or self._connect(self._limit), payload)
        except NotTaken:
            pass
        except Unanswered:
            if kept is None:
                raise
        return self._request(self._connect(self._limit), payload)

    def _request(self, connection: Connection, payload: bytes) -> Answer:
        self._connection, self._pid = connection, os.getpid()
        try:
            answer = connection.request(payload)
        except BaseException:
            self.close()
            raise
        self._used = SYSTEM_CLOCK.monotonic()
        if not connection.reusable():
            self.close()
        return answer

    def _take_kept(self) -> Connection | None:
        if self._connection is not None:
            fresh = SYSTEM_CLOCK.monotonic() - self._used < _IDLE_S
            # In a forked child the connection is the parent's.
            if not (fresh and self._pid == os.getpid() and self._connection.reusable()):
                self.close()
        return self._connection


def _compress(body: bytes, compression: str) -> bytes:
    if compression == "gzip":
        return gzip.compress(body, compresslevel=_LEVEL, mtime=0)
    if compression == "deflate":
        return zlib.compress(body, _LEVEL)
    return body
