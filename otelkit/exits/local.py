"""The collector on localhost, which may not be there: a laptop, a test suite.

Without any endpoint configured otelkit tries the default port. When nobody listens there, a batch is
given up at once instead of being retried for ten seconds, so that a program without a collector
ends as fast as it would without telemetry.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from otelkit.types import Exit

__all__ = ["LocalExit"]

_ASK_AGAIN_S = 5.0
_CONNECT_S = 0.2


class LocalExit:
    """Passes batches on while somebody listens.

    Args:
        inner: The exit behind it.
        url: Its address, on this machine.
    """

    def __init__(self, inner: Exit, url: str) -> None:
        parts = urlsplit(url)
        self._inner = inner
        self._address = (parts.hostname or "localhost", parts.port or 4318)
        self._ask_at = 0.0
        self._listening = False

    @property
    def name(self) -> str:
        """The name of the exit behind."""
        return self._inner.name

    def send(self, batch: Sequence[Any]) -> bool:
        """Pass ``batch`` on; False at once when nobody listens."""
        if not self._somebody_listens():
            return False
        self._listening = self._inner.send(batch)
        return self._listening

    def interrupt(self) -> None:
        """Interrupt the exit behind."""
        self._inner.interrupt()

    def close(self) -> None:
        """Close the exit behind."""
        self._inner.close()

    def _somebody_listens(self) -> bool:
        """Ask when the last batch failed, at most every five seconds."""
        if self._listening:
            return True
        if time.monotonic() < self._ask_at:
            return False
        self._ask_at = time.monotonic() + _ASK_AGAIN_S
        try:
            socket.create_connection(self._address, timeout=_CONNECT_S).close()
        except OSError:
            return False
        return True
