"""The senders of one runtime: one for each receiver, so that one that hangs holds up no other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from otelkit._clock import SYSTEM_CLOCK

if TYPE_CHECKING:
    from otelkit.delivery.sender import Sender

__all__ = ["Fleet"]


class Fleet:
    """Several senders as one.

    Args:
        senders: At least one.
    """

    def __init__(self, senders: Sequence[Sender]) -> None:
        self._senders = tuple(senders)

    def start(self) -> None:
        """Start the threads."""
        for sender in self._senders:
            sender.start()

    @property
    def alive(self) -> bool:
        """Whether any of the threads runs."""
        return any(sender.alive for sender in self._senders)

    @property
    def failing(self) -> bool:
        """Whether the last request to any receiver failed."""
        return any(sender.failing for sender in self._senders)

    @property
    def complaint(self) -> str:
        """What the receivers or the network said last."""
        return "; ".join(dict.fromkeys(filter(None, (sender.complaint for sender in self._senders))))

    def stored(self, signals: set[str]) -> None:
        """Something of these signals came into the depot."""
        for sender in self._senders:
            sender.stored(signals)

    def drain(self, *, deadline: float, hurry: bool = False) -> bool:
        """`Sender.drain` of all at once; whether everything left by the deadline."""
        begun = [(sender, sender.begin(deadline=deadline)) for sender in self._senders]
        answers = [sender.finish(ticket, deadline=deadline, hurry=hurry) for sender, ticket in begun]
        return all(answers)

    def close(self, *, deadline: float) -> bool:
        """Interrupt what is under way and end the threads; whether they have ended."""
        for sender in self._senders:
            sender.interrupt()
        answers = [sender.close(deadline=max(deadline, SYSTEM_CLOCK.monotonic())) for sender in self._senders]
        return all(answers)
