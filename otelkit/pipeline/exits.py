"""The ways out besides OTLP, as objects: named exporters, the user's own, the terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from otelkit import _guard, _otel
from otelkit.exits.console import ConsoleExit
from otelkit.exits.exporters import MetricExit, RecordExit

if TYPE_CHECKING:
    from otelkit.pipeline.plan import Way
    from otelkit.types import Exit

__all__ = ["MetricExits", "metric_exits", "record_exits"]


def record_exits(
    way: Way, users: Sequence[Any], *, in_use: Callable[[object], bool], console: bool = False
) -> list[Exit]:
    """The exits of spans or log records besides OTLP, in the order in which they decide about delivery.

    Args:
        way: Where the signal goes.
        users: The user's exporters.
        in_use: Whether another runtime still uses an exporter.
        console: Whether traces are shown on the terminal too.
    """
    exits: list[Exit] = [RecordExit(name=name, exporter=exporter) for name, exporter in _named(way)]
    for exporter in users:
        if callable(getattr(exporter, "export", None)):
            name = type(exporter).__name__
            exits.append(RecordExit(name=name, exporter=exporter, in_use=in_use))
        else:
            _guard.say(
                f"{way.signal}: {type(exporter).__name__} has no method 'export' and is left out. "
                "Give exporters of the OpenTelemetry SDK."
            )
    if console:
        exits.append(ConsoleExit())
    return exits


class MetricExits(NamedTuple):
    """The ways out of metrics besides OTLP.

    Attributes:
        exits: In the order in which they decide about delivery.
        exporter: The exporter whose temporality and aggregation are used, if any.
        readers: What was named and is a reader by itself.
    """

    exits: list[Exit]
    exporter: Any
    readers: tuple[Any, ...]


def metric_exits(way: Way) -> MetricExits:
    """The exits of metrics besides OTLP."""
    named = _named(way)
    exporters = [(name, made) for name, made in named if callable(getattr(made, "export", None))]
    exits: list[Exit] = [MetricExit(name=name, exporter=made) for name, made in exporters]
    first = next((made for _, made in exporters), None)
    return MetricExits(exits, first, tuple(made for name, made in named if (name, made) not in exporters))


def _named(way: Way) -> list[tuple[str, Any]]:
    """The exporters that `OTEL_TRACES_EXPORTER` and its like name by entry point."""
    found = []
    for name in way.named:
        try:
            found.append((name, _otel.named_exporter(way.signal, name)))
        except Exception:
            _guard.refuse(
                f"OTEL_{way.signal.upper()}_EXPORTER={name}: {_guard.current_error()}. "
                "It is left out; install the package that offers it, or correct the name.",
                strict=way.strict,
                key=f"exporter:{way.signal}:{name}",
            )
    return found
