"""The process metrics of the official system-metrics instrumentation, by the present conventions.

Its instruments are made once per process, behind the switch, and asked through here. So they can be
turned off (it has no way back), say what they say once, and start anew in a fork's child, where the
official ones go on about the parent. Everything is read by whoever collects.

Source: OpenTelemetry semantic conventions, "Process metrics" and "CPython runtime metrics".
"""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from opentelemetry import metrics

from otelkit import _guard
from otelkit._otel import instrumentations

__all__ = ["turn"]

CONFIG: Mapping[str, list[str] | None] = {
    "process.cpu.time": ["user", "system"],
    "process.cpu.utilization": None,
    "process.memory.usage": None,
    "process.memory.virtual": None,
    "process.thread.count": None,
    "process.open_file_descriptor.count": None,
    "process.context_switches": ["involuntary", "voluntary"],
}
_GENERATION = "cpython.gc.generation"
GC = ("cpython.gc.collections", "cpython.gc.collected_objects", "cpython.gc.uncollectable_objects")

# What the official one calls otherwise than the conventions of today.
_LABELS: Mapping[str, Mapping[str, str]] = {
    "process.cpu.time": {"type": "cpu.mode"},
    "process.context_switches": {"type": "process.context_switch.type"},
    **{name: {"generation": _GENERATION} for name in GC},  # newer ones say both
}
_LEAST_S = 1.0  # utilization over less time than this is noise: two exits may ask at one moment

_on = False
_maker: Any = None
_pid = os.getpid()
_questions: list[_Question] = []


def turn(*, on: bool) -> None:
    """Measure or not; without psutil and the official package nothing happens."""
    global _on
    if on and _maker is None:
        _make()
    _on = on


def _make() -> None:
    global _maker, _pid
    _pid = os.getpid()
    config = {name: None if parts is None else [*parts] for name, parts in CONFIG.items()}
    if platform.python_implementation() == "CPython":
        config |= dict.fromkeys(GC)
    try:
        _maker = instrumentations.system_metrics(config, _Meters())
    except ImportError:
        return
    started = time.monotonic() - max(0.0, time.time() - instrumentations.process_of(_maker).create_time())
    _uptime.start(started)
    metrics.get_meter("otelkit.process").create_observable_gauge(
        "process.uptime", [_uptime], "s", "The time the process has been running."
    )


class _Meters(metrics.MeterProvider):
    """The global meters, whose observed instruments ask a `_Question` instead of the callback."""

    def get_meter(self, *args: Any, **kwargs: Any) -> Any:
        return _Meter(metrics.get_meter(*args[:2], **kwargs))


class _Meter:
    def __init__(self, meter: metrics.Meter) -> None:
        self._meter = meter

    def __getattr__(self, factory: str) -> Callable[..., Any]:
        make = getattr(self._meter, factory)

        def create(name: str, callbacks: Iterable[Any], **about: str) -> Any:
            asked = [_Question(name, callback) for callback in callbacks]
            _questions.extend(asked)
            return make(name, callbacks=asked, **about)

        return create


class _Question:
    """One official callback, asked while the measuring is on.

    Args:
        name: The instrument's.
        callback: The official one.
    """

    def __init__(self, name: str, callback: Callable[[Any], Iterable[metrics.Observation]]) -> None:
        self._name = name
        self._callback = callback
        self._labels = _LABELS.get(name, {})
        self._before: dict[str, float] = {}
        self._last: tuple[float, list[metrics.Observation]] | None = None
        self._broken = False
        self.begin()

    def __call__(self, options: Any) -> Iterable[metrics.Observation]:
        if not _on or self._broken or instrumentations.system_metrics_in_use():
            return ()
        _renew()
        now = time.monotonic()
        if self._last is not None and now - self._last[0] < _LEAST_S:
            return self._last[1]
        try:
            found = [self._translated(one) for one in self._callback(options)]
        except Exception:
            self._broken = True
            _guard.say(
                f"{self._name} cannot be read here: {_guard.current_error()}. It is left out.",
                key=f"process:{self._name}",
            )
            return ()
        if self._name == "process.cpu.utilization":
            self._last = now, found
        return found

    def _translated(self, one: metrics.Observation) -> metrics.Observation:
        given = one.attributes or {}
        attributes = {self._labels.get(key, key): value for key, value in given.items()}
        if _GENERATION in attributes:
            attributes[_GENERATION] = int(str(attributes[_GENERATION]))
        return metrics.Observation(one.value - self._before.get(repr(given), 0), attributes)

    def begin(self) -> None:
        """Utilization counts from the first call on, which says nothing yet."""
        if self._name == "process.cpu.utilization":
            list(self._callback(None))
            self._last = time.monotonic(), []

    def after_fork(self) -> None:
        """The interpreter's own counts go on in a child; those of before are the parent's."""
        if self._name in GC:
            with _guard.guard("process.fork"):
                self._before = {repr(one.attributes or {}): one.value for one in self._callback(None)}


class _Uptime:
    def __init__(self) -> None:
        self._started = 0.0

    def start(self, at: float) -> None:
        self._started = at

    def __call__(self, _options: Any) -> Iterable[metrics.Observation]:
        return [metrics.Observation(time.monotonic() - self._started)] if _on else ()


_uptime = _Uptime()


def _renew() -> None:
    """Read the present process, not the parent that was forked."""
    global _pid
    if _pid != os.getpid():
        _pid = os.getpid()
        instrumentations.renew_process(_maker)
        for question in _questions:
            question.begin()


def _after_fork_in_child() -> None:
    _uptime.start(time.monotonic())
    for question in _questions:
        question.after_fork()


if hasattr(os, "register_at_fork") and sys.platform != "win32":
    os.register_at_fork(after_in_child=_after_fork_in_child)
