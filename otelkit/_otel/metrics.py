"""Readers of the SDK's meters: what they are given, what they change, and what they have counted so far."""

from __future__ import annotations

from functools import lru_cache
from inspect import signature
from operator import add
from time import time_ns
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry.trace.propagation import _SPAN_KEY as SPAN_KEY

from otelkit._clock import SYSTEM_CLOCK
from otelkit._otel.reentry import marked

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from opentelemetry.sdk.metrics.export import MetricReader, MetricsData

__all__ = [
    "MetricStream",
    "allow_series",
    "change_collected",
    "collect_metrics",
    "exemplar_filter",
    "exporter_preferences",
    "has_observed",
    "histograms_so_far",
    "keep_gauge_values",
    "last_values",
    "mark_collections",
    "metric_streams",
    "observe_metrics",
    "release_reader",
    "series_attributes",
    "series_count",
    "series_of",
    "sums_so_far",
]


def exporter_preferences(exporter: Any) -> tuple[dict[type, Any] | None, dict[type, Any] | None]:
    """The temporality and aggregation that a metric exporter asks its reader for."""
    return (
        getattr(exporter, "_preferred_temporality", None),
        getattr(exporter, "_preferred_aggregation", None),
    )


def release_reader(reader: MetricReader) -> None:
    """Let a metric reader be used by another meter provider; the SDK keeps a list of all in use."""
    from opentelemetry.sdk.metrics import MeterProvider

    MeterProvider._all_metric_readers.discard(reader)


_SDK_LIMIT = 2_000  # from 1.45.2 on


def allow_series(reader: MetricReader, count: int) -> None:
    """Let each instrument have ``count`` attribute sets, beside the empty one and the overflow.

    The SDK's default is raised where it has one; a limit that the reader was given stays.
    """
    limits: dict[type, int] = getattr(reader, "_instrument_class_cardinality_limit", {})
    for kind, limit in limits.items():
        if limit == _SDK_LIMIT:
            limits[kind] = max(limit, count + 2)


def mark_collections(provider: Any) -> None:
    """Let measurements that a collection brings about wait until it is over; see `reentry`."""
    for storage in provider._measurement_consumer._reader_storages.values():
        storage.collect = marked()(storage.collect)


def change_collected(reader: Any, change: Callable[[MetricsData], MetricsData]) -> None:
    """Give a reader of a meter provider what ``change`` makes of each collection."""
    collect = reader._collect

    def collect_changed(*args: Any, **kwargs: Any) -> MetricsData | None:
        data = collect(*args, **kwargs)
        return None if data is None else change(data)

    reader._set_collect_callback(collect_changed)


def exemplar_filter(name: str) -> Any:
    """The exemplar filter of that name, as `OTEL_METRICS_EXEMPLAR_FILTER` has it."""
    from opentelemetry.sdk import metrics

    filters = {"always_on": metrics.AlwaysOnExemplarFilter, "always_off": metrics.AlwaysOffExemplarFilter}
    return filters[name]() if name in filters else _trace_based_filter()()


@lru_cache(maxsize=1)
def _trace_based_filter() -> type[Any]:
    from opentelemetry.sdk.metrics import TraceBasedExemplarFilter

    class InSampledSpan(TraceBasedExemplarFilter):
        """The SDK's filter with one lookup instead of five calls, at every measurement."""

        def should_sample(self, _value: float, _time: int, _attributes: Any, context: Any) -> bool:
            span = context.get(SPAN_KEY)
            return span is not None and bool(span.get_span_context().trace_flags & 1)

    return InSampledSpan


def keep_gauge_values(reader: MetricReader) -> None:
    """Make a synchronous gauge show its last value at every collection, as newer SDKs do.

    Args:
        reader: A reader that no meter provider has yet. Nothing is changed on newer SDKs, nor for
            a reader that wants another aggregation for gauges.
    """
    from opentelemetry.sdk.metrics._internal.aggregation import _LastValueAggregation
    from opentelemetry.sdk.metrics._internal.instrument import _Gauge as SdkGauge
    from opentelemetry.sdk.metrics.view import DefaultAggregation

    if "instrument_is_synchronous" in signature(_LastValueAggregation).parameters:
        return
    aggregations = reader._instrument_class_aggregation
    if type(aggregations.get(SdkGauge)) is DefaultAggregation:
        aggregations[SdkGauge] = _keeping_aggregation()


@lru_cache(maxsize=1)
def _keeping_aggregation() -> Any:
    from opentelemetry.sdk.metrics._internal.aggregation import _LastValueAggregation
    from opentelemetry.sdk.metrics.view import LastValueAggregation

    class Keeping(_LastValueAggregation):
        _value: Any

        def collect(self, *args: Any, **kwargs: Any) -> Any:
            point = super().collect(*args, **kwargs)
            if point is not None:
                with self._lock:
                    if self._value is None:  # nobody has set it meanwhile
                        self._value = point.value
            return point

    class KeepingAggregation(LastValueAggregation):
        def _create_aggregation(
            self, _instrument: Any, attributes: Any, reservoir_factory: Any, _start_time: int
        ) -> Any:
            builder: Any = reservoir_factory(_LastValueAggregation)
            make: Any = Keeping  # newer SDKs want one argument more
            return make(attributes, reservoir_builder=builder)

    return KeepingAggregation()


# --- metrics: what a reader has counted, looked up without a collection ---------------------------
#
# A collection makes an object for each series and empties the reservoirs of exemplars, which `/metrics`
# shows. What follows reads the same numbers where the SDK keeps them: a sum in an aggregation is what
# was collected before plus what was added since. `otelkit.readings` tries it out before it relies on it.


