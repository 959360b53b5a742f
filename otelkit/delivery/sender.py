"""From the depot to the receiver: one request at a time, and the only place that tries again.

Live data leaves at most ``delay_s`` after it came, or when 512 KB have gathered; the very first at
once, so that soon after the start it is known how the receiver does. What is older (a
backlog after an outage, the files of a process that died) leaves beside it in large requests, one
for each request of live data, so neither waits for the other and a receiver that has just come
back is not overrun.

A receiver that fails is left alone for a while, longer each time (0.5 s to 5 s, with jitter, and at
least as long as it asks with Retry-After), and is then tried with one small request before
everything else. Requests begin small, at the start as after a failure, and grow with each answer up to
a megabyte. What was not answered in time is halved, and grows again slowly. At the end of a process they
are so small that the answer should come in time: each one is a step forward also where processes are
short and the receiver is slow, and the next process repeats little.

Source of what is tried again: OpenTelemetry Protocol specification, "Failures" (HTTP and gRPC).
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from otelkit import _guard
from otelkit._clock import SYSTEM_CLOCK
from otelkit.delivery.parcel import Parcel
from otelkit.delivery.worker import Room, Worker
from otelkit.wire import split

if TYPE_CHECKING:
    from otelkit.delivery.depot import Depot, Load
    from otelkit.delivery.localhost import Localhost
    from otelkit.delivery.transport import Answer, Transport

__all__ = ["Breaker", "Line", "Sender"]

_EARLY_BYTES = 512 * 1024
_REQUEST_BYTES = 1 << 20  # many receivers take 4 MiB at the most; memory holds it three times
_FIRST_BYTES = 128 * 1024  # some 600 spans
_PROBE_BYTES = 64 * 1024
_PROBE_S = 5.0
_GROWTH = 4
_SILENT_S = 1.0  # a failure after so long may be due to the size of the request
_BACKOFF_S = (0.5, 5.0)
_MAX_RETRY_AFTER_S = 3_600.0
_TEND_S = 5.0
_SMOOTHING = 0.3
_MOST_IN_VAIN = 24
_MOST_SAMPLES = 8
_MOST_ERRORS = 2
_SILENCE_S = 0.2
_SAY_AFTER_S = 5.0
_HEALTHY_SILENCE_S = 1.0


class Outage:
    """Says that a receiver has been away for a while, and that it is back; once for each outage."""

    def __init__(self) -> None:
        self._since: float | None = None
        self._said = False

    def failed(self, now: float, *, place: str, reason: str, kept: str) -> None:
        """A request has failed at ``now`` (monotonic seconds)."""
        if self._since is None:
            self._since = now
        elif not self._said and now - self._since >= _SAY_AFTER_S:
            self._said = True
            _guard.say(
                f"telemetry does not reach {place}: {reason.rstrip('.')}. It is kept {kept} and tried "
                "again. Check that the collector runs and that the endpoint is right."
            )

    def over(self, *, place: str) -> None:
        """A request was answered."""
        self._since = None
        if self._said:
            self._said = False
            _guard.say(f"telemetry reaches {place} again.")


class Breaker:
    """Whether a receiver may be asked, and for how much. Used by the sender's thread only.

    Attributes:
        request_bytes: How large the next request may be.

    Args:
        jitter: Gives a random number from 0 to 1.
    """

    def __init__(self, jitter: Callable[[], float] = random.random) -> None:
        self.failures = 0
        self.closed_until = 0.0
        self.told_to_wait = False
        self.round_trip_s = 0.0
        self.request_bytes = _FIRST_BYTES
        self._most_bytes = _REQUEST_BYTES
        self._bytes_per_s = math.inf
        self.outage = Outage()
        self._jitter = jitter

    def allows(self, now: float) -> bool:
        """Whether a request may be made at ``now`` (monotonic seconds)."""
        return now >= self.closed_until

    def succeeded(self, seconds: float, *, size: int) -> None:
        """A request of ``size`` bytes was answered after so many seconds."""
        self.failures, self.closed_until, self.told_to_wait = 0, 0.0, False
        self._bytes_per_s = size / seconds if seconds > 0 else math.inf
        if 2 * size > self._most_bytes:
            self._most_bytes = min(_REQUEST_BYTES, self._most_bytes * 5 // 4)
        self.request_bytes = min(self._most_bytes, max(self.request_bytes, _GROWTH * size))
        before = self.round_trip_s or seconds
        self.round_trip_s = before + _SMOOTHING * (seconds - before)

    def failed(self, *, begun: float, now: float, retry_after_s: float | None, size: int = 0) -> None:
        """A request that began at ``begun`` has failed; the time it took counts as waiting.

        Args:
            begun: In monotonic seconds.
            now: Likewise.
            retry_after_s: How long the receiver asks to be left alone; 0 asks for nothing.
            size: Of the request, in bytes.
        """
        self.failures += 1
        self.request_bytes = _PROBE_BYTES
        if size > _PROBE_BYTES and now - begun >= _SILENT_S:
            self._most_bytes = max(_PROBE_BYTES, min(self._most_bytes, size // 2))
        asked_s = max(0.0, min(retry_after_s or 0.0, _MAX_RETRY_AFTER_S))
        self.told_to_wait = asked_s > 0
        least, most = _BACKOFF_S
        pause = min(most, least * 2 ** min(self.failures - 1, 10)) * (0.5 + 0.5 * self._jitter())
        self.closed_until = max(begun + pause, now + asked_s)

    def bytes_within(self, seconds: float) -> int:
        """How large a request may be that is to be answered within so many seconds, by the last answer."""
        return int(max(_PROBE_BYTES, min(self.request_bytes, self._bytes_per_s * max(0.0, seconds))))


@dataclass(kw_only=True)
class Line:
    """The way of one signal to its receiver.

    Attributes:
        signal: ``traces``, ``logs`` or ``metrics``.
        transport: The connection.
        breaker: Shared by the lines to one receiver.
        delay_s: How long live data waits for more at the most.
        timeout_s: For one request.
        place: The receiver's address, for messages.
        guess: Where nobody has said that there is a receiver: whether somebody listens. If not, and
            if none has ever answered, what waits is given up.
    """

    signal: str
    transport: Transport
    breaker: Breaker
    delay_s: float
    timeout_s: float
    place: str = "the collector"
    guess: Localhost | None = None
    due: float | None = field(default=None, init=False)
    fresh: bool = field(default=True, init=False)
    errors: int = field(default=0, init=False)


class Sender(Room):
    """Sends on a thread of its own.

    Attributes:
        complaint: What a receiver or the network said last, if it was no plain success.

    Args:
        lines: One for each signal that leaves over OTLP to one receiver.
        depot: Where parcels wait.
        on_loss: Called on the thread when items were refused or lost.
        tends: Whether it looks after the depot, too.
    """

    def __init__(
        self,
        *,
        lines: Sequence[Line],
        depot: Depot,
        on_loss: Callable[[], object] = bool,
        tends: bool = True,
    ) -> None:
        self._tends = tends
        self.complaint = ""
        self._lines = {line.signal: line for line in lines}
        self._depot = depot
        self._on_loss = on_loss
        self._tend_at = 0.0
        self._drain_until = 0.0
        self._drained = False
        self._heard_at = SYSTEM_CLOCK.monotonic()
        self._interrupted = False
        super().__init__(Worker(name="otelkit-sender", work=self._round))

    @property
    def failing(self) -> bool:
        """Whether the last request to any receiver failed."""
        return any(line.breaker.failures for line in self._lines.values())

    def stored(self, signals: set[str]) -> None:
        """Something of these signals came into the depot."""
        now, wake = SYSTEM_CLOCK.monotonic(), False
        for signal in signals & self._lines.keys():
            line = self._lines[signal]
            if line.due is None:
                line.due, wake = now + (0.0 if line.fresh else line.delay_s), True
            elif line.due > now and self._depot.waiting(signal)[1] >= _EARLY_BYTES:
                line.due, wake = now, True
        if wake:
            self._worker.wake()

    def drain(self, *, deadline: float, hurry: bool = False) -> bool:
        """Send everything that waits now; whether it left by the deadline.

        A receiver that fails ends it at once where everything is on disk, as trying on can wait;
        what is in memory only is tried until the deadline.

        Args:
            deadline: In monotonic seconds.
            hurry: Give up earlier on a receiver that is silent: after 0.2 s, or a second after it
                was asked or answered last (four times its usual time, if that is longer).
        """
        return self.finish(self.begin(deadline=deadline), deadline=deadline, hurry=hurry)

    def begin(self, *, deadline: float) -> tuple[int, float]:
        """The first half of `drain`: ask for it; a ticket for `finish`."""
        self._drain_until = max(self._drain_until, deadline)
        return self._worker.ask(), SYSTEM_CLOCK.monotonic()

    def finish(self, ticket_and_time: tuple[int, float], *, deadline: float, hurry: bool = False) -> bool:
        """The second half: wait for it."""
        ticket, begun = ticket_and_time
        if not self.alive:
            return not any(self._depot.waiting(signal)[0] for signal in self._lines)
        until = deadline
        while self._worker.waited_for(ticket):
            if hurry:  # what the receiver does meanwhile gives it more time
                until = min(deadline, self._patience_ends(begun))
            if SYSTEM_CLOCK.monotonic() >= until:
                return False
            self._worker.wait(ticket, deadline=until)
        return self._worker.wait(ticket, deadline=until) and self._drained

    def _patience_ends(self, begun: float) -> float:
        if self.failing:
            return begun + _SILENCE_S
        usual = max((line.breaker.round_trip_s for line in self._lines.values()), default=0.0)
        return max(begun + _SILENCE_S, self._heard_at + max(_HEALTHY_SILENCE_S, 4 * usual))

    def close(self, *, deadline: float) -> bool:
        """Interrupt what is under way and end the thread; whether it has ended."""
        self.interrupt()
        ended = self._worker.stop(deadline=deadline)
        if ended:
            for line in self._lines.values():
                line.transport.close()
        return ended

    def interrupt(self) -> None:
        """End what is under way, and begin nothing new."""
        self._interrupted = True
        for line in self._lines.values():
            line.transport.interrupt()

    # -- the thread -----------------------------------------------------------------------------

    def _round(self, asked: bool) -> float | None:
        now = SYSTEM_CLOCK.monotonic()
        if now >= self._tend_at:
            self._tend_at = now + _TEND_S
            if self._tends:
                self._depot.tend()
            self._on_loss()
        if asked:
            self._drained = False
            self._drained = self._drain()
        more = True
        while more and not self._worker.called and SYSTEM_CLOCK.monotonic() < self._tend_at:
            more = sum([self._serve(line) for line in self._lines.values()]) > 0
        return self._until_due()

    def _until_due(self) -> float:
        now = SYSTEM_CLOCK.monotonic()
        times = [self._tend_at]
        for line in self._lines.values():
            if line.breaker.closed_until > now:
                times.append(line.breaker.closed_until)
            elif line.due is not None:
                times.append(line.due)
        return max(0.0, min(times) - now)

    def _serve(self, line: Line) -> bool:
        """One request of live data if it is due, and one of the backlog; whether there may be more."""
        if not line.breaker.allows(SYSTEM_CLOCK.monotonic()):
            return False
        more = False
        if line.due is not None and SYSTEM_CLOCK.monotonic() >= line.due:
            line.due = None  # before the look: what is stored from now on sets it anew
            load = self._depot.take(line.signal, backlog=False, max_bytes=line.breaker.request_bytes)
            if load is not None:
                line.due = SYSTEM_CLOCK.monotonic()  # there may be more
                if self._send(line, load) != "done":
                    return False
                more = True
        backlog = self._depot.take(line.signal, backlog=True, max_bytes=line.breaker.request_bytes)
        return more if backlog is None else self._send(line, backlog) == "done"

    def _drain(self) -> bool:
        """Send what waits now, line by line in turn, those first whose receiver did well last."""
        goals = {signal: self._depot.waiting(signal)[0] for signal in self._lines}
        lines = sorted(self._lines.values(), key=lambda line: (line.breaker.failures, line.fresh))
        delivered, pause = True, 0.05
        while lines and not self._interrupted:
            failed = []
            for line in tuple(lines):
                items = self._drain_one(line) if goals[line.signal] > 0 else 0
                if items is None:
                    failed.append(line)
                elif items == 0:
                    lines.remove(line)
                else:
                    goals[line.signal] -= items
            if not failed:
                continue
            left = self._drain_until - SYSTEM_CLOCK.monotonic()
            gives_up = [line for line in failed if self._can_wait(line)]
            delivered = delivered and not gives_up
            lines = [line for line in lines if line not in gives_up]
            if left <= 0 or self._worker.stopping:
                break
            if lines and len(failed) >= len(lines):
                self._worker.pause(min(pause, left))
                pause = min(1.0, pause * 2)
        return delivered and not lines

    def _can_wait(self, line: Line) -> bool:
        """Whether a line that has failed is not tried on at an end: what waits is kept, or it is no use."""
        durable = self._depot.durable(line.signal)
        return durable or line.breaker.told_to_wait or (line.guess is not None and not line.guess.listens())

    def _drain_one(self, line: Line) -> int | None:
        """Send one load; how many items that were, 0 when nothing waits, None when it failed."""
        if line.breaker.told_to_wait and not line.breaker.allows(SYSTEM_CLOCK.monotonic()):
            return None
        most = _REQUEST_BYTES
        if self._depot.durable(line.signal):  # what is not answered is sent again by the next process
            most = line.breaker.bytes_within((self._drain_until - SYSTEM_CLOCK.monotonic()) / 2)
        load = self._depot.take(line.signal, backlog=True, max_bytes=most)
        load = load or self._depot.take(line.signal, backlog=False, max_bytes=most)
        if load is None:
            return 0
        return load.items if self._send(line, load) == "done" else None

    # -- one request ----------------------------------------------------------------------------

    def _send(self, line: Line, load: Load) -> Literal["done", "kept", "parted"]:
        """Send a load whole, in halves where it must be.

        Returns:
            ``done``: nothing of it is left. ``kept``: it waits again as it was. ``parted``: only a
            part of it is done with, the rest waits.
        """
        try:
            if line.guess is not None and not line.guess.known and not line.guess.listens():
                self._depot.settle(load, dropped=load.items, reason="export_failed")
                line.guess.say_so()
                return "done"
            answer = self._request(line, b"".join([parcel.body for parcel in load.parcels]))
            if answer.kind in {"split", "bad"} and load.items > 1:
                return self._send_in_parts(line, load)
            if answer.kind != "retry":
                self._settle(load, answer)
                return "done"
            if line.guess is not None:
                line.guess.doubt()
        except BaseException:  # on the sender's own thread
            return self._fail(line, load)
        self._depot.put_back(load)
        return "kept"

    def _fail(self, line: Line, load: Load) -> Literal["done", "kept"]:
        """A failure of ours, call it from ``except``: try once more later, then give the load up."""
        now = SYSTEM_CLOCK.monotonic()
        line.breaker.failed(begun=now, now=now, retry_after_s=None)
        line.errors += 1
        given_up = line.errors >= _MOST_ERRORS
        if given_up:
            line.errors = 0
            self._depot.settle(load, dropped=load.items, reason="processing_failed")
        else:
            self._depot.put_back(load)
        _guard.swallowed("sender.send")
        return "done" if given_up else "kept"

    def _settle(self, load: Load, answer: Answer) -> None:
        rejected = min(answer.rejected, load.items) if answer.kind == "ok" else load.items
        self._depot.settle(load, delivered=load.items - rejected, rejected=rejected)
        if rejected:
            self._on_loss()

    def _send_in_parts(self, line: Line, load: Load) -> Literal["done", "parted"]:
        """Find the items that the receiver does not take, by halving; the others are delivered.

        While a receiver has taken nothing at all, nothing is halved any more after 24 requests, which
        are enough to find one bad item among sixteen million. Then eight single items are tried,
        spread over the rest: if it takes none of them either, all is refused.
        """
        parts, delivered, rejected, asked, samples = _halves(load.parcels)[::-1], 0, 0, 0, 0
        if not parts:
            rejected = load.items
        while parts:
            part = parts.pop()
            items = sum(parcel.items for parcel in part)
            answer = self._request(line, b"".join([parcel.body for parcel in part]))
            asked += 1
            if answer.kind == "retry":
                parts.append(part)
                break
            halves = _halves(part) if answer.kind in {"split", "bad"} else []
            if halves and (delivered or asked < _MOST_IN_VAIN):
                parts += reversed(halves)
                continue
            if halves and samples < _MOST_SAMPLES:
                rest = [parcel for left in (part, *reversed(parts)) for parcel in left]
                parts = _one_apart(rest, samples)
                samples += 1
                continue
            refused = min(answer.rejected, items) if answer.kind == "ok" else items
            delivered, rejected = delivered + items - refused, rejected + refused
        rest = [parcel for part in reversed(parts) for parcel in part]
        self._depot.replace(load, rest, delivered=delivered, rejected=rejected)
        if rejected:
            self._on_loss()
        if rest:
            line.due = line.due or SYSTEM_CLOCK.monotonic()
        return "parted" if rest else "done"

    def _request(self, line: Line, body: bytes) -> Answer:
        line.fresh = False
        begun = self._heard_at = SYSTEM_CLOCK.monotonic()
        timeout = min(line.timeout_s, _PROBE_S) if line.breaker.failures else line.timeout_s
        answer = line.transport.send(body, timeout_s=timeout)
        now = SYSTEM_CLOCK.monotonic()
        if answer.kind == "retry":
            if not self._interrupted:
                line.breaker.failed(begun=begun, now=now, retry_after_s=answer.retry_after_s, size=len(body))
                if line.guess is None or line.guess.known:
                    kept = "on disk" if self._depot.durable(line.signal) else "in memory"
                    line.breaker.outage.failed(now, place=line.place, reason=answer.message, kept=kept)
        else:
            line.errors = 0
            if line.guess is not None:
                line.guess.known = True
            line.breaker.succeeded(now - begun, size=len(body))
            line.breaker.outage.over(place=line.place)
            self._heard_at = now
        if self._interrupted and answer.kind == "retry":
            self.complaint = self.complaint or "none in time"
        elif answer.message:
            self.complaint = answer.message
        return answer


def _one_apart(parcels: Sequence[Parcel], which: int) -> list[list[Parcel]]:
    """One item and before it the others, in two parts.

    Args:
        parcels: At least two items.
        which: The last item for 0, one in the middle for 1, in the fourth quarter for 2, in the second
            for 3, and so on: by its bits, as in a van der Corput sequence.
    """
    before: list[Parcel] = []
    after: list[Parcel] = []
    part = list(parcels)
    while halves := _halves(part):
        if which & 1:
            after = [*halves[1], *after]
        else:
            before += halves[0]
        part = halves[0] if which & 1 else halves[1]
        which >>= 1
    return [[*before, *after], part]


def _halves(parcels: Sequence[Parcel]) -> list[list[Parcel]]:
    """Two parts of about the same number of parcels, or of items; empty where it is one item."""
    if len(parcels) > 1:
        middle = len(parcels) // 2
        return [list(parcels[:middle]), list(parcels[middle:])]
    whole = parcels[0]
    try:
        parts = split.halves(whole.signal, whole.body) if whole.items > 1 else None
    except ValueError:  # no request at all, so not one of ours
        parts = None
    if parts is None:
        return []
    return [[Parcel(whole.signal, items, body, whole.time_ns)] for body, items in parts]
