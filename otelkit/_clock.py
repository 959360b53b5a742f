"""Two clocks behind one seam: wall time for stamps, monotonic time for durations."""

from __future__ import annotations

import threading
import time
from typing import Protocol

__all__ = ["SYSTEM_CLOCK", "Clock", "FakeClock", "SystemClock"]


class Clock(Protocol):
    """Tells the time. Both methods may be called from any thread and never raise."""

    def time_ns(self) -> int:
        """Wall time in nanoseconds since the Unix epoch; may jump."""
        ...

    def monotonic(self) -> float:
        """Seconds from an arbitrary start; never goes back."""
        ...


class SystemClock:
    """The clocks of the machine, also while a test has frozen the functions of `time`.

    freezegun replaces them in `time` and in every module that has imported one. A wait whose
    deadline is on a clock that stands still would never end; in a class they are left alone.
    """

    time_ns = staticmethod(time.time_ns)
    monotonic = staticmethod(time.monotonic)


class FakeClock:
    """A clock that a test owns: it moves by ``step_ns`` at each reading of the wall time.

    Args:
        start_ns: The first wall time, in nanoseconds since the Unix epoch.
        step_ns: How far each reading of `time_ns` moves the clock.
    """

    def __init__(self, *, start_ns: int = 1_700_000_000_000_000_000, step_ns: int = 1_000_000) -> None:
        self._now_ns = start_ns
        self._start_ns = start_ns
        self._step_ns = step_ns
        self._lock = threading.Lock()

    def time_ns(self) -> int:
        """The fake wall time; moves on by ``step_ns`` each time it is read."""
        with self._lock:
            now = self._now_ns
            self._now_ns += self._step_ns
            return now

    def monotonic(self) -> float:
        """Seconds since the clock was made, in fake time; reading it moves nothing."""
        with self._lock:
            return (self._now_ns - self._start_ns) / 1e9

    def advance(self, seconds: float) -> None:
        """Move both clocks forward by ``seconds``."""
        with self._lock:
            self._now_ns += round(seconds * 1e9)


SYSTEM_CLOCK = SystemClock()
