"""How the context travels between services: W3C trace context and baggage, or what is asked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from typing import Any

from otelkit import _guard

__all__ = ["install"]


def install(names: Sequence[str]) -> Callable[[], object]:
    """Make the named propagators the global ones.

    `OTEL_PROPAGATORS` is read by the OpenTelemetry API itself; only other sources are set here.

    Args:
        names: Of the entry points ``opentelemetry_propagator``; none: context does not travel.

    Returns:
        What puts the former ones back.
    """
    if os.environ.get("OTEL_PROPAGATORS") or tuple(names) == ("tracecontext", "baggage"):
        return lambda: None
    from opentelemetry import propagate
    from opentelemetry.propagators.composite import CompositePropagator

    former = propagate.get_global_textmap()
    propagate.set_global_textmap(CompositePropagator([found for name in names for found in _found(name)]))
    return lambda: propagate.set_global_textmap(former)


def _found(name: str) -> list[Any]:
    try:
        return [entry.load()() for entry in entry_points(group="opentelemetry_propagator", name=name)]
    except Exception:
        _guard.say(f"propagators: {name!r} cannot be used: {_guard.current_error()}. It is left out.")
        return []
