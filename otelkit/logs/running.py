"""The chain in force, and what one thread is in the middle of."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from otelkit.logs.chain import Chain
    from otelkit.logs.event import Event

__all__ = ["BUSY", "LOCAL", "TOO_DEEP", "Frame", "current", "set_current"]

BUSY = 2
TOO_DEEP = 3

_current: Chain | None = None


class Frame:
    """One structlog call on its way to the wrapped logger.

    Attributes:
        event: The event, once the processors have made it.
        text: The rendered line, where the processors made one.
        taken: Whether a record of the standard library carried the event on.
    """

    __slots__ = ("event", "taken", "text")

    def __init__(self) -> None:
        self.event: Event | None = None
        self.text: str | None = None
        self.taken = False


class _Local(threading.local):
    """What a thread is in the middle of.

    Attributes:
        depth: How deep in otelkit. 1: an event is shaped, which calls the application (`__str__` of
            what it logged); what that logs is an event like any other. `BUSY`: such an event is
            shaped, or another one emitted; what is logged now is a line without secrets and no
            record. `TOO_DEEP`: such a line is made; no line of ours for what is logged now.
        writing: A line is being written to stdout.
        frame: The structlog call under way.
        seen: The record under way, its event, and its line where structlog rendered it.
    """

    depth = 0
    writing = False
    frame: Frame | None = None
    seen: tuple[Any, Event, str | None] | None = None


LOCAL = _Local()


def current() -> Chain | None:
    """The chain in force; None while nothing is installed."""
    return _current


def set_current(chain: Chain | None) -> None:
    """Make ``chain`` the one in force."""
    global _current
    _current = chain
