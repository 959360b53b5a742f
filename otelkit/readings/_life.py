"""The life of the process's readings: begun at their first use, ended with the runtime.

Each set of meters has a history of its own, so a capture, a later `init` and a fork's child begin
anew. Only a running runtime has threads: one takes a snapshot at each interval; a second one, which
is there when an instrument is observed, asks the callbacks, as they may block.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

from otelkit import _switch, runtime
from otelkit._clock import SYSTEM_CLOCK
from otelkit.delivery.worker import Worker
from otelkit.readings._history import History
from otelkit.readings._source import source_of
from otelkit.readings._windows import Windows
from otelkit.settings import Settings

if TYPE_CHECKING:
    from otelkit.pipeline.metrics import Metrics

__all__ = ["present"]

_ROOM = "readings"
_lock = threading.Lock()


def present() -> Windows | None:
    """The windows over the meters of the present runtime or capture; None while no telemetry runs."""
    metrics: Metrics | None = _switch.present().metrics
    if metrics is None:
        return None
    organ: _Organ | None = metrics.rooms.get(_ROOM)
    if organ is None or organ.pid != os.getpid():
        with _lock:
            organ = metrics.rooms.get(_ROOM)
            if organ is None or organ.pid != os.getpid():
                # A child that goes on with its parent's meters knows no time at which their sums were 0.
                organ = metrics.rooms[_ROOM] = _Organ(metrics, since=None if organ else metrics.began)
    organ.start()
    return organ.windows


def _owner(metrics: Metrics) -> runtime.Runtime | None:
    """The runtime that runs with these meters; None for those of a capture, or of one that has ended."""
    running = runtime.current()
    parts = None if running is None else running._parts
    return running if parts is not None and parts.metrics is metrics and not parts.dispatch.ended else None


class _Organ:
    """The readings of one set of meters, and the threads that keep them."""

    def __init__(self, metrics: Metrics, *, since: float | None) -> None:
        running = _owner(metrics)
        settings = Settings() if running is None else running.settings
        self.pid = os.getpid()
        self._interval_s = settings.readings_interval_s
        self._history = History(
            source_of(metrics.readers[0], metrics.tallies),
            since=since,
            interval_s=self._interval_s,
            max_bytes=settings.readings_max_bytes,
        )
        self.windows = Windows(self._history, prefix=metrics.prefix)
        self._metrics = metrics
        self._workers: list[Worker] = []
        self._stopped = False

    def start(self) -> None:
        """Start the thread, once, if a runtime runs on these meters; a capture has none."""
        if self._workers:
            return
        running = _owner(self._metrics)
        if running is None or running.ending:
            return
        with _lock:
            if not self._workers:
                running.on_close(self.stop)
                self._begin("otelkit-readings", self._count)

    def stop(self) -> None:
        """End the threads; waits for none, as a callback may block."""
        self._stopped = True
        for worker in list(self._workers):
            worker.stop(deadline=SYSTEM_CLOCK.monotonic())

    def _count(self) -> None:
        self._history.count()
        if self._history.waits and len(self._workers) == 1:
            self._begin("otelkit-readings-callbacks", self._history.observe)

    def _begin(self, name: str, work: Callable[[], None]) -> None:
        """Do ``work`` now and at each interval, on a thread of its own, while the runtime runs."""
        due = SYSTEM_CLOCK.monotonic()

        def turn(_asked: bool) -> float | None:
            nonlocal due
            if _owner(self._metrics) is None:
                self.stop()
                return None
            if SYSTEM_CLOCK.monotonic() >= due:
                due = SYSTEM_CLOCK.monotonic() + self._interval_s
                work()
            return max(0.0, due - SYSTEM_CLOCK.monotonic())

        worker = Worker(name=name, work=turn)
        self._workers.append(worker)
        try:
            worker.start()
        except RuntimeError:  # the interpreter ends; what the process counts can still be looked up
            pass
        if self._stopped:  # meanwhile
            self.stop()


def _after_fork_in_child() -> None:
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
