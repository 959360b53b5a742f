"""Event loop lag: how late an event loop comes to what is due, as every request in it is then late.

One timer per second and loop measures how late it is called. The lag of a loop that is blocked is
known only when it goes on, so ``otelkit.event_loop.overdue`` tells it from outside meanwhile.
No convention names these for Python (Node.js has ``nodejs.eventloop.delay.*``).
"""

from __future__ import annotations

import asyncio
import os
import threading
import weakref
from collections.abc import Iterable
from contextvars import Context
from typing import Any

from opentelemetry import metrics

from otelkit import _guard

__all__ = ["turn", "watch_loop"]

_EVERY_S = 1.0
_BOUNDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

_lock = threading.Lock()
_watched: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _Watch] = weakref.WeakKeyDictionary()
_on = False
_lag: Any = None


def watch_loop() -> bool:
    """Measure the lag of the event loop that runs here, until it is closed.

    Cheap to call again, at each request say. `otelkit.init` does it for the loop that it is called
    in, and otelkit's own ASGI parts for the loop of a server. While ``process_metrics`` is off, or
    before `otelkit.init`, the loop is only remembered.

    Returns:
        Whether a loop runs here.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        return False
    if loop in _watched:
        return True
    with _guard.guard("process.watch_loop"):
        with _lock:
            watch = _watched.setdefault(loop, _Watch(loop))
        if _on:
            watch.start()
    return True


def turn(*, on: bool) -> None:
    """Measure the known loops, and the one that runs here, or none; timers end within a second."""
    global _on
    _on = on
    if not on:
        return
    if _lag is None:
        _make()
    watch_loop()
    with _lock:
        watches = list(_watched.values())
    for watch in watches:
        watch.start_from_outside()


def _make() -> None:
    global _lag
    meter = metrics.get_meter("otelkit.process")
    _lag = meter.create_histogram(
        "otelkit.event_loop.lag",
        unit="s",
        description="How late the event loop called a timer, measured once per second.",
        explicit_bucket_boundaries_advisory=_BOUNDS,
    )
    meter.create_observable_gauge(
        "otelkit.event_loop.overdue",
        [_overdue],
        "s",
        "How long an event loop has been late by now; 0 while it is on time.",
    )


class _Watch:
    """The timer of one loop. Everything but `overdue` and `start_from_outside` runs in that loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = weakref.ref(loop)  # the loop holds its timers, and they hold this
        self._due = 0.0
        # Its own, as that of the request in which the watching began would be kept for ever.
        self._context = Context()
        self._armed = False  # the timer itself would hold the loop

    def start(self) -> None:
        """Begin, unless the timer is set already."""
        if not self._armed:
            self._set()

    def start_from_outside(self) -> None:
        """Begin, asked by any thread."""
        loop = self._loop()
        if loop is not None and not self._armed:
            try:
                loop.call_soon_threadsafe(self.start)
            except RuntimeError:  # closed
                return

    def overdue(self) -> float | None:
        """How late the timer is by now, in seconds; None where no timer runs."""
        loop = self._loop()
        if loop is None or not self._armed or not loop.is_running():
            return None
        return max(0.0, loop.time() - self._due)

    def _set(self) -> None:
        loop = self._loop()
        if loop is not None:
            self._due = loop.time() + _EVERY_S
            loop.call_at(self._due, self._tick, context=self._context)
            self._armed = True

    def _tick(self) -> None:
        self._armed = False
        loop = self._loop()
        if loop is None or not _on:
            return
        try:
            _lag.record(max(0.0, loop.time() - self._due))
            self._set()
        except Exception:
            _guard.swallowed("process.lag")


def _overdue(_options: Any) -> Iterable[metrics.Observation]:
    with _lock:
        watches = list(_watched.values())
    late = [seconds for watch in watches if (seconds := watch.overdue()) is not None]
    return [metrics.Observation(max(late))] if _on and late else ()


def _after_fork_in_child() -> None:
    """The parent's loops do not run in the child."""
    global _lock, _watched
    _lock = threading.Lock()
    _watched = weakref.WeakKeyDictionary()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