class MetricStream(NamedTuple):
    """One metric of one scope in a reader's storage.

    Attributes:
        key: The SDK's object behind it.
        name: Its OpenTelemetry name, after views.
        unit: Its unit in UCUM.
        kind: ``counter``, ``up_down_counter``, ``gauge`` or ``histogram``; empty for any other.
        scope: The name of its scope.
        observed: Whether it is measured by callbacks.
        bounds: A histogram's upper bounds.
    """

    key: Any
    name: str
    unit: str
    kind: str
    scope: str
    observed: bool
    bounds: tuple[float, ...]


def collect_metrics(reader: Any, *, timeout_s: float) -> MetricsData | None:
    """What a reader collects now, for the caller alone; the reader's own receiver gets nothing."""
    data: MetricsData | None = reader._collect(reader, timeout_millis=timeout_s * 1000)
    return data


def metric_streams(reader: Any) -> list[MetricStream]:
    """The streams of a reader up to now, in an order that only grows. Takes no lock.

    Each copy of one of the SDK's dictionaries is one step of the interpreter, and nothing is ever taken
    out of them; a reading must not wait for a collection that holds their locks.
    """
    storage = reader._collect.__self__._reader_storages[reader]
    matches = list(storage._instrument_view_instrument_matches.items())
    return [_stream(instrument, match) for instrument, found in matches for match in found]


def _stream(instrument: Any, match: Any) -> MetricStream:
    from opentelemetry.metrics import Asynchronous

    template = match._aggregation
    return MetricStream(
        key=match,
        name=match._name,
        unit=instrument.unit or "",
        kind=_stream_kind(instrument, template),
        scope=instrument.instrumentation_scope.name,
        observed=isinstance(instrument, Asynchronous),
        bounds=tuple(getattr(template, "_boundaries", ())),
    )


def _stream_kind(instrument: Any, template: Any) -> str:
    from opentelemetry.metrics import Counter, ObservableCounter
    from opentelemetry.sdk.metrics._internal import aggregation

    if isinstance(template, aggregation._SumAggregation):
        return "counter" if isinstance(instrument, (Counter, ObservableCounter)) else "up_down_counter"
    if isinstance(template, aggregation._LastValueAggregation):
        return "gauge"
    return "histogram" if isinstance(template, aggregation._ExplicitBucketHistogramAggregation) else ""


def series_count(key: Any) -> int:
    """How many series a stream has."""
    return len(key._attributes_aggregation)


def series_of(key: Any) -> list[Any]:
    """The series of a stream, in an order that only grows; see `metric_streams`."""
    return list(key._attributes_aggregation.values())


def series_attributes(series: Any) -> Mapping[str, Any]:
    """The attributes of a series."""
    return series._attributes or {}


def sums_so_far(series: Sequence[Any]) -> list[float]:
    """What was added to each series of a counter or up-down counter."""
    sums = []
    with marked():
        for one in series:
            with one._lock:
                since, before = one._value, one._previous_value
            sums.append(before if since is None else before + since)
    return sums


def last_values(series: Sequence[Any]) -> list[float | None]:
    """What each series of a gauge was set to; None for the moment in which an older SDK collects it."""
    return [one._value for one in series]


def histograms_so_far(series: Sequence[Any], buckets: int) -> list[float]:
    """Of each series of a histogram the sum of its observations and the count in each bucket, in a row."""
    since: list[float] = []
    before: list[float] = []
    empty = (0,) * buckets
    with marked():
        for one in series:
            with one._lock:
                since.append(one._sum)
                since += one._value or empty
                before.append(one._previous_sum)
                before += one._previous_value or empty
    return list(map(add, since, before))  # at once: an addition for each series costs half as much again


def has_observed(reader: Any) -> bool:
    """Whether a reader's meter provider has instruments that are measured by callbacks."""
    return bool(reader._collect.__self__._async_instruments)


def observe_metrics(reader: Any, *, timeout_s: float) -> tuple[list[tuple[Any, list[float | None]]], bool]:
    """Ask the callbacks of observed instruments, as a collection does, and collect these streams only.

    Measured into the reader's storage and taken from there at once, so that the next collection finds
    what it would have found. The application's callbacks run in the caller's thread.

    Args:
        reader: A cumulative one.
        timeout_s: For the wait until no other collection is under way, and for the callbacks.

    Returns:
        The key of each observed stream, with one value per series (None for a series that was not
        answered); and whether all instruments were asked within the time.
    """
    from opentelemetry.metrics import CallbackOptions
    from opentelemetry.sdk.metrics.export import AggregationTemporality

    consumer = reader._collect.__self__
    storage = consumer._reader_storages[reader]
    deadline = SYSTEM_CLOCK.monotonic() + timeout_s
    found: list[tuple[Any, list[float | None]]] = []
    if not consumer._lock.acquire(timeout=timeout_s):
        return found, False
    try:
        for instrument in list(consumer._async_instruments):
            left_s = deadline - SYSTEM_CLOCK.monotonic()
            if left_s <= 0:
                return found, False
            for measurement in instrument.callback(CallbackOptions(timeout_millis=left_s * 1000)):
                storage.consume_measurement(measurement, False)
            now = time_ns()
            for match in storage._instrument_view_instrument_matches.get(instrument, ()):
                points = [one.collect(AggregationTemporality.CUMULATIVE, now) for one in series_of(match)]
                found.append((match, [getattr(point, "value", None) for point in points]))
        return found, True
    finally:
        consumer._lock.release()
