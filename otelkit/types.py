"""The seams between the rooms: small Protocols that import almost nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

__all__ = ["Exit"]


class Exit(Protocol):
    """A way out for batches of one signal.

    Called by one thread at a time, in the order in which items were accepted; never with an empty
    batch. `send` may block until its own timeout.
    """

    @property
    def name(self) -> str:
        """What the exit is called in `Runtime.stats` and in messages."""
        ...

    def send(self, batch: Sequence[Any]) -> bool:
        """Deliver ``batch`` whole; False or an exception when it was not accepted."""
        ...

    def interrupt(self) -> None:
        """Make a `send` under way return soon, if it can; from another thread, never blocking."""
        ...

    def close(self) -> None:
        """Release what is held; called once, by the thread that called `send`."""
        ...
