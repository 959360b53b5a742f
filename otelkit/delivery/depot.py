"""Where parcels wait for the sender: on disk, in memory, or on disk only when there is need.

The courier puts in, the sender takes out and settles, and the books are kept here: whatever happens
to a parcel's items, the `Ledger` of their signal is told in the same step.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from otelkit import _guard
from otelkit._clock import SYSTEM_CLOCK
from otelkit.delivery.parcel import Parcel
from otelkit.delivery.spool import SpoolError

if TYPE_CHECKING:
    from otelkit.delivery.accounting import Ledger
    from otelkit.delivery.queue import Memory
    from otelkit.delivery.spool import Batch, Spool

__all__ = ["Depot", "Load"]

_TRY_DISK_AGAIN_S = 5.0
_SAY_AGAIN_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Load:
    """Parcels of one signal that are being sent as one request.

    Attributes:
        signal: Their signal.
        parcels: At least one.
        batch: Where they stand on disk; None for parcels from memory.
    """

    signal: str
    parcels: tuple[Parcel, ...]
    batch: Batch | None = None

    @property
    def items(self) -> int:
        """The items of all parcels."""
        return sum(parcel.items for parcel in self.parcels)

    @property
    def spooled(self) -> bool:
        """Whether the parcels are on disk."""
        return self.batch is not None


class Depot:
    """Keeps what is packed until it is settled. `put` and `take` may run on two threads.

    Args:
        ledgers: The books by signal.
        memory: The bytes of everything that waits in memory; half of them may be parcels.
        spool: The disk; None for memory only, as for a signal that has no identity in it.
        always: Whether everything goes to disk at once; else only what memory cannot hold, what the
            sender has failed to send, and what is left at the end.
        failing: Whether the last requests failed.
    """

    def __init__(
        self,
        *,
        ledgers: Mapping[str, Ledger],
        memory: Memory,
        spool: Spool | None = None,
        always: bool = True,
        failing: Callable[[], bool] = bool,
    ) -> None:
        self.failing = failing
        self._ledgers = ledgers
        self._memory = memory
        self._spool = spool
        self._always = always
        self._lock = threading.Lock()
        self._shelves: dict[str, deque[Parcel]] = {signal: deque() for signal in ledgers}
        self._bytes = 0
        self._disk_from = 0.0
        self._disk_fails = False
        self._closed = False
        self._out: list[Load] = []
        self._adopted: Counter[str] = Counter()
        self._booked: defaultdict[str, Counter[str]] = defaultdict(Counter)  # losses of the spool, by reason
        self._spared: Counter[str] = Counter()  # those of them that were sent all the same

    def durable(self, signal: str) -> bool:
        """Whether what waits of a signal outlives the process: on disk, or as `rescue` can write it there."""
        return self._disk(signal) is not None and not self._disk_fails

    @property
    def safe(self) -> bool:
        """Whether all that waits here outlives the process, but for what goes to a guess."""
        return self._spool is not None and not self._disk_fails

    @property
    def memory_bytes(self) -> int:
        """The bytes of the parcels that wait in memory."""
        return self._bytes

    def put(self, parcels: Sequence[Parcel]) -> None:
        """Keep parcels whose items are in flight."""
        if self._closed:
            for parcel in parcels:
                self._ledgers[parcel.signal].settle(dropped=parcel.items, reason="shutdown")
            return
        for parcel in parcels:
            self._ledgers[parcel.signal].hold(parcel.items)
        if self._always or self.failing():
            parcels = self._append(parcels)
        if parcels:
            self._shelve(parcels)
            self._trim()

    def take(self, signal: str, *, backlog: bool, max_bytes: int) -> Load | None:
        """The oldest parcels of a signal as one request, or None; they count as in flight.

        Args:
            signal: Whose.
            backlog: From files that are not written to any more, instead of the present data.
            max_bytes: How much at the most; at least one parcel is given.
        """
        with self._lock:
            if self._closed:
                return None
            parcels = [] if backlog else self._unshelve(signal, max_bytes)
            if parcels:
                self._ledgers[signal].pick(sum(p.items for p in parcels), spooled=False)
                return self._check_out(Load(signal=signal, parcels=tuple(parcels)))
        spool = self._disk(signal)
        if spool is None:
            return None
        batch = spool.read(signal, backlog=backlog, max_bytes=max_bytes)
        self._reconcile()
        with self._lock:
            if batch is None or self._closed:
                return None
            self._ledgers[signal].pick(batch.items, spooled=True)
            return self._check_out(Load(signal=signal, parcels=batch.parcels, batch=batch))

    def settle(
        self, load: Load, *, delivered: int = 0, rejected: int = 0, dropped: int = 0, reason: str = ""
    ) -> None:
        """A load is done with: what became of its items."""
        if self._check_in(load):
            self._finish(load, delivered, rejected, dropped, reason)

    def replace(self, load: Load, rest: Sequence[Parcel], *, delivered: int, rejected: int) -> None:
        """A load is done with in part; ``rest`` is what must be sent later."""
        if self._check_in(load):
            # Kept first, removed then: a crash in between sends them twice, and loses nothing.
            self.put(rest)
            self._finish(load, delivered, rejected)

    def put_back(self, load: Load) -> None:
        """A load could not be sent now."""
        if not self._check_in(load):
            return
        self._keep_again(load)
        if load.batch is None and not self._always:
            self.rescue()  # the sender is failing: to disk with it

    def waiting(self, signal: str) -> tuple[int, int]:
        """How many items of a signal wait here, and how many bytes they have."""
        with self._lock:
            parcels = self._shelves[signal]
            items, size = sum(p.items for p in parcels), sum(len(p.body) for p in parcels)
        spool = self._disk(signal)
        if spool is not None:
            on_disk = spool.held()[signal]
            items, size = items + on_disk.items, size + on_disk.bytes
        return items, size

    def tend(self) -> None:
        """Adopt what dead processes left, and keep the caps of the folder."""
        if self._spool is not None:
            self._spool.adopt()
            self._spool.enforce()
            self._reconcile()

    def rescue(self) -> None:
        """Write what waits in memory to disk, if there is one for it."""
        with self._lock:
            wanted = [signal for signal in self._shelves if self._disk(signal) is not None]
            parcels = [parcel for signal in wanted for parcel in self._unshelve(signal, None)]
        if not parcels:
            return
        try:
            unstored = self._append(parcels, try_now=True)
        except BaseException:  # Ctrl-C on the thread that closes: rather twice on disk than not at all
            with self._lock:
                self._unload(parcels)
            raise
        self._shelve(unstored)

    def close(self) -> None:
        """Write what waits in memory to disk, or count it as lost; let go of the files.

        A load that the sender still has, because it is stuck, counts as waiting again.
        """
        with self._lock:
            self._closed = True
            out, self._out = self._out, []
        for load in out:
            self._keep_again(load)
        self._reconcile()
        self.rescue()
        with self._lock:
            for signal in self._shelves:
                for parcel in self._unshelve(signal, None):
                    self._ledgers[signal].lose(parcel.items, "shutdown", spooled=False)
        if self._spool is not None:
            self._spool.close()

    def forget(self) -> None:
        """In a fork's child: let go of the parent's files without touching them."""
        if self._spool is not None:
            self._spool.forget()
        self._spool = None
        self._lock = threading.Lock()
        self._shelves = {signal: deque() for signal in self._shelves}
        self._out = []
        self._bytes = 0

    # -- loads ----------------------------------------------------------------------------------

    def _check_out(self, load: Load) -> Load:
        self._out.append(load)
        return load

    def _check_in(self, load: Load) -> bool:
        """Whether the load is still the sender's; not when `close` took it back."""
        with self._lock:
            if load not in self._out:
                return False
            self._out.remove(load)
            return True

    def _finish(self, load: Load, delivered: int, rejected: int, dropped: int = 0, reason: str = "") -> None:
        """Take a load off the disk, and enter what became of its items; another process's are not ours."""
        ledger = self._ledgers[load.signal]
        theirs = min(self._remove(load), delivered + rejected + dropped)
        if theirs:
            ledger.put_back(theirs, spooled=True)
            delivered, rejected, dropped = _less(theirs, delivered, rejected, dropped)
        ledger.settle(delivered=delivered, rejected=rejected, dropped=dropped, reason=reason)

    def _keep_again(self, load: Load) -> None:
        with self._lock:
            if load.batch is None:
                self._unload(load.parcels)
            self._ledgers[load.signal].put_back(load.items, spooled=load.spooled)

    # -- memory -------------------------------------------------------------------------------

    def _shelve(self, parcels: Iterable[Parcel]) -> None:
        with self._lock:
            for parcel in parcels:
                if self._closed:
                    self._ledgers[parcel.signal].lose(parcel.items, "shutdown", spooled=False)
                    continue
                self._shelves[parcel.signal].append(parcel)
                size = len(parcel.body)
                self._bytes += size
                self._memory.used += size

    def _unload(self, parcels: Sequence[Parcel]) -> None:
        """Put them where they were on the shelves, before all others; the caller holds the lock."""
        for parcel in reversed(parcels):
            self._shelves[parcel.signal].appendleft(parcel)
        size = sum(len(parcel.body) for parcel in parcels)
        self._bytes += size
        self._memory.used += size

    def _unshelve(self, signal: str, max_bytes: int | None) -> list[Parcel]:
        """Take from a shelf, the oldest first; the caller holds the lock."""
        shelf = self._shelves[signal]
        taken: list[Parcel] = []
        size = 0
        while shelf and (max_bytes is None or not taken or size + len(shelf[0].body) <= max_bytes):
            parcel = shelf.popleft()
            taken.append(parcel)
            size += len(parcel.body)
        self._bytes -= size
        self._memory.used -= size
        return taken

    def _trim(self) -> None:
        """Keep parcels from taking more than half of the memory."""
        most = self._memory.limit // 2
        if self._bytes > most:
            self.rescue()
        with self._lock:
            while self._bytes > most:
                signal = max(self._shelves, key=lambda name: len(self._shelves[name]))
                for parcel in self._unshelve(signal, 1):
                    self._ledgers[signal].lose(parcel.items, "memory_full", spooled=False)

    # -- disk ---------------------------------------------------------------------------------

    def _disk(self, signal: str) -> Spool | None:
        """The spool, if it takes this signal."""
        return self._spool if self._spool is not None and signal in self._spool.signals else None

    def _append(self, parcels: Sequence[Parcel], *, try_now: bool = False) -> Sequence[Parcel]:
        """Write parcels that wait in memory to disk; those that could not be, or shall not be, written."""
        if self._spool is None or (not try_now and SYSTEM_CLOCK.monotonic() < self._disk_from):
            return parcels
        kept = [parcel for parcel in parcels if self._disk(parcel.signal) is None]
        if len(kept) == len(parcels):
            return parcels
        parcels = [parcel for parcel in parcels if self._disk(parcel.signal) is not None]
        unstored: Sequence[Parcel] = ()
        try:
            self._spool.append(parcels)
            self._disk_fails = False
        except SpoolError as error:
            unstored = error.parcels
            self._disk_fails = True
            self._disk_from = SYSTEM_CLOCK.monotonic() + _TRY_DISK_AGAIN_S
            _guard.say(
                f"the spool is not used for now: {error} Telemetry waits in memory meanwhile; what does "
                "not fit there is lost, and counted.",
                key="spool.append",
                every_s=_SAY_AGAIN_S,
            )
        left = set(map(id, unstored))
        for parcel in parcels:
            if id(parcel) not in left:
                self._ledgers[parcel.signal].spool(parcel.items)
        self._reconcile()
        return [*kept, *unstored]

    def _remove(self, load: Load) -> int:
        """Take a load off the disk; how many of its items are another process's meanwhile."""
        if load.batch is None or self._spool is None:
            return 0
        with self._lock:
            spared = load.batch.gone
            self._spared[load.signal] += spared
        settled = self._spool.settle(load.batch)
        gone = load.batch.gone
        with self._lock:
            self._spared[load.signal] += gone - settled - spared
        return load.items - gone

    def _reconcile(self) -> None:
        """Enter into the books what the spool has found, lost to its caps or could not read.

        What it has lost while it was being sent is not lost yet: what came of it is known afterwards.
        """
        if self._spool is None:
            return
        with self._lock:
            for signal, tally in self._spool.tallies().items():
                self._ledgers[signal].adopt(tally.adopted - self._adopted[signal])
                self._adopted[signal] = tally.adopted
                out = [load.batch.gone for load in self._out if load.batch and load.signal == signal]
                spared = self._spared[signal] + sum(out)
                for reason, number in (("evicted", tally.evicted), ("damaged", tally.damaged)):
                    left = min(spared, number)
                    spared -= left
                    self._book(signal, reason, number - left)

    def _book(self, signal: str, reason: str, number: int) -> None:
        """So many items of a signal are lost on disk, in all."""
        more = number - self._booked[signal][reason]
        self._booked[signal][reason] = number
        if more > 0:
            self._ledgers[signal].lose(more, reason, spooled=True)
        elif more < 0:
            self._ledgers[signal].undo_loss(-more, reason)


def _less(gone: int, *fates: int) -> tuple[int, ...]:
    """The numbers without ``gone``, taken from the first of them that have so many."""
    left = []
    for number in fates:
        taken = min(gone, number)
        gone -= taken
        left.append(number - taken)
    return tuple(left)
