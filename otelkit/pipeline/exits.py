"""The ways out that a plan names, as objects: OTLP, named exporters, the user's own, the terminal."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from otelkit import _guard, _otel
from otelkit.errors import ConfigurationError
from otelkit.exits.console import ConsoleExit
from otelkit.exits.local import LocalExit
from otelkit.exits.otlp import MetricExit, RecordExit, build_exporter

if TYPE_CHECKING:
    from otelkit.pipeline.plan import Way
    from otelkit.types import Exit

__all__ = ["MetricExits", "metric_exits", "record_exits"]


def record_exits(
    way: Way, users: Sequence[Any], *, in_use: Callable[[object], bool], console: bool = False
) -> list[Exit]:
    """The exits of spans or log records, the one that decides about delivery first.

    Args:
        way: Where the signal goes.
        users: The user's exporters.
        in_use: Whether another runtime still uses an exporter.
        console: Whether traces are shown on the terminal too.
    """
    exits: list[Exit] = []
    official = _official(way)
    if official is not None:
        exits.append(_sure(way, RecordExit(name=f"otlp.{way.signal}", exporter=official, official=True)))
    exits += [RecordExit(name=name, exporter=exporter) for name, exporter in _named(way)]
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
    """The ways out of metrics.

    Attributes:
        exits: The one that decides about delivery first; empty when metrics are not pushed.
        exporter: The exporter whose temporality and aggregation are used.
        readers: What was named and is a reader by itself.
    """

    exits: list[Exit]
    exporter: Any
    readers: tuple[Any, ...]


def metric_exits(way: Way, *, temporality: str, histograms: str) -> MetricExits:
    """The exits of metrics.

    Args:
        way: Where metrics go.
        temporality: ``cumulative``, ``delta`` or ``lowmemory``, by the OTLP specification.
        histograms: The name of the aggregation of histograms, by the same.
    """
    exits: list[Exit] = []
    official = _official(
        way,
        preferred_temporality=_temporality(temporality),
        preferred_aggregation=_aggregation(histograms),
    )
    if official is not None:
        exits.append(_sure(way, MetricExit(name="otlp.metrics", exporter=official)))
    named = _named(way)
    exporters = [(name, made) for name, made in named if callable(getattr(made, "export", None))]
    exits += [MetricExit(name=name, exporter=made) for name, made in exporters]
    first = official or next((made for _, made in exporters), None)
    return MetricExits(exits, first, tuple(made for name, made in named if (name, made) not in exporters))


def _sure(way: Way, exit_: Exit) -> Exit:
    """``exit_`` behind a look whether somebody listens, where nobody said that somebody does."""
    return exit_ if way.otlp is None or way.endpoint_given else LocalExit(exit_, way.otlp.url)


def _temporality(name: str) -> dict[type, Any]:
    from opentelemetry.sdk import metrics
    from opentelemetry.sdk.metrics.export import AggregationTemporality

    kinds = {
        "delta": (metrics.Counter, metrics.Histogram, metrics.ObservableCounter),
        "lowmemory": (metrics.Counter, metrics.Histogram),
    }
    return dict.fromkeys(kinds.get(name, ()), AggregationTemporality.DELTA)


def _aggregation(name: str) -> dict[type, Any]:
    from opentelemetry.sdk import metrics
    from opentelemetry.sdk.metrics.view import (
        ExplicitBucketHistogramAggregation,
        ExponentialBucketHistogramAggregation,
    )

    exponential = name == "base2_exponential_bucket_histogram"
    made = ExponentialBucketHistogramAggregation() if exponential else ExplicitBucketHistogramAggregation()
    return {metrics.Histogram: made}


def _official(way: Way, **more: Any) -> Any:
    """The OTLP exporter; None, with one line, where it cannot be made (an unreadable certificate, say)."""
    if way.otlp is None:
        return None
    try:
        return build_exporter(way.signal, way.otlp, **more)
    except ConfigurationError as error:
        _guard.refuse(str(error), strict=way.strict)
    except Exception:
        _guard.refuse(
            f"the OTLP exporter of {way.signal} cannot be made: {_guard.current_error()}. "
            f"{way.signal} are not sent; check the OTEL_EXPORTER_OTLP_* settings.",
            strict=way.strict,
            key=f"exporter:{way.signal}",
        )
    return None


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
