"""What became of every item: plain counts per signal that always add up.

For each signal, read in one snapshot::

    created + adopted = delivered + rejected + dropped(by reason) + sampled_out
                        + queued + in_flight + spooled

An item is a span, a log record, or a metric data point that was collected. Over several processes
that share a spool, what one of them adopts was in the ``spooled`` of another that has ended.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field

__all__ = ["Counts", "Ledger"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counts:
    """One signal's items at one moment.

    Attributes:
        created: Items that ended and were accepted, or were left out by the sampler.
        adopted: Items found in the spool of a process that has ended.
        delivered: Items that the destination took.
        rejected: Items that the destination refused for good (a status that must not be retried,
            a partial success, a record it cannot read).
        dropped: Items that are lost, by reason: ``queue_full`` (more came than could be packed),
            ``memory_full`` (the destination was away for longer than memory lasts, without a spool),
            ``evicted`` (the spool's caps of size and age), ``damaged`` (unreadable in the spool),
            ``export_failed`` (an exporter of yours failed, or nobody listens on localhost and no
            endpoint was given), ``processing_failed`` (a failure of ours), ``shutdown`` (the time for
            ending ran out without a spool, or the item came after it).
        sampled_out: Spans that the sampler did not want.
        queued: Items that wait in memory.
        unpacked: Those of them that are not packed yet.
        in_flight: Items being packed or being sent.
        spooled: Items that wait on disk. They outlive the process.
    """

    created: int = 0
    adopted: int = 0
    delivered: int = 0
    rejected: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    sampled_out: int = 0
    queued: int = 0
    unpacked: int = field(default=0, repr=False)
    in_flight: int = 0
    spooled: int = 0

    @property
    def lost(self) -> int:
        """The rejected items, and the dropped ones of all reasons."""
        return self.rejected + sum(self.dropped.values())

    @property
    def waiting(self) -> int:
        """The items whose fate is not known yet."""
        return self.queued + self.in_flight + self.spooled


class Ledger:
    """The books of one signal. Thread-safe; each method is one step under one lock.

    An item is taken from the queue (in flight while it is packed), then held, in memory or on disk,
    then picked (in flight while it is sent), then settled or put back.
    """

    def __init__(self) -> None:
        # Re-entrant: a signal handler of the application's may come in between and tell something.
        self._lock = threading.RLock()
        self._taken = 0
        self._adopted = 0
        self._delivered = 0
        self._rejected = 0
        # One step for CPython, so that a signal cannot come between reading and writing.
        self._dropped: defaultdict[str, int] = defaultdict(int)
        self._sampled_out = 0
        self._in_flight = 0
        self._held = 0
        self._spooled = 0

    def drop(self, count: int, reason: str) -> None:
        """``count`` items were lost before they were taken from the queue."""
        with self._lock:
            self._taken += count
            self._lose(count, reason)

    def sample_out(self) -> None:
        """The sampler did not want one item."""
        with self._lock:
            self._sampled_out += 1

    def take(self, count: int) -> None:
        """``count`` items left the queue and are being packed."""
        with self._lock:
            self._taken += count
            self._in_flight += count

    def hold(self, count: int) -> None:
        """Items in flight wait in memory from now on."""
        with self._lock:
            self._in_flight -= count
            self._held += count

    def pick(self, count: int, *, spooled: bool) -> None:
        """Items that waited are being sent."""
        with self._lock:
            self._in_flight += count
            self._leave(count, spooled=spooled)

    def put_back(self, count: int, *, spooled: bool) -> None:
        """Items in flight wait again, because they could not be sent now."""
        with self._lock:
            self._in_flight -= count
            self._leave(-count, spooled=spooled)

    def spool(self, count: int) -> None:
        """Items that waited in memory are on disk."""
        with self._lock:
            self._held -= count
            self._spooled += count

    def adopt(self, count: int) -> None:
        """Items of a process that has ended are ours."""
        with self._lock:
            self._adopted += count
            self._spooled += count

    def lose(self, count: int, reason: str, *, spooled: bool) -> None:
        """Items that waited are lost."""
        with self._lock:
            self._leave(count, spooled=spooled)
            self._lose(count, reason)

    def settle(
        self, *, delivered: int = 0, rejected: int = 0, dropped: int = 0, reason: str = "export_failed"
    ) -> None:
        """Items in flight arrived, or never will."""
        with self._lock:
            self._in_flight -= delivered + rejected + dropped
            self._delivered += delivered
            self._rejected += rejected
            self._lose(dropped, reason)

    def undo_loss(self, count: int, reason: str) -> None:
        """Items that were counted as lost on disk are there once more."""
        with self._lock:
            self._spooled += count
            self._lose(-count, reason)

    def snapshot(self, *, queued: int) -> Counts:
        """The counts now, given how many items wait in the queue."""
        with self._lock:
            return Counts(
                created=self._taken + self._sampled_out + queued,
                adopted=self._adopted,
                delivered=self._delivered,
                rejected=self._rejected,
                dropped=dict(self._dropped),
                sampled_out=self._sampled_out,
                queued=queued + self._held,
                unpacked=queued,
                in_flight=self._in_flight,
                spooled=self._spooled,
            )

    def _leave(self, count: int, *, spooled: bool) -> None:
        if spooled:
            self._spooled -= count
        else:
            self._held -= count

    def _lose(self, count: int, reason: str) -> None:
        if count:
            self._dropped[reason] += count
