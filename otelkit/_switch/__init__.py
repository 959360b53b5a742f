"""One replaceable target behind the global providers of OpenTelemetry.

OpenTelemetry takes a global provider once per process and has no public reset. So otelkit registers
three providers whose target can be turned: everything fetched from them, at any time, works on the
present target. `turn` does that for all three signals; without a target they do nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any, Protocol

from otelkit import _guard, _otel
from otelkit._switch.logs import SwitchLoggerProvider
from otelkit._switch.metrics import SwitchMeterProvider
from otelkit._switch.traces import SwitchTracerProvider

__all__ = [
    "LOGS",
    "METRICS",
    "OFF",
    "TRACES",
    "Target",
    "follow",
    "install",
    "pop",
    "present",
    "push",
    "turn",
]


class Source(Protocol):
    """Makes the tracers, meters or loggers of one runtime."""

    sdk: Any


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Target:
    """What the providers work on.

    Attributes:
        traces, metrics, logs: The sources of one runtime; None where a signal is off.
        disabled_scopes: Names or wildcards of the scopes that get no-ops.
        flush: Called by ``force_flush`` on any of the providers, with a timeout in seconds.
        shutdown: Called by ``shutdown`` on any of the providers.
    """

    traces: Any = None
    metrics: Any = None
    logs: Any = None
    disabled_scopes: Sequence[str] = ()
    flush: Callable[[float], bool] = lambda _: True
    shutdown: Callable[[], object] = lambda: None

    def disabled(self, scope: object) -> bool:
        """Whether the tracers, meters and loggers of this scope are no-ops."""
        return any(fnmatchcase(str(scope), pattern) for pattern in self.disabled_scopes)


OFF = Target()
TRACES = SwitchTracerProvider(OFF)
METRICS = SwitchMeterProvider(OFF)
LOGS = SwitchLoggerProvider(OFF)

_lock = threading.RLock()
_present: Target = OFF
_base: Target = OFF
_overlays: list[Target] = []
_followers: list[Callable[[Target], object]] = []
_installed = False


def install() -> None:
    """Register the three providers; once per process, at the first need.

    Where somebody else registered a provider first, it stays: its spans and records are taken
    over by a forwarding processor, and one line says so.
    """
    global _installed
    with _lock:
        if _installed:
            return
        _installed = True
        foreign = [
            message
            for signal, ours in (("traces", TRACES), ("metrics", METRICS), ("logs", LOGS))
            if (message := _register(signal, ours)) is not None
        ]
    if foreign:
        _guard.say(
            f"another OpenTelemetry provider was registered before otelkit.init: {'; '.join(foreign)}. "
            "Call otelkit.init first, or remove the other set-up."
        )


def _register(signal: str, ours: Any) -> str | None:
    """Register one provider; returns what happens instead when another one is there."""
    foreign = _otel.register_provider(signal, ours)
    if foreign is None:
        return None
    kind = type(foreign).__name__
    taken_over: bool = ours.follow(foreign)
    return f"{signal} stay with its {kind}" + (" and are also sent by otelkit" if taken_over else "")


def turn(target: Target) -> Target:
    """Make ``target`` the one below all captures; returns the former one."""
    global _base
    with _lock:
        former, _base = _base, target
        _apply()
        return former


def push(target: Target) -> None:
    """Put ``target`` on top of everything, whatever is turned below it, until `pop`."""
    with _lock:
        _overlays.append(target)
        _apply()


def pop(target: Target) -> None:
    """Take ``target`` away again, wherever in the stack it is."""
    with _lock:
        _overlays[:] = [other for other in _overlays if other is not target]
        _apply()


def _apply() -> None:
    global _present
    wanted = _overlays[-1] if _overlays else _base
    if wanted is not _present:
        _present = wanted
        for provider in (TRACES, METRICS, LOGS):
            provider.turn(wanted)
        for follower in _followers:
            with _guard.guard("switch.follow"):
                follower(wanted)


def follow(follower: Callable[[Target], object]) -> None:
    """Call ``follower`` with the present target now, and with each later one; quick, for ever."""
    with _lock:
        _followers.append(follower)
        follower(_present)


def present() -> Target:
    """The target the providers work on now."""
    return _present


def after_fork_in_child() -> None:
    """Replace the locks, which another thread of the parent may have held."""
    global _lock
    _lock = threading.RLock()
    for provider in (TRACES, METRICS, LOGS):
        provider.after_fork_in_child()
