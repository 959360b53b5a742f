"""One OTLP request over HTTP or gRPC, within a total deadline. No retries: those are the sender's."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

__all__ = ["Answer", "Transport"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What became of one request.

    Attributes:
        kind: ``ok``: taken (perhaps not all of it, see ``rejected``). ``retry``: not taken, may be
            sent again (connection failed, deadline passed, 408/429/502/503/504 or the retryable
            gRPC codes, or an answer that no receiver gives, such as a page of HTML). ``split``: too
            large (413, or gRPC's message size limit). ``bad``: something in it is malformed (400,
            ``INVALID_ARGUMENT``). ``refused``: must not be sent again (any other status, redirects
            included).
        rejected: With ``ok``: the items that the receiver says it did not take (partial success).
        message: What the receiver or the system said, in one line without secrets; may be empty.
        answered: With ``retry``: whether it was the receiver, or a proxy before it, that said so.
        retry_after_s: With ``retry``: how long the receiver asks to be left alone, in seconds; 0 is no wish.
    """

    kind: Literal["ok", "retry", "split", "bad", "refused"]
    rejected: int = 0
    message: str = ""
    answered: bool = False
    retry_after_s: float | None = None


class Transport(Protocol):
    """The connection to one receiver of one signal.

    `send` is called by one thread at a time. `interrupt` may come from any thread at any time.
    """

    def send(self, body: bytes, *, timeout_s: float) -> Answer:
        """Send one serialised request; returns within ``timeout_s`` whatever the peer does, never raises."""
        ...

    def interrupt(self) -> None:
        """Make a `send` under way return ``retry`` at once, and every later one too; never blocks."""
        ...

    def close(self) -> None:
        """Close the connection; called when no `send` is under way. A later `send` opens a new one."""
        ...
