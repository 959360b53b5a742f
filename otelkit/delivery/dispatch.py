"""All threads of one runtime's delivery together: started, flushed, ended within one deadline.

::

    queues ──► courier ──► depot (spool or memory) ──► sender ──► receiver
                  │  ▲
       guests ◄───┘  └── puller (metrics)

The order at the end: first everything to disk, then the network with what is left of the time, then
the same for what has come meanwhile. What is on disk and cannot leave now is sent by the next process.
Only the courier and the sender wait for the disk, so one that hangs holds up neither flush nor end.
"""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from otelkit import _guard
from otelkit._clock import SYSTEM_CLOCK
from otelkit.delivery.losses import lost_items, lost_line
from otelkit.delivery.worker import bounded
from otelkit.processors.context import suppress

if TYPE_CHECKING:
    from otelkit.delivery.accounting import Counts
    from otelkit.delivery.courier import Courier
    from otelkit.delivery.depot import Depot
    from otelkit.delivery.fleet import Fleet
    from otelkit.delivery.guests import Guests
    from otelkit.delivery.puller import Puller
    from otelkit.delivery.queue import Queue
    from otelkit.delivery.sender import Sender

__all__ = ["INTERRUPTED_S", "Dispatch"]

INTERRUPTED_S = 0.2  # for the threads to lay down what they have in hand, when nobody waits any more

_REPEAT_S = 60.0
_START_FAILED_S = 1.0
_DISK_S = 0.08  # for the last step on disk, also where the time is over
_RETIRED_GRACE_S = 1.0  # for calls that were under way when the new runtime took over
_RETIRED_CLOSE_S = 10.0
_RETIRED_TICK_S = 0.2


class _Working(Protocol):
    """What the threads have in common."""

    @property
    def alive(self) -> bool: ...

    def start(self) -> None: ...


