"""From the depot to the receiver: one request at a time, and the only place that tries again.

Live data leaves at most ``delay_s`` after it came, or when 512 KB have gathered; the very first at
once, so that soon after the start it is known how the receiver does. What is older (a
backlog after an outage, the files of a process that died) leaves beside it in large requests, one
for each request of live data, so neither waits for the other and a receiver that has just come
back is not overrun.

When and how much a receiver is asked is the `Line`'s matter. At the end of a process requests are so
small that the answer should come in time: what is not answered is sent again by the next process.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Literal

from otelkit import _guard
from otelkit._clock import SYSTEM_CLOCK
from otelkit.delivery.line import MAX_REQUEST_BYTES, Line
from otelkit.delivery.parcel import Parcel
from otelkit.delivery.worker import Room, Worker
from otelkit.wire import split

if TYPE_CHECKING:
    from otelkit.delivery.depot import Depot, Load
    from otelkit.delivery.transport import Answer

__all__ = ["Sender"]

_EARLY_BYTES = 512 * 1024
_TEND_S = 5.0
_MOST_IN_VAIN = 24
_MOST_SAMPLES = 8
_MOST_ERRORS = 2
_SILENCE_S = 0.2
_HEALTHY_SILENCE_S = 1.0


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
        """Whether the last request of any line failed."""
        return any(line.failures for line in self._lines.values())

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
        if all(line.failures for line in self._lines.values()):
            return begun + _SILENCE_S
        usual = max((line.pace.round_trip_s for line in self._lines.values()), default=0.0)
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
            if line.closed_until > now:
                times.append(line.closed_until)
            elif line.due is not None:
                times.append(line.due)
        return max(0.0, min(times) - now)

    def _serve(self, line: Line) -> bool:
        """One request of live data if it is due, and one of the backlog; whether there may be more."""
        if not line.allows(SYSTEM_CLOCK.monotonic()):
            return False
        more = False
        if line.due is not None and SYSTEM_CLOCK.monotonic() >= line.due:
            line.due = None  # before the look: what is stored from now on sets it anew
            load = self._depot.take(line.signal, backlog=False, max_bytes=line.request_bytes)
            if load is not None:
                line.due = SYSTEM_CLOCK.monotonic()  # there may be more
                if self._send(line, load) != "done":
                    return False
                more = True
        backlog = self._depot.take(line.signal, backlog=True, max_bytes=line.request_bytes)
        return more if backlog is None else self._send(line, backlog) == "done"

    def _drain(self) -> bool:
        """Send what waits now, line by line in turn, those first whose receiver did well last."""
        goals = {signal: self._depot.waiting(signal)[0] for signal in self._lines}
        lines = sorted(self._lines.values(), key=lambda line: (line.failures, line.fresh))
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
        return durable or line.told_to_wait or (line.guess is not None and not line.guess.listens())

    def _drain_one(self, line: Line) -> int | None:
        """Send one load; how many items that were, 0 when nothing waits, None when it failed."""
        if line.told_to_wait and not line.allows(SYSTEM_CLOCK.monotonic()):
            return None
        most = MAX_REQUEST_BYTES
        if self._depot.durable(line.signal):  # what is not answered is sent again by the next process
            most = line.bytes_within((self._drain_until - SYSTEM_CLOCK.monotonic()) / 2)
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
        line.own.failed(begun=now, now=now, retry_after_s=None)
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
        answer = line.transport.send(body, timeout_s=line.patience_s)
        now = SYSTEM_CLOCK.monotonic()
        if self._interrupted and answer.kind == "retry":  # our doing: nothing is learnt from it
            self.complaint = self.complaint or "none in time"
            return answer
        kept = "on disk" if self._depot.durable(line.signal) else "in memory"
        line.learn(answer, begun=begun, now=now, size=len(body), kept=kept)
        if answer.kind != "retry":
            self._heard_at = now
        if answer.message:
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
