"""From the queues to the depot: every 100 ms what has ended is packed and put away.

Packing is redaction and encoding. The application's threads do none of it, unless the memory for
what waits is used up: then the thread that comes next packs one batch itself ("help"), and leaves
what it has packed to the courier, so that it never touches the disk.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from otelkit import _guard
from otelkit._clock import SYSTEM_CLOCK
from otelkit.delivery.parcel import Parcel
from otelkit.delivery.worker import Room, Worker
from otelkit.processors.context import suppress

if TYPE_CHECKING:
    from otelkit.delivery.depot import Depot
    from otelkit.delivery.guests import Outlet
    from otelkit.delivery.queue import Memory, Queue
    from otelkit.wire import Encoded

__all__ = ["TICK_S", "Courier", "Lane"]

TICK_S = 0.1
_PUT_AWAY_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Lane:
    """The way of spans or log records from the queue on.

    Attributes:
        signal: ``traces`` or ``logs``.
        queue: Where the application's threads put finished items.
        prepare: Cleans one item (redaction, repair).
        encode: Makes one OTLP request of clean items; None when the signal does not leave over OTLP.
        outlet: Where clean items go besides; None for nowhere.
    """

    signal: str
    queue: Queue[Any]
    prepare: Callable[[Any], Any]
    encode: Callable[[Sequence[Any]], Encoded] | None = None
    outlet: Outlet | None = None


class Courier(Room):
    """Packs on a thread of its own, and on the application's where that must help.

    Args:
        lanes: The signals that are pushed.
        depot: Where parcels go; None when nothing leaves over OTLP.
        memory: The bytes of everything that waits.
        stored: Called with the signals of which something came into the depot.
    """

    def __init__(
        self,
        *,
        lanes: Sequence[Lane],
        depot: Depot | None,
        memory: Memory,
        stored: Callable[[set[str]], object],
    ) -> None:
        self._lanes = tuple(lanes)
        self._depot = depot
        self._memory = memory
        self._stored = stored
        self._left: deque[tuple[Lane, list[Any], int]] = deque()  # by helpers who were interrupted
        self._packed: deque[Parcel] = deque()
        self._packed_bytes = 0
        self._due = 0.0
        self._urgent = False
        self._secures = False
        self._closes = False
        self._no_pause_until = 0.0
        super().__init__(Worker(name="otelkit-courier", work=self._round, end=self._last_round))

    # -- called by the application's threads ----------------------------------------------------

    def begun(self) -> None:
        """Something waits in a queue while the courier sleeps."""
        self._due = SYSTEM_CLOCK.monotonic() + TICK_S
        self._worker.wake()

    def hurry(self) -> None:
        """A batch has gathered: pack it now."""
        self._urgent = True
        self._worker.wake()

    def help(self, queue: Queue[Any]) -> bool:
        """Pack one batch on the calling thread; whether there is room in ``queue`` now.

        Where the memory of all queues is used up it is a batch of the longest one.
        """
        if not self._worker.alive or not self._takes_more():
            return False
        if self._memory.used >= self._memory.limit:
            lane = max(self._lanes, key=lambda lane: len(lane.queue))
        else:
            lane = next(lane for lane in self._lanes if lane.queue is queue)
        batch, size = lane.queue.take_sized()
        try:
            if batch:
                with suppress():
                    self._pack(lane, batch, size)
        finally:
            self.hurry()
            self.count_rest()
        return True

    def _takes_more(self) -> bool:
        """Whether what is packed is still put away; else the disk hangs, or the courier gets no turn.

        A thread that is busy all the time lets others have the interpreter every 5 ms only, and the
        courier needs it several times for each write. So it is given up here for a moment, at the
        most 5 ms in 100.
        """
        limit = self._memory.limit // 2
        if self._packed_bytes <= limit:
            return True
        now = SYSTEM_CLOCK.monotonic()
        if now < self._no_pause_until:
            return False
        self._no_pause_until = now + TICK_S
        for _ in range(5):
            time.sleep(0.001)
            if self._packed_bytes <= limit:
                self._no_pause_until = 0.0
                return True
        return False

    def add(self, parcel: Parcel) -> None:
        """Take a parcel that somebody else has packed (metrics)."""
        self._keep(parcel)
        self.hurry()
        self.count_rest()

    def secure(self, *, deadline: float) -> None:
        """Have everything put away, and what waits in memory written to disk, where there is one.

        Args:
            deadline: In monotonic seconds. Only the courier's thread waits for a disk that hangs.
        """
        self._secures = True
        if self._worker.alive:
            self._worker.wait(self._worker.ask(), deadline=deadline)
        else:
            self._pack_rest(deadline)
            self._secure()

    def close(self, *, deadline: float) -> None:
        """Put the rest away, let go of the depot, and end the thread.

        Args:
            deadline: In monotonic seconds; a disk that hangs is not waited for any longer. Where the
                thread has ended before, this one does its work, and begins nothing after the deadline.
        """
        self._closes = True
        if self._worker.alive:
            self._worker.stop(deadline=deadline)
        else:
            self._pack_rest(deadline)
            self._close_depot()

    def count_rest(self) -> None:
        """Enter into the books what others have packed too late, after the end."""
        if not self._worker.alive:
            self._put_away()

    def _pack_rest(self, deadline: float) -> None:
        while SYSTEM_CLOCK.monotonic() < deadline and self._serve_left():
            pass
        for lane in self._lanes:
            while SYSTEM_CLOCK.monotonic() < deadline and (taken := lane.queue.take_sized())[0]:
                self._pack(lane, *taken)
        self._put_away()

    # -- the thread -----------------------------------------------------------------------------

    def _round(self, asked: bool) -> float | None:
        early = self._due - SYSTEM_CLOCK.monotonic()
        if early > 0 and not (asked or self._urgent):
            return early
        self._urgent = False
        worked = self._serve_left()
        for lane in self._lanes:
            worked = self._serve(lane) or worked
        worked = self._put_away() or worked
        if asked and self._secures:
            self._secure()
        if worked:
            self._due = SYSTEM_CLOCK.monotonic() + TICK_S
            return TICK_S
        for lane in self._lanes:
            lane.queue.asleep = True
        if any(len(lane.queue) for lane in self._lanes):  # came just before, and has called nobody
            return TICK_S
        in_depot = 0 if self._depot is None else self._depot.memory_bytes
        self._memory.used = self._packed_bytes + in_depot
        return None

    def _last_round(self) -> None:
        while self._serve_left() or any(self._serve(lane) for lane in self._lanes):
            pass
        self._put_away()
        if self._closes:
            self._close_depot()

    def _secure(self) -> None:
        if self._depot is not None:
            self._depot.rescue()

    def _close_depot(self) -> None:
        if self._depot is not None:
            self._depot.close()

    def _serve_left(self) -> bool:
        """Pack a batch that a helper has left; whether there was one."""
        if not self._left:
            return False
        self._pack(*self._left.popleft())
        return True

    def _serve(self, lane: Lane) -> bool:
        """Pack what waits now; whether anything did."""
        waiting = len(lane.queue)
        if not waiting:
            return False
        while waiting > 0:
            batch, size = lane.queue.take_sized()
            if not batch:
                break
            waiting -= len(batch)
            self._pack(lane, batch, size)
            if self._packed_bytes > _PUT_AWAY_BYTES:
                self._put_away()
        return True

    def _pack(self, lane: Lane, batch: list[Any], size: int) -> None:
        try:
            items = _prepared(lane, batch)
            encoded = _encoded(lane, items)
        except BaseException:  # Ctrl-C, say, for the thread that helps: nothing has left its hands yet
            self._left.append((lane, batch, size))
            raise
        lost = len(batch) - len(items)
        if lane.outlet is not None and items:
            lane.outlet.put(items, len(items), size)
        if encoded is not None:
            self._keep(Parcel(lane.signal, encoded.items, encoded.body, SYSTEM_CLOCK.time_ns()))
        elif lane.encode is not None:
            lost = len(batch)
        if lost:
            lane.queue.ledger.settle(dropped=lost, reason="processing_failed")

    def _keep(self, parcel: Parcel) -> None:
        size = len(parcel.body)  # before the additions, which are one step each then
        self._packed_bytes += size
        self._memory.used += size
        self._packed.append(parcel)

    def _put_away(self) -> bool:
        """What is packed now into the depot, about a megabyte at once; whether there was anything."""
        worked, left = False, len(self._packed)
        while left > 0 and self._depot is not None and (parcels := self._next_parcels()):
            left -= len(parcels)
            self._depot.put(parcels)
            size = sum(len(parcel.body) for parcel in parcels)
            self._packed_bytes -= size
            self._memory.used -= size
            self._stored({parcel.signal for parcel in parcels})
            worked = True
        return worked

    def _next_parcels(self) -> list[Parcel]:
        parcels: list[Parcel] = []
        size = 0
        try:
            while size < _PUT_AWAY_BYTES:
                parcels.append(self._packed.popleft())
                size += len(parcels[-1].body)
        except IndexError:  # that is all; another thread may pop too, at the end
            pass
        return parcels


def _prepared(lane: Lane, batch: list[Any]) -> list[Any]:
    """The batch cleaned; an item at which that fails is left out and costs no other."""
    try:
        return [lane.prepare(item) for item in batch]
    except BaseException as error:
        if not _guard.ends_here(error):
            raise
    return [item for item in (_tried(lane, item) for item in batch) if item is not None]


def _tried(lane: Lane, item: Any) -> Any:
    """The item cleaned, or None where that fails."""
    try:
        return lane.prepare(item)
    except BaseException as error:
        _swallow(error, lane)
        return None


def _encoded(lane: Lane, items: list[Any]) -> Encoded | None:
    """Clean items as one request; None where there is none to make, or where that fails."""
    if lane.encode is None or not items:
        return None
    try:
        return lane.encode(items)
    except BaseException as error:
        _swallow(error, lane)
        return None


def _swallow(error: BaseException, lane: Lane) -> None:
    if not _guard.ends_here(error):
        raise error
    _guard.swallowed(f"courier.{lane.signal}")
