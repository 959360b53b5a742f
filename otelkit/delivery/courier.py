"""One background thread per runtime takes what was accepted to the ways out.

Items of spans and log records are taken from their queues; metrics are pulled. Everything that is
slow happens here: cleaning, encoding, the network. The thread's context suppresses telemetry, so
that nothing it calls makes any.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from otelkit import _guard
from otelkit.processors.context import SUPPRESSED, attach, suppress

if TYPE_CHECKING:
    from otelkit.delivery.queue import Queue
    from otelkit.types import Exit

__all__ = ["Courier", "Lane", "Other", "Pull", "lost_line"]

_NOUNS = {"spans": "spans", "logs": "log records", "metrics": "metric points"}
_REPEAT_S = 60.0
_OTHERS_S = 5.0
_RETIRED_TICK_S = 0.2
_RETIRED_GRACE_S = 1.0  # for calls that were under way when the new runtime took over


@dataclass(kw_only=True)
class Lane:
    """The way of one pushed signal: its queue, what is done to a batch, and where it goes.

    Attributes:
        name: ``spans`` or ``logs``.
        queue: Where the application's threads put finished items.
        prepare: Cleans a batch; runs on the courier's thread.
        exits: Where each batch goes. The first one decides whether it counts as delivered.
        delay_s: How long an item waits at the most before it is sent.
    """

    name: str
    queue: Queue[Any]
    prepare: Callable[[list[Any]], Sequence[Any]]
    exits: Sequence[Exit]
    delay_s: float
    due: float = field(default=0.0, init=False)


@dataclass(kw_only=True)
class Pull:
    """The way of metrics: collected at each interval and handed to the exits.

    Attributes:
        queue: Keeps the counts (its unit is the collected data point); holds no items.
        collect: Collects now; returns the data and how many points are in it.
        exits: As in `Lane`.
        interval_s: How often.
    """

    queue: Queue[Any]
    collect: Callable[[], tuple[Any, int]]
    exits: Sequence[Exit]
    interval_s: float
    name: str = "metrics"
    due: float = field(default=0.0, init=False)


class Other(Protocol):
    """Something of the user's that ends with the runtime. Both may block; called on the courier's thread."""

    def flush(self, *, timeout_s: float) -> bool:
        """Pass on what is held; False when that failed."""
        ...

    def close(self, *, timeout_s: float) -> None:
        """Pass on what is held and end."""
        ...


class Courier:
    """Owns the thread. `start` starts it; `close` ends it within a deadline.

    Attributes:
        released: Whether it has sent its last and is letting go of the exits.

    Args:
        lanes: The pushed signals.
        pull: The metrics, if they are pushed anywhere.
        wake: The event that the queues set for an early wake-up.
        where: What the destination is called in messages (no secrets in it).
        others: What else is flushed and closed with this courier, on its thread, because it may block.
        last_error: What the ways out last complained of, for the line about losses.
        repeat_s: How often losses are said at the most; None: once, for a destination that is a guess.
    """

    def __init__(
        self,
        *,
        lanes: Sequence[Lane],
        pull: Pull | None,
        wake: threading.Event,
        where: str,
        others: Sequence[Other] = (),
        last_error: Callable[[], str] = str,
        repeat_s: float | None = _REPEAT_S,
    ) -> None:
        self._repeat_s = repeat_s
        self._others = tuple(others)
        self._last_error = last_error
        self._retired_until: float | None = None
        self._retired_from = 0.0
        self.released = False
        self._still_open: Callable[[], bool] = bool
        self._lanes = tuple(lanes)
        self._pull = pull
        self._wake = wake
        self._where = where
        self._progress = threading.Condition()
        self._asked = 0
        self._served = 0
        self._all_went_well = True
        self._closing = False
        self._abandoned = False
        self._idle = True
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()

    # -- the application's side ---------------------------------------------------------------

    def start(self) -> None:
        """Start the thread (a daemon: an interpreter that ends never waits for it)."""
        now = time.monotonic()
        for way in self._ways():
            way.due = now + (way.interval_s if isinstance(way, Pull) else way.delay_s)
        self._thread = threading.Thread(target=self._run, name="otelkit-courier", daemon=True)
        self._thread.start()

    def flush(self, *, timeout_s: float) -> bool:
        """Send everything accepted before this call; never longer than ``timeout_s``.

        Returns:
            Whether all of it was delivered in time.
        """
        if not self._alive():
            return False
        deadline = time.monotonic() + timeout_s
        with self._progress:
            self._asked += 1
            wanted = self._asked
            self._all_went_well = True
            self._wake.set()
            served = self._progress.wait_for(
                lambda: self._served >= wanted or not self._alive(), deadline - time.monotonic()
            )
            return served and self._served >= wanted and self._all_went_well

    def close(self, *, timeout_s: float) -> bool:
        """Send what is left, end the thread and close the exits, within ``timeout_s``.

        What cannot be sent in time is dropped, counted under ``shutdown`` and said in one line.

        Returns:
            Whether everything was delivered.
        """
        deadline = time.monotonic() + timeout_s
        with self._progress:
            self._closing = True
        went_well = self.flush(timeout_s=max(0.0, timeout_s - _margin(timeout_s)))
        self._abandoned = True
        self._wake.set()
        left = sum(way.queue.close(reason="shutdown") for way in self._ways())
        if not self._idle:
            self._interrupt_exits()
        thread = self._thread
        if thread is not None and self._pid == os.getpid() and thread is not threading.current_thread():
            thread.join(max(0.0, deadline - time.monotonic()))
        self.say_losses(final=True)
        return went_well and left == 0 and not self._in_flight()

    def retire(self, *, still_open: Callable[[], bool], linger_s: float) -> None:
        """Go on in the background until nothing is open any more, then send what is left and end.

        Args:
            still_open: Whether spans of this runtime are still open.
            linger_s: How long to wait for them at the most.
        """
        self._still_open = still_open
        self._retired_from = time.monotonic() + min(linger_s, _RETIRED_GRACE_S)
        self._retired_until = time.monotonic() + linger_s
        self._wake.set()

    @property
    def ended(self) -> bool:
        """Whether the thread has ended (or never started)."""
        return not self._alive()

    def say_losses(self, *, final: bool = False) -> None:
        """Say what was lost so far, if anything, in one line (at most one a minute)."""
        counts = {way.name: way.queue.counts() for way in self._ways()}
        line = lost_line(counts, where=self._where, final=final)
        if line and (reason := self._last_error()):
            line = f"{line} The exporter said: {reason}"
        if line:
            last_word = final and self._repeat_s is not None
            _guard.say(line, key=f"losses:{id(self)}:{last_word}", every_s=self._repeat_s)

    def _interrupt_exits(self) -> None:
        for exit_ in self._exits():
            with suppress(), _guard.guard(f"exit.interrupt.{exit_.name}"):
                exit_.interrupt()

    def _close_exits(self) -> None:
        for exit_ in self._exits():
            with _guard.guard(f"exit.close.{exit_.name}"):
                exit_.close()

    def _exits(self) -> list[Exit]:
        return [exit_ for way in self._ways() for exit_ in way.exits]

    def _alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive() and self._pid == os.getpid()

    def _in_flight(self) -> int:
        return sum(way.queue.counts().in_flight for way in self._ways())

    def _ways(self) -> tuple[Lane | Pull, ...]:
        return (*self._lanes, self._pull) if self._pull is not None else self._lanes

    # -- the thread's side --------------------------------------------------------------------

    def _run(self) -> None:
        attach(SUPPRESSED)
        try:
            while not self._abandoned:
                self._wake.wait(self._until_due())
                self._wake.clear()
                self._idle = False
                self._round()
                self._idle = True
                if self._has_served_its_time():
                    break
            self._end()
        finally:
            with self._progress:
                self._progress.notify_all()

    def _has_served_its_time(self) -> bool:
        until, now = self._retired_until, time.monotonic()
        if until is None or now < self._retired_from:
            return False
        return not self._still_open() or now >= until

    def _end(self) -> None:
        """The last steps, when nobody waits or everything is sent: close what was handed to us."""
        if self._abandoned:
            self._count_uncollected()
        else:
            self._serve(everything=True)
            for way in self._ways():
                way.queue.close(reason="shutdown")
        self.released = True
        for other in self._others:
            with _guard.guard("courier.close"):
                other.close(timeout_s=_OTHERS_S)
        self._close_exits()
        if not self._closing:
            self.say_losses(final=True)

    def _count_uncollected(self) -> None:
        """Collect a last time, only to count what is lost."""
        if self._pull is not None and self._served < self._asked:
            with _guard.guard("courier.collect"):
                self._pull.queue.ledger.drop(self._pull.collect()[1], "shutdown")

    def _round(self) -> None:
        with self._progress:
            asked = self._asked
        everything = asked > self._served
        try:
            self._serve(everything=everything)
        except Exception:
            self._all_went_well = False
            _guard.swallowed("courier")
        if everything:
            self._flush_others()
            with self._progress:
                self._served = asked
                self._progress.notify_all()

    def _flush_others(self) -> None:
        for other in self._others:
            try:
                flushed = other.flush(timeout_s=_OTHERS_S)
            except Exception:
                flushed = False
            self._all_went_well = self._all_went_well and flushed

    def _serve(self, *, everything: bool) -> None:
        # Metrics are collected first, so that they are counted also when the other signals take
        # all the time there is; they are sent last, as they can best wait.
        collected = self._collect(everything=everything)
        for lane in self._lanes:
            due = everything or time.monotonic() >= lane.due
            if due or len(lane.queue) >= lane.queue.batch_size:
                self._send_lane(lane, everything=due)
        if collected is not None and self._pull is not None:
            data, points = collected
            self._settle(self._pull, self._deliver(self._pull.exits, [data]), points)

    def _until_due(self) -> float:
        if self._asked > self._served:
            return 0.0
        longest = 3600.0 if self._retired_until is None else _RETIRED_TICK_S
        due = min((way.due for way in self._ways()), default=float("inf"))
        return max(0.0, min(longest, due - time.monotonic()))

    def _send_lane(self, lane: Lane, *, everything: bool) -> None:
        """Send the waiting items; only those that wait now, so that no signal starves another."""
        waiting = len(lane.queue)
        while waiting > 0 and not self._abandoned:
            if not everything and waiting < lane.queue.batch_size:
                return
            batch = lane.queue.take()
            if not batch:
                break
            waiting -= len(batch)
            self._send(lane, batch)
        lane.due = time.monotonic() + lane.delay_s

    def _send(self, lane: Lane, batch: list[Any]) -> None:
        try:
            prepared = lane.prepare(batch)
        except Exception:
            lane.queue.ledger.settle(dropped=len(batch), reason="processing_failed")
            self._all_went_well = False
            _guard.swallowed(f"courier.{lane.name}")
            return
        self._settle(lane, self._deliver(lane.exits, prepared), len(batch))

    def _collect(self, *, everything: bool) -> tuple[Any, int] | None:
        pull = self._pull
        if pull is None or not (everything or time.monotonic() >= pull.due):
            return None
        pull.due = time.monotonic() + pull.interval_s
        data, points = pull.collect()
        pull.queue.ledger.take(points)
        return (data, points) if points else None

    def _settle(self, way: Lane | Pull, delivered: bool, count: int) -> None:
        ledger = way.queue.ledger
        if delivered:
            ledger.settle(delivered=count)
            return
        self._all_went_well = False
        ledger.settle(dropped=count, reason="shutdown" if self._abandoned else "export_failed")
        if not self._closing:
            self.say_losses()

    def _deliver(self, exits: Sequence[Exit], batch: Sequence[Any]) -> bool:
        """Hand ``batch`` to each exit; the first one's answer counts, so it is asked last.

        It is the one that may wait for a collector, and the others need not wait for it.
        """
        delivered = False
        for exit_ in reversed(exits):
            try:
                delivered = exit_.send(batch)
            except Exception as error:
                delivered = False
                _guard.say(
                    f"the exporter {exit_.name} raised {_guard.describe(error)}; "
                    "its batch is counted as lost and the others go on.",
                    key=f"exit:{exit_.name}",
                    every_s=_REPEAT_S,
                )
        return delivered


def _margin(timeout_s: float) -> float:
    """The part of a closing budget kept for releasing the exits."""
    return min(0.1, timeout_s * 0.1)


def lost_line(counts: dict[str, Any], *, where: str, final: bool) -> str | None:
    """One line that says what was lost, for people; None when nothing was.

    Args:
        counts: `Counts` by signal name.
        where: The destination.
        final: Whether this is the end of the process's telemetry.
    """
    parts = []
    for name, count in counts.items():
        lost = count.lost + (count.in_flight if final else 0)
        if lost:
            reasons = ", ".join(f"{reason} {number}" for reason, number in sorted(count.dropped.items()))
            noun = _NOUNS.get(name, name)
            noun = noun.removesuffix("s") if lost == 1 else noun
            parts.append(f"{lost} {noun} ({reasons or 'still being sent'})")
    if not parts:
        return None
    when = "at the end" if final else "so far"
    return f"not delivered to {where} {when}: {'; '.join(parts)}. Check that the collector can be reached."
