"""Where the numbers come from: the SDK's own aggregations, else its official collection."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Protocol

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import ExponentialHistogram, Gauge, Metric, Sum
from opentelemetry.sdk.resources import Resource

from otelkit._otel import metrics as sdk_metrics
from otelkit.pipeline.metrics import PullReader
from otelkit.readings._streams import Live, Stream, Tallied, Told

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricReader

    from otelkit.pipeline.metrics import Tally

    Tallies = Mapping[tuple[str, str], Tally]

__all__ = ["Collected", "Sdk", "Source", "source_of"]


class Source(Protocol):
    """The metrics of one meter provider."""

    def live(self) -> Sequence[Stream]:
        """What can be looked up now. From any thread; cheap, and never blocks on a collection."""
        ...

    def told(self) -> Sequence[Stream]:
        """What was told by the latest `observe`. From any thread; cheap."""
        ...

    def waits(self) -> bool:
        """Whether `observe` has anything to do."""
        ...

    def observe(self, *, timeout_s: float) -> bool:
        """Ask for what can only be told; runs the application's callbacks. By one thread at a time.

        Returns:
            Whether everything was asked within the time.
        """
        ...


def source_of(reader: MetricReader, tallies: Tallies | None = None) -> Source:
    """The source behind a cumulative reader that a meter provider has.

    Args:
        reader: The reader.
        tallies: What is observed and can be looked up, by scope and name; there may be more later.
    """
    return Sdk(reader, tallies) if sdk_is_as_known() else Collected(reader)


class Sdk:
    """Looks up the sums where the SDK and tallies keep them; asks the callbacks of observed instruments."""

    def __init__(self, reader: MetricReader, tallies: Tallies | None = None) -> None:
        self._reader = reader
        self._tallies = {} if tallies is None else tallies
        self._lock = threading.Lock()
        self._known = 0
        self._streams: dict[Any, Stream] = {}
        self._live: tuple[Stream, ...] = ()
        self._told: tuple[Told, ...] = ()

    def live(self) -> Sequence[Stream]:
        self._discover()
        return self._live

    def told(self) -> Sequence[Stream]:
        return self._told

    def waits(self) -> bool:
        return sdk_metrics.has_observed(self._reader)

    def observe(self, *, timeout_s: float) -> bool:
        answers, all_asked = sdk_metrics.observe_metrics(self._reader, timeout_s=timeout_s)
        self._discover()
        for key, values in answers:
            stream = self._streams.get(key)
            if isinstance(stream, Told):
                for series, value in zip(sdk_metrics.series_of(key), values):
                    row = None if value is None else (value,)
                    stream.tell(series, sdk_metrics.series_attributes(series), row)
        return all_asked

    def _discover(self) -> None:
        found = sdk_metrics.metric_streams(self._reader)
        tallies = dict(self._tallies)
        if len(found) + len(tallies) == self._known:
            return
        with self._lock:
            for name, tally in tallies.items():
                if name not in self._streams:
                    self._streams[name] = Tallied(tally)
            for one in found:
                if one.key not in self._streams and one.kind and (one.scope, one.name) not in tallies:
                    self._streams[one.key] = _told(one) if one.observed else Live(one)
            streams = tuple(self._streams.values())
            self._told = tuple(stream for stream in streams if isinstance(stream, Told))
            self._live = tuple(stream for stream in streams if not isinstance(stream, Told))
            self._known = len(found) + len(tallies)


def _told(found: sdk_metrics.MetricStream) -> Told:
    return Told(name=found.name, unit=found.unit, kind=found.kind, bounds=found.bounds)


class Collected:
    """Uses the SDK's official collection, for a version of it that is built otherwise.

    Ten times the cost, and it takes the exemplars that `/metrics` would have shown.
    """

    def __init__(self, reader: MetricReader) -> None:
        self._reader = reader
        self._streams: dict[Any, Told] = {}
        self._told: tuple[Told, ...] = ()

    def live(self) -> Sequence[Stream]:
        return ()

    def told(self) -> Sequence[Stream]:
        return self._told

    def waits(self) -> bool:
        return True

    def observe(self, *, timeout_s: float) -> bool:
        data = sdk_metrics.collect_metrics(self._reader, timeout_s=timeout_s)
        told: dict[Told, set[Any]] = {stream: set() for stream in self._told}
        for resource in () if data is None else data.resource_metrics:
            for scope in resource.scope_metrics:
                for metric in scope.metrics:
                    if not isinstance(metric.data, ExponentialHistogram):
                        self._tell(scope.scope, metric, told)
        for stream, identities in told.items():
            stream.end_round(identities)
        self._told = tuple(self._streams.values())
        return True

    def _tell(self, scope: object, metric: Metric, told: dict[Told, set[Any]]) -> None:
        points: Sequence[Any] = metric.data.data_points
        kind = _kind(metric)
        bounds = tuple(points[0].explicit_bounds) if kind == "histogram" and points else ()
        key = (scope, metric.name, metric.unit, kind, bounds)
        stream = self._streams.get(key)
        if stream is None:
            stream = Told(name=metric.name, unit=metric.unit or "", kind=kind, bounds=bounds)
            self._streams[key] = stream
        for point in points:
            row = (point.sum, *point.bucket_counts) if kind == "histogram" else (point.value,)
            attributes = point.attributes or {}
            identity = _identity(attributes)
            told.setdefault(stream, set()).add(identity)
            stream.tell(identity, attributes, row, point.start_time_unix_nano or 0)


def _identity(attributes: Mapping[str, Any]) -> frozenset[tuple[str, str]]:
    # By text, as for OpenTelemetry True, 1 and 1.0 are three values.
    return frozenset((key, repr(value)) for key, value in attributes.items())


def _kind(metric: Metric) -> str:
    if isinstance(metric.data, Sum):
        return "counter" if metric.data.is_monotonic else "up_down_counter"
    return "gauge" if isinstance(metric.data, Gauge) else "histogram"


@lru_cache(maxsize=1)
def sdk_is_as_known() -> bool:
    """Whether this SDK keeps its sums where `Sdk` looks: tried once, against a collection of its own."""
    try:
        return _trial()
    except Exception:
        return False


def _trial() -> bool:
    reader = PullReader()
    provider = MeterProvider(
        metric_readers=[reader],
        resource=Resource.get_empty(),  # the default one starts threads to find itself
        exemplar_filter=sdk_metrics.exemplar_filter("always_off"),
        shutdown_on_exit=False,
    )
    meter = provider.get_meter("otelkit.trial")
    counter, level = meter.create_counter("counter"), meter.create_up_down_counter("level")
    histogram = meter.create_histogram("histogram", explicit_bucket_boundaries_advisory=[1.0, 2.0])
    for _ in range(2):  # before and after the SDK has moved what it has
        counter.add(2, {"a": "b"})
        level.add(-1)
        histogram.record(1.5)
        if sorted(_looked_up(reader)) != sorted(_collected(reader)) or not _looked_up(reader):
            return False
    return True


def _looked_up(reader: MetricReader) -> Iterable[tuple[str, Sequence[float]]]:
    return [(stream.name, stream.flat()) for stream in Sdk(reader).live()]


def _collected(reader: MetricReader) -> Iterable[tuple[str, Sequence[float]]]:
    source = Collected(reader)
    source.observe(timeout_s=10.0)
    return [(stream.name, stream.flat()) for stream in source.told()]
