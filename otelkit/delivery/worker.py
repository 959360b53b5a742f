"""A background thread that works in rounds: when it is due, when it is woken, when it is asked.

Its context suppresses telemetry, so that nothing it calls makes any. Whatever a round raises, also a
CancelledError or SystemExit of the application's code, it is not the last one.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable

from otelkit import _guard
from otelkit._clock import SYSTEM_CLOCK
from otelkit.processors.context import SUPPRESSED, attach

__all__ = ["Bell", "Room", "Worker", "bounded"]

_AFTER_FAILURE_S = 1.0
_YEAR_S = 365 * 86_400.0


def bounded(timeout_s: float) -> float:
    """Seconds that a thread can wait: no negative number, nothing beyond a year, no NaN."""
    return min(max(0.0, timeout_s), _YEAR_S)


class Bell:
    """Wakes one waiting thread; rung while nobody waits, it wakes the next wait at once.

    A bare lock instead of `threading.Event`: ringing is one step in C, so a signal handler that
    interrupts it and rings too finds no lock held by its own thread.
    """

    __slots__ = ("_lock",)

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def ring(self) -> None:
        """Wake the waiting thread."""
        try:
            self._lock.release()
        except RuntimeError:  # it has been rung already
            pass

    def wait(self, timeout_s: float | None) -> bool:
        """Wait until it rings, at most ``timeout_s`` seconds (None: for ever); whether it rang."""
        if timeout_s is None:
            return self._lock.acquire()
        return self._lock.acquire(timeout=min(max(0.0, timeout_s), threading.TIMEOUT_MAX))


class Worker:
    """Owns one daemon thread (an interpreter that ends never waits for it).

    Args:
        name: The thread's name.
        work: One round, on the thread. Gets whether somebody waits for everything to be done, and
            returns after how many seconds it wants to be called again (None: when woken).
        end: Called on the thread when it was stopped, as its last step.
    """

    def __init__(
        self, *, name: str, work: Callable[[bool], float | None], end: Callable[[], object] | None = None
    ) -> None:
        self._name = name
        self._work = work
        self._end = end
        self._bell = Bell()
        self._progress = threading.Condition()
        self._asked = 0
        self._serving = 0
        self._done = 0
        self._served = 0
        self._stopping = False
        self._ended = False
        self._thread: threading.Thread | None = None
        self._pid = os.getpid()

    def start(self) -> None:
        """Start the thread, once.

        Raises:
            RuntimeError: The interpreter ends, and starts no thread any more.
        """
        with self._progress:
            if self._thread is None:
                thread = threading.Thread(target=self._run, name=self._name, daemon=True)
                thread.start()
                self._thread = thread

    @property
    def alive(self) -> bool:
        """Whether the thread runs, in this process."""
        return self._thread is not None and self._thread.is_alive() and self._pid == os.getpid()

    @property
    def stopping(self) -> bool:
        """Whether it was told to stop."""
        return self._stopping

    @property
    def called(self) -> bool:
        """Whether the present round should end soon: somebody has asked meanwhile, or said stop."""
        return self._stopping or self._asked > self._serving

    def wake(self) -> None:
        """Begin a round soon; never blocks, and may be called in a signal handler."""
        self._bell.ring()

    def ask(self) -> int:
        """Ask for a round that does everything; returns a ticket for `wait`."""
        with self._progress:
            self._asked += 1
            ticket = self._asked
        self._bell.ring()
        return ticket

    def wait(self, ticket: int, *, deadline: float) -> bool:
        """Wait until that round is over.

        Returns:
            False at the deadline (monotonic seconds), without a thread, or when the round has failed.
        """
        with self._progress:
            self._progress.wait_for(
                lambda: self._served >= ticket or self._ended or not self.alive,
                max(0.0, deadline - SYSTEM_CLOCK.monotonic()),
            )
            return self._done >= ticket

    def waited_for(self, ticket: int) -> bool:
        """Whether that round is still to come to its end."""
        return self._served < ticket and self.alive

    def pause(self, seconds: float) -> None:
        """Wait on the thread itself, between two steps of a round; ended by `stop`."""
        until = SYSTEM_CLOCK.monotonic() + seconds
        while not self._stopping and (left := until - SYSTEM_CLOCK.monotonic()) > 0:
            self._bell.wait(left)

    def stop(self, *, deadline: float) -> bool:
        """End the thread after its present round; whether it has ended by the deadline."""
        self._stopping = True
        self._bell.ring()
        thread = self._thread
        if thread is not None and self._pid == os.getpid() and thread is not threading.current_thread():
            thread.join(max(0.0, deadline - SYSTEM_CLOCK.monotonic()))
        return not self.alive

    def _run(self) -> None:
        attach(SUPPRESSED)
        _guard.own_thread()
        delay: float | None = 0.0
        try:
            while not self._stopping:
                self._bell.wait(delay)
                with self._progress:
                    asked = self._serving = self._asked
                wanted = asked > self._served
                delay, done = self._round(wanted)
                with self._progress:
                    self._served = asked
                    if wanted and done:
                        self._done = asked
                    self._progress.notify_all()
                    if self._asked > asked:  # asked meanwhile; `pause` may have heard the bell
                        delay = 0.0
            if self._end is not None:
                with _guard.guard(self._name):
                    self._end()
        finally:
            with self._progress:
                self._ended = True
                self._progress.notify_all()

    def _round(self, asked: bool) -> tuple[float | None, bool]:
        """When to come again, and whether all went well."""
        try:
            return self._work(asked), True
        except BaseException:
            _guard.swallowed(self._name)
            return _AFTER_FAILURE_S, False


class Room:
    """What works on one thread of its own: the life of its worker.

    Args:
        worker: The thread.
    """

    def __init__(self, worker: Worker) -> None:
        self._worker = worker

    def start(self) -> None:
        """Start the thread."""
        self._worker.start()

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._worker.alive

    def ask(self) -> int:
        """Ask for everything to be done that waits now; a ticket for `wait`."""
        return self._worker.ask()

    def wait(self, ticket: int, *, deadline: float) -> bool:
        """Whether that was done by the deadline (monotonic seconds), without a failure."""
        return self._worker.wait(ticket, deadline=deadline)

    def stop(self, *, deadline: float) -> bool:
        """End the thread after its present round; whether it has ended by the deadline."""
        return self._worker.stop(deadline=deadline)
