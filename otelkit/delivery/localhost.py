"""The collector on localhost, which may not be there: a laptop, a test suite.

For a signal without any endpoint configured otelkit tries the default port. When nobody listens there,
what waits is given up at once instead of being kept and tried again, so that a program without a
collector ends as fast as it would without telemetry. One that has answered is no guess any more: when it
restarts, what waits is kept in memory until it is back.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from urllib.parse import urlsplit

from otelkit import _guard
from otelkit._clock import SYSTEM_CLOCK

__all__ = ["Localhost"]

_ASK_AGAIN_S = 5.0
_CONNECT_S = 0.2


class Localhost:
    """Knows whether somebody listens at an address on this machine.

    Attributes:
        place: The address without a path, for messages.
        known: Whether a receiver has answered there.

    Args:
        url: The address.
        only: The signals that are sent there as a guess, where others have an endpoint that was given.
    """

    def __init__(self, url: str, *, only: Sequence[str] = ()) -> None:
        parts = urlsplit(url)
        self.place = f"{parts.scheme}://{parts.netloc}"
        self.known = False
        self._only = tuple(only)
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

    def say_so(self) -> None:
        """Say in one line that nobody listens; once."""
        what, remedy = "telemetry is", "or set endpoint= (OTEL_EXPORTER_OTLP_ENDPOINT)"
        if self._only:
            what = f"{' and '.join(self._only)} are"
            variables = " and ".join(f"OTEL_{signal.upper()}_EXPORTER=none" for signal in self._only)
            remedy = f"give them an endpoint, or set {variables}"
        _guard.say(
            f"{what} not delivered to {self.place}: nobody listens there. Start a collector, {remedy}.",
            key=f"nobody:{self.place}",
        )

    def doubt(self) -> None:
        """A request has failed: ask again before the next one."""
        self._listening = False
        self._ask_at = 0.0