class Dispatch:
    """The delivery of one runtime. Its methods may be called from any thread.

    Attributes:
        released: Whether it has sent its last and is letting go of the exits.

    Args:
        queues: The queue (and so the books) of each signal.
        courier, puller, guests, depot, sender: The rooms; None where there is nothing to do.
        where: What the destination of some signals is called in messages (no secrets in it).
        guessed: The signals whose destination is a guess: that nobody listens there is said elsewhere.
    """

    def __init__(
        self,
        *,
        queues: Mapping[str, Queue[Any]],
        courier: Courier,
        guests: Guests,
        puller: Puller | None = None,
        depot: Depot | None = None,
        sender: Sender | Fleet | None = None,
        where: Callable[[Collection[str]], str],
        guessed: Collection[str] = (),
    ) -> None:
        self.released = False
        self._queues = queues
        self._courier = courier
        self._guests = guests
        self._puller = puller
        self._depot = depot
        self._sender = sender
        self._where = where
        self._guessed = guessed
        self._said = {False: 0, True: 0}  # by whether the destination is a guess
        self._closed = False
        self._delivered_all = False
        self._one_closes = threading.Lock()
        self._retirement_ends = threading.Event()
        self._retired_close_s = _RETIRED_CLOSE_S

    def start(self) -> None:
        """Start the threads.

        Raises:
            RuntimeError: No thread can be started, and none is left running.
        """
        try:
            for room in self._rooms():
                room.start()
        except RuntimeError:
            if not self.ended:
                self.close(timeout_s=_START_FAILED_S)
            raise

    @property
    def ended(self) -> bool:
        """Whether it was closed, or never started."""
        return self._closed or not any(room.alive for room in self._rooms())

    def flush(self, *, timeout_s: float) -> bool:
        """Send everything accepted before this call; never longer than ``timeout_s``.

        Returns:
            Whether all of it was delivered in time.
        """
        if self.ended:
            return False
        deadline = SYSTEM_CLOCK.monotonic() + bounded(timeout_s)
        lost = self._lost()
        put_away = self._put_away(deadline)
        return self._leave(deadline) and put_away and self._lost() == lost

    def close(self, *, timeout_s: float, hurry: bool = False) -> bool:
        """Deliver what is left, end the threads and close the exits, within ``timeout_s``.

        What cannot be sent in time stays in the spool for the next process. Without a spool it is
        dropped, counted under ``shutdown``. Either is said in one line. All that holds, and at once,
        for a Ctrl-C meanwhile, which is raised then.

        Args:
            timeout_s: How long this may take at the most.
            hurry: The process is being stopped from outside: once all is on disk, a silent receiver
                is not waited for; see `Sender.drain`.

        Returns:
            Whether everything was delivered.
        """
        timeout_s = bounded(timeout_s)
        deadline = SYSTEM_CLOCK.monotonic() + timeout_s
        if not self._one_closes.acquire(timeout=timeout_s):
            return False
        try:
            if not self._closed:
                with suppress():
                    lost = self._lost()
                    try:
                        went_well = self._deliver_rest(deadline - min(0.1, timeout_s * 0.1), hurry=hurry)
                    except BaseException:
                        deadline = min(deadline, SYSTEM_CLOCK.monotonic() + INTERRUPTED_S)
                        raise
                    finally:
                        self._finish(deadline)
                self._delivered_all = went_well and self._lost() == lost and not self._left()
            return self._delivered_all
        finally:
            self._one_closes.release()

    def retire(self, *, still_open: Callable[[], bool], linger_s: float, timeout_s: float) -> None:
        """Go on in the background until nothing is open any more, then deliver what is left and end.

        Where no thread can be started for that, it ends now.

        Args:
            still_open: Whether spans of this runtime are still open.
            linger_s: How long to wait for them at the most.
            timeout_s: How long the end may take on the calling thread.
        """
        now = SYSTEM_CLOCK.monotonic()
        grace, until = now + min(linger_s, _RETIRED_GRACE_S), now + linger_s

        def wait() -> None:
            while not self._retirement_ends.wait(_RETIRED_TICK_S):
                now = SYSTEM_CLOCK.monotonic()
                if now >= grace and (now >= until or not still_open()):
                    break
            self.close(timeout_s=self._retired_close_s)

        try:
            threading.Thread(target=wait, name="otelkit-retired", daemon=True).start()
        except RuntimeError:
            self.close(timeout_s=timeout_s)

    def end_retirement(self, *, timeout_s: float) -> None:
        """The process ends: wait for open spans no longer, and deliver what is left in this time."""
        self._retired_close_s = timeout_s
        self._retirement_ends.set()

    def forget(self) -> None:
        """In a fork's child: let go of everything that is the parent's."""
        self._one_closes = threading.Lock()
        self._closed = self._delivered_all = True
        for queue in self._queues.values():
            queue.forget()
        if self._depot is not None:
            self._depot.forget()

    def counts(self) -> Mapping[str, Counts]:
        """What became of every item so far, by signal."""
        return {signal: queue.counts() for signal, queue in self._queues.items()}

    def say_losses(self, *, final: bool = False) -> None:
        """Say what was lost since it was said last, if anything, in one line (at most one a minute)."""
        counts = self.counts()
        for guessed in (False, True):
            concerned = {
                signal: self._worth_a_line(signal, count)
                for signal, count in counts.items()
                if (signal in self._guessed) is guessed
            }
            self._say_losses(concerned, guessed=guessed, final=final)

    def _worth_a_line(self, signal: str, count: Counts) -> Counts:
        """Without what comes after the end, as in the last moments of a program that is stopped.

        And without what a guess has cost: that nobody listens there is said by the sender.
        """
        dropped = {**count.dropped, "shutdown": count.dropped.get("shutdown", 0) - self._queues[signal].late}
        if signal in self._guessed:
            dropped["export_failed"] = 0
        return dataclasses.replace(count, dropped={name: n for name, n in dropped.items() if n > 0})

    def _say_losses(self, counts: Mapping[str, Counts], *, guessed: bool, final: bool) -> None:
        """Say it once only where the destination is a guess."""
        lost = sum(lost_items(count, final=final) for count in counts.values())
        kept = final and any(count.spooled for count in counts.values())
        if lost <= self._said[guessed] and not kept:
            return
        reason = "" if self._sender is None else self._sender.complaint
        concerned = [signal for signal, count in counts.items() if count.lost or (final and count.waiting)]
        line = lost_line(counts, where=self._where(concerned), final=final, reason=reason)
        key = f"losses:{id(self)}:{'guess' if guessed else final}"
        if line and _guard.say(line, key=key, every_s=None if guessed else _REPEAT_S):
            self._said[guessed] = lost

    # -- the steps ------------------------------------------------------------------------------

    def _rooms(self) -> Sequence[_Working]:
        # The guests first: without a thread of their own they would be ended on the caller's.
        rooms = (self._guests, self._courier, self._puller, self._sender)
        return [room for room in rooms if room is not None]

    def _put_away(self, deadline: float) -> bool:
        """Everything accepted, and the metrics of now, into the depot."""
        pulled = None if self._puller is None else self._puller.ask()
        done = self._courier.wait(self._courier.ask(), deadline=deadline)
        if self._puller is None or pulled is None:
            return done
        # A callback of the application's may hang: half of the time is for the others.
        if not self._puller.wait(pulled, deadline=_half_way(deadline)):
            return False
        return self._courier.wait(self._courier.ask(), deadline=deadline) and done

    def _deliver_rest(self, deadline: float, *, hurry: bool) -> bool:
        before = self._came()
        put_away = self._put_away(deadline)
        self._courier.secure(deadline=deadline)
        safe = self._depot is not None and self._depot.safe
        left = self._leave(deadline, hurry=hurry and safe)
        self._stop_taking()
        if put_away and (hurry or self._came() > before):  # the application has gone on meanwhile
            put_away = self._put_away(deadline)
            left = left and self._leave(deadline, hurry=hurry and safe)
        return left and put_away

    def _came(self) -> int:
        """How many spans and log records have come so far."""
        counts = self.counts()
        return sum(counts[signal].created for signal in counts if signal != "metrics")

    def _leave(self, deadline: float, *, hurry: bool = False) -> bool:
        """Everything in the depot to the receiver, and what the guests have."""
        guests = self._guests.ask()
        sent = self._sender is None or self._sender.drain(deadline=deadline, hurry=hurry)
        return self._guests.wait(guests, deadline=deadline) and sent

    def _finish(self, deadline: float) -> None:
        try:
            self._end(deadline)
        finally:
            self._closed = True
            self.say_losses(final=True)

    def _end(self, deadline: float) -> None:
        """Let go of everything, room by room; neither a failure nor a Ctrl-C keeps one from it."""
        interruption: BaseException | None = None
        half = _half_way(deadline)
        steps: Sequence[Callable[[float], object]] = (
            lambda _: self._sender and self._sender.close(deadline=half),
            lambda _: self._let_go(),
            # Not longer: a callback that hangs holds up nobody else.
            lambda until: self._puller and self._puller.stop(deadline=_half_way(until)),
            lambda until: self._courier.close(deadline=max(until, SYSTEM_CLOCK.monotonic() + _DISK_S)),
            lambda _: self._drop_rest(),
            lambda _: self._courier.count_rest(),
            lambda until: self._guests.close(deadline=until),
        )
        for step in steps:
            for _once_more in range(2):
                try:
                    with _guard.guard("dispatch.end"):
                        step(deadline)
                    break
                except BaseException as error:
                    interruption, deadline = error, min(deadline, SYSTEM_CLOCK.monotonic() + INTERRUPTED_S)
        if interruption is not None:
            raise interruption

    def _stop_taking(self) -> None:
        for queue in self._queues.values():
            queue.shut()

    def _let_go(self) -> None:
        self.released = True
        self._stop_taking()

    def _drop_rest(self) -> None:
        for queue in self._queues.values():
            queue.close(reason="shutdown")

    def _lost(self) -> int:
        return sum(count.lost for count in self.counts().values())

    def _left(self) -> int:
        return sum(count.waiting for count in self.counts().values())


def _half_way(deadline: float) -> float:
    """The middle of the time that is left."""
    now = SYSTEM_CLOCK.monotonic()
    return now + (deadline - now) / 2
