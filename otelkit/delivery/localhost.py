"""The collector on localhost, which may not be there: a laptop, a test suite.

Without any endpoint configured otelkit tries the default port. When nobody listens there, what waits
is given up at once instead of being kept and tried again, so that a program without a collector ends
as fast as it would without telemetry.
"""

from __future__ import annotations

import socket
from urllib.parse import urlsplit

from otelkit._clock import SYSTEM_CLOCK

__all__ = ["Localhost"]

_ASK_AGAIN_S = 5.0
_CONNECT_S = 0.2


class Localhost:
    """Knows whether somebody listens at an address on this machine.

    Attributes:
        place: The address without a path, for messages.

    Args:
        url: The address.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.place = f"{parts.scheme}://{parts.netloc}"
        self._address = (parts.hostname or "localhost", parts.port or 4318)
        self._ask_at = 0.0
        self._listening = False

    def listens(self) -> bool:
        """Whether somebody listens; asked anew after `doubt`, and every five seconds while nobody does."""
        if self._listening:
            return True
        if SYSTEM_CLOCK.monotonic() < self._ask_at:
            return False
        self._ask_at = SYSTEM_CLOCK.monotonic() + _ASK_AGAIN_S
        try:
            socket.create_connection(self._address, timeout=_CONNECT_S).close()
        except OSError:
            return False
        self._listening = True
        return True

    def doubt(self) -> None:
        """A request has failed: ask again before the next one."""
        self._listening = False
        self._ask_at = 0.0
