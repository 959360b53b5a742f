"""What became of every item that the spool was given or took over: counts that always add up."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from dataclasses import replace

from otelkit.delivery.spool._words import Tally

__all__ = ["Books"]


class Books:
    """The spool's tallies. Each method is one step under a lock that never waits for a disk."""

    def __init__(self, signals: Iterable[str]) -> None:
        self._lock = threading.Lock()
        self._tallies = {signal: Tally() for signal in signals}

    def move(self, signal: str, **changes: int) -> None:
        """Add ``changes`` to the fields of a signal's tally; ``held`` follows from the others."""
        with self._lock:
            now = self._tallies.get(signal) or Tally()
            new = replace(now, **{name: getattr(now, name) + change for name, change in changes.items()})
            held = new.appended + new.adopted - new.settled - new.evicted - new.damaged
            self._tallies[signal] = replace(new, held=held)

    def snapshot(self) -> dict[str, Tally]:
        """All tallies at one moment."""
        with self._lock:
            return dict(self._tallies)
