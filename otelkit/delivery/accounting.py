"""What became of every item: plain counts per signal that always add up.

For each signal, read in one snapshot::

    created = delivered + dropped(by reason) + sampled_out + queued + in_flight

An item is a span, a log record, or a metric data point that was collected.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Counts", "Ledger"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """One signal's items at one moment.

    Attributes:
        created: Items that ended and were accepted, or were left out by the sampler.
        delivered: Items that the destination took.
        dropped: Items that are lost, by reason: ``queue_full`` (more came than could leave),
            ``export_failed`` (the destination refused or could not be reached in time),
            ``processing_failed`` (a failure of ours), ``shutdown`` (the time for ending ran out,
            or the item came after it).
        sampled_out: Spans that the sampler did not want.
        queued: Items that wait.
        in_flight: Items of the batch being sent.
    """

    created: int = 0
    delivered: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    sampled_out: int = 0
    queued: int = 0
    in_flight: int = 0

    @property
    def lost(self) -> int:
        """The dropped items of all reasons."""
        return sum(self.dropped.values())


class Ledger:
    """The books of one signal. Thread-safe; each method is one step under one lock."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._taken = 0
        self._delivered = 0
        self._dropped: dict[str, int] = {}
        self._sampled_out = 0
        self._in_flight = 0

    def drop(self, count: int, reason: str) -> None:
        """``count`` items were lost before they were taken from the queue."""
        with self._lock:
            self._taken += count
            self._dropped[reason] = self._dropped.get(reason, 0) + count

    def sample_out(self) -> None:
        """The sampler did not want one item."""
        with self._lock:
            self._sampled_out += 1

    def take(self, count: int) -> None:
        """``count`` items left the queue and are being sent."""
        with self._lock:
            self._taken += count
            self._in_flight += count

    def settle(self, *, delivered: int = 0, dropped: int = 0, reason: str = "export_failed") -> None:
        """The items being sent arrived, or did not."""
        with self._lock:
            self._in_flight -= delivered + dropped
            self._delivered += delivered
            if dropped:
                self._dropped[reason] = self._dropped.get(reason, 0) + dropped

    def snapshot(self, *, queued: int) -> Counts:
        """The counts now, given how many items wait in the queue."""
        with self._lock:
            return Counts(
                created=self._taken + self._sampled_out + queued,
                delivered=self._delivered,
                dropped=dict(self._dropped),
                sampled_out=self._sampled_out,
                queued=queued,
                in_flight=self._in_flight,
            )
