"""The private and beta parts of OpenTelemetry Python that otelkit uses, all in this one file.

Everything here may change with a minor release of OpenTelemetry. It works with 1.39 to 1.45; the
rest of otelkit imports stable names only. Attributes are resolved at first use, so that the API's
parts cost nothing of the SDK.
"""

from __future__ import annotations

import os
from functools import lru_cache
from inspect import signature
from operator import add
from time import monotonic, time_ns
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry.context import _RUNTIME_CONTEXT as RUNTIME_CONTEXT
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY as SUPPRESS_INSTRUMENTATION_KEY
from opentelemetry.trace.propagation import _SPAN_KEY as SPAN_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from opentelemetry._logs import Logger, LoggerProvider, LogRecord, NoOpLogger, SeverityNumber
    from opentelemetry.context import Context
    from opentelemetry.metrics import _Gauge as Gauge
    from opentelemetry.sdk._logs import LoggerProvider as SdkLoggerProvider
    from opentelemetry.sdk._logs import LogRecordProcessor, ReadableLogRecord, ReadWriteLogRecord
    from opentelemetry.sdk._logs.export import LogRecordExporter
    from opentelemetry.sdk.metrics.export import Metric, MetricReader, MetricsData
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import _Span as SdkSpan
    from prometheus_client import CollectorRegistry
    from prometheus_client import Metric as Family

__all__ = [
    "RUNTIME_CONTEXT",
    "SPAN_KEY",
    "SUPPRESS_INSTRUMENTATION_KEY",
    "Gauge",
    "LogRecord",
    "LogRecordExporter",
    "LogRecordProcessor",
    "Logger",
    "LoggerProvider",
    "NoOpLogger",
    "ReadWriteLogRecord",
    "ReadableLogRecord",
    "SdkLoggerProvider",
    "SdkSpan",
    "SeverityNumber",
    "current_context",
    "get_logger",
    "get_logger_provider",
]

_HOMES = {
    # The logs API and SDK are complete but still in `_logs` (beta).
    "LogRecord": ("opentelemetry._logs", "LogRecord"),
    "Logger": ("opentelemetry._logs", "Logger"),
    "LoggerProvider": ("opentelemetry._logs", "LoggerProvider"),
    "NoOpLogger": ("opentelemetry._logs", "NoOpLogger"),
    "SeverityNumber": ("opentelemetry._logs", "SeverityNumber"),
    "ReadableLogRecord": ("opentelemetry.sdk._logs", "ReadableLogRecord"),
    "ReadWriteLogRecord": ("opentelemetry.sdk._logs", "ReadWriteLogRecord"),
    "SdkLoggerProvider": ("opentelemetry.sdk._logs", "LoggerProvider"),
    "LogRecordProcessor": ("opentelemetry.sdk._logs", "LogRecordProcessor"),
    "LogRecordExporter": ("opentelemetry.sdk._logs.export", "LogRecordExporter"),
    # The class of the spans that the SDK's tracer makes; the public `Span` cannot be subclassed alone.
    "SdkSpan": ("opentelemetry.sdk.trace", "_Span"),
    # The synchronous gauge of the metrics API, still under a private name.
    "Gauge": ("opentelemetry.metrics", "_Gauge"),
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(home[0]), home[1])
    globals()[name] = value
    return value


# The context of the moment. A C function where the runtime context holds a context variable (the only
# implementation there is): it is asked several times for each span, log record and measurement.
current_context: Callable[[], Context] = getattr(
    getattr(RUNTIME_CONTEXT, "_current_context", None), "get", RUNTIME_CONTEXT.get_current
)


def get_logger(name: str, version: str | None = None) -> Logger:
    """An OTel logger of the global logger provider."""
    from opentelemetry._logs import get_logger as api_get_logger

    return api_get_logger(name, version or "")


def get_logger_provider() -> LoggerProvider:
    """The global logger provider (a proxy while nobody has set one)."""
    from opentelemetry._logs import get_logger_provider as api_get_logger_provider

    return api_get_logger_provider()


def load_sdk() -> None:
    """Import the SDK's tracing; its import raises when a limit variable is malformed."""
    from importlib import import_module

    try:
        import_module("opentelemetry.sdk.trace")
    except ValueError:
        hidden = {name: os.environ.pop(name) for name in list(os.environ) if _is_limit(name)}
        try:
            import_module("opentelemetry.sdk.trace")
        finally:
            os.environ.update(hidden)


def _is_limit(name: str) -> bool:
    return name.startswith("OTEL_") and name.endswith("_LIMIT")


def start_span_of(tracer: Any, span_class: type[Any]) -> Callable[..., Any]:
    """`start_span` of the SDK's tracer, but making spans of ``span_class``, a subclass of `SdkSpan`.

    The tracer names the class in a global of its module: this is the same function with another
    global. Giving a finished span its class afterwards would cost as much again as our own methods
    do. Where the SDK's function no longer looks like that, it is returned, and makes its own spans.
    """
    start = tracer.start_span
    function = getattr(start, "__func__", None)
    if not isinstance(function, FunctionType) or "_Span" not in function.__code__.co_names:
        return start  # type: ignore[no-any-return]
    return MethodType(_with_span_class(function, span_class), tracer)  # type: ignore[arg-type]


def give_attributes(span: Any, attributes: Mapping[str, Any]) -> None:
    """Put attributes that are clean, and within all limits, into a span that has none yet."""
    span._attributes._dict.update(attributes)


@lru_cache(maxsize=8)
def _with_span_class(function: FunctionType, span_class: Any) -> FunctionType:
    names = {**function.__globals__, "_Span": span_class}
    made = FunctionType(
        function.__code__, names, function.__name__, function.__defaults__, function.__closure__
    )
    made.__kwdefaults__ = function.__kwdefaults__
    return made


def make_record(**fields: Any) -> LogRecord:
    """A log record of the API's fields; one given without a time is stamped with the present one."""
    exception = fields.pop("exception", None)
    record: Any = (globals().get("LogRecord") or __getattr__("LogRecord"))(**fields)
    if record.observed_timestamp is None:
        record.observed_timestamp = time_ns()
    if exception is not None:
        record.exception = exception
    return record  # type: ignore[no-any-return]


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


def sampler(name: str, argument: str | None) -> Any:
    """The sampler without a ratio of that name, as `OTEL_TRACES_SAMPLER` has it.

    Raises:
        LookupError: No installed package offers it.
    """
    from opentelemetry.sdk.trace import sampling

    known = sampling._KNOWN_SAMPLERS
    if name in known:
        return known[name]
    from importlib.metadata import entry_points

    for entry in entry_points(group="opentelemetry_traces_sampler", name=name):
        return entry.load()(argument)
    raise LookupError(f"no installed package offers a sampler named {name!r}")


def span_limits(
    *,
    attributes: int | None,
    events: int | None,
    links: int | None,
    event_attributes: int | None,
    link_attributes: int | None,
    length: int | None,
) -> Any:
    """The SDK's span limits; None is no limit. Given whole, as the SDK raises for a malformed variable."""
    from opentelemetry.sdk.trace import SpanLimits

    def limit(value: int | None) -> int:
        return SpanLimits.UNSET if value is None else value

    return SpanLimits(
        max_attributes=limit(attributes),
        max_events=limit(events),
        max_links=limit(links),
        max_span_attributes=limit(attributes),
        max_event_attributes=limit(event_attributes),
        max_link_attributes=limit(link_attributes),
        max_attribute_length=limit(length),
        max_span_attribute_length=limit(length),
    )


def logger_provider(resource: Resource, *, attributes: int | None, length: int | None) -> SdkLoggerProvider:
    """The SDK's logger provider, with these limits of a record where its version takes them."""
    from opentelemetry.sdk import _logs

    more: dict[str, Any] = {}
    if "log_record_limits" in signature(_logs.LoggerProvider).parameters:
        more["log_record_limits"] = _logs.LogRecordLimits(
            max_attributes=attributes, max_attribute_length=length
        )
    return _logs.LoggerProvider(resource=resource, shutdown_on_exit=False, **more)


def scope_of(logger: Any) -> Any:
    """The instrumentation scope of the SDK's logger."""
    return logger._instrumentation_scope


def id_generator(name: str) -> Any:
    """The id generator of that name, as `OTEL_PYTHON_ID_GENERATOR` has it.

    Raises:
        LookupError: No installed package offers it.
    """
    if name == "random":
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

        return RandomIdGenerator()
    from importlib.metadata import entry_points

    for entry in entry_points(group="opentelemetry_id_generator", name=name):
        return entry.load()()
    raise LookupError(f"no installed package offers an id generator named {name!r}")


def register_provider(signal: str, provider: Any) -> Any:
    """Register the global provider of a signal.

    Returns:
        None, or the provider that somebody else registered before and that stays.
    """
    from opentelemetry import _logs, metrics, trace

    homes: dict[str, tuple[Any, str, Callable[[Any], None]]] = {
        "traces": (trace, "_TRACER_PROVIDER", trace.set_tracer_provider),
        "metrics": (metrics._internal, "_METER_PROVIDER", metrics.set_meter_provider),
        "logs": (_logs._internal, "_LOGGER_PROVIDER", _logs.set_logger_provider),
    }
    home, variable, register = homes[signal]
    if getattr(home, variable) is None:
        register(provider)
    present = getattr(home, variable)
    return None if present is provider else present


# --- prometheus: the official exporter keeps its translation in private names ---------------


def prometheus_name(name: str) -> str:
    """A metric name made valid for Prometheus by the official exporter's own rule."""
    from opentelemetry.exporter.prometheus._mapping import sanitize_full_name

    return sanitize_full_name(name)


def prometheus_label(key: str) -> str:
    """An attribute key made a valid label name by the official exporter's own rule."""
    from opentelemetry.exporter.prometheus._mapping import sanitize_attribute

    return sanitize_attribute(key)


def prometheus_unit(unit: str) -> str:
    """The name suffix of a unit (``s`` gives ``seconds``), empty when it has none."""
    from opentelemetry.exporter.prometheus._mapping import map_unit

    return map_unit(unit)


def prometheus_reader(receive: Callable[[MetricsData], None]) -> MetricReader:
    """The official Prometheus reader, kept out of the host's registry.

    Args:
        receive: Gets what each `collect` collected, in the thread that asked for it.
    """
    reader: MetricReader = _prometheus_reader_class()(receive)
    return reader


@lru_cache(maxsize=1)
def _prometheus_reader_class() -> Any:
    from opentelemetry.exporter.prometheus import PrometheusMetricReader
    from prometheus_client import REGISTRY, CollectorRegistry

    accepted = signature(PrometheusMetricReader).parameters

    class BridgeReader(PrometheusMetricReader):
        """Hands over what it collects; nothing is queued when nobody scrapes."""

        def __init__(self, receive: Callable[[MetricsData], None]) -> None:
            wanted: dict[str, Any] = {"scope_info_enabled": False, "registry": CollectorRegistry()}
            super().__init__(**{name: wanted[name] for name in wanted if name in accepted})
            if "registry" not in accepted:  # older ones put themselves into the host's registry
                REGISTRY.unregister(self._collector)
            self._receive = receive
            self.closed = False
            keep_gauge_values(self)

        @property
        def connected(self) -> bool:
            """Whether a meter provider stands behind the reader, and it was not shut down."""
            return self._collect is not None and not self.closed

        def _receive_metrics(self, metrics_data: MetricsData, *_: Any, **__: Any) -> None:
            if metrics_data is not None:
                self._receive(metrics_data)

        def force_flush(self, timeout_millis: float = 10_000) -> bool:  # noqa: ARG002 - the base's
            return True  # pulled, never pushed

        def shutdown(self, *_: Any, **__: Any) -> None:
            self.closed = True

    return BridgeReader


@lru_cache(maxsize=1)
def _prometheus_translator() -> Any:
    from opentelemetry.exporter.prometheus import _CustomCollector

    accepted = signature(_CustomCollector).parameters
    wanted: dict[str, Any] = {"disable_target_info": True, "scope_info_enabled": False}
    return _CustomCollector(**{name: wanted[name] for name in wanted if name in accepted})


def prometheus_families(metric: Metric) -> list[Family]:
    """What the official exporter makes of one metric."""
    from opentelemetry.sdk.metrics.export import MetricsData, ResourceMetrics, ScopeMetrics
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    scope = ScopeMetrics(scope=InstrumentationScope(""), metrics=[metric], schema_url="")
    resource = ResourceMetrics(resource=Resource.get_empty(), scope_metrics=[scope], schema_url="")
    families: dict[str, Family] = {}
    _prometheus_translator()._translate_to_prometheus(MetricsData([resource]), families)
    return list(families.values())


def prometheus_target_info(attributes: Mapping[str, str]) -> Family:
    """The official exporter's ``target_info`` of a resource's attributes."""
    family: Family = _prometheus_translator()._create_info_metric("target", "Target metadata", attributes)
    return family


def prometheus_collectors(registry: CollectorRegistry) -> list[Any]:
    """The collectors of a registry, one by one, so that one that raises costs no other."""
    collectors = getattr(registry, "_collector_to_names", None)
    return [registry] if collectors is None else list(collectors)


def is_prometheus_bridge(collector: object) -> bool:
    """Whether a collector is the official exporter, which shows OpenTelemetry's own meters."""
    from opentelemetry.exporter.prometheus import _CustomCollector

    return isinstance(collector, _CustomCollector)


def named_exporter(signal: str, name: str) -> Any:
    """The exporter that an installed package offers under ``name``.

    Raises:
        LookupError: No installed package offers it.
    """
    from importlib.metadata import entry_points

    group = f"opentelemetry_{signal}_exporter"
    for entry in entry_points(group=group, name=name):
        return entry.load()()
    raise LookupError(f"no installed package offers an exporter of that name (entry points {group})")


# --- metrics: gauges keep their value between collections (the SDK before 1.40 or so forgets) ----


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
    deadline = monotonic() + timeout_s
    found: list[tuple[Any, list[float | None]]] = []
    if not consumer._lock.acquire(timeout=timeout_s):
        return found, False
    try:
        for instrument in list(consumer._async_instruments):
            left_s = deadline - monotonic()
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


# --- instrumentations: they ask once per process which conventions to follow ----------------------


def conventions_in_force() -> dict[str, str] | None:
    """The mode of the conventions for ``http`` and ``database``; None while nobody has asked.

    A mode is ``default`` (the old ones), the signal's own name (the stable ones) or ``.../dup``.
    """
    from opentelemetry.instrumentation import _semconv

    stability = _semconv._OpenTelemetrySemanticConventionStability
    if not stability._initialized:
        return None
    kinds = _semconv._OpenTelemetryStabilitySignalType
    signals = {"http": kinds.HTTP, "database": kinds.DATABASE}
    return {
        name: str(stability._get_opentelemetry_stability_opt_in_mode(signal).value)
        for name, signal in signals.items()
    }


def read_conventions() -> None:
    """Make the instrumentations read ``OTEL_SEMCONV_STABILITY_OPT_IN`` now, once and for all."""
    from opentelemetry.instrumentation import _semconv

    _semconv._OpenTelemetrySemanticConventionStability._initialize()  # type: ignore[no-untyped-call]


# --- process metrics: the official instrumentation is one object per process, without a way back ----


def system_metrics(config: Mapping[str, Any], provider: Any) -> Any:
    """Make the official process metrics on ``provider``'s meters; returns what they read from.

    An instrumentor of our own class, so that the official one stays free for others to turn on. Its
    `instrument` is passed by: it would also settle the HTTP conventions of the whole process.

    Raises:
        ImportError: The official package, or psutil, is not installed.
    """
    from opentelemetry.instrumentation.system_metrics import SystemMetricsInstrumentor

    class OwnMetrics(SystemMetricsInstrumentor):  # type: ignore[misc, unused-ignore]
        _instance = None

    made = OwnMetrics(config=dict(config))
    made._instrument(meter_provider=provider)
    return made


def system_metrics_in_use() -> bool:
    """Whether somebody turned on the official system metrics themselves."""
    from opentelemetry.instrumentation.system_metrics import SystemMetricsInstrumentor

    return bool(getattr(SystemMetricsInstrumentor._instance, "_is_instrumented_by_opentelemetry", False))


def process_of(made: Any) -> Any:
    """The psutil process that `system_metrics` read from."""
    return made._proc


def renew_process(made: Any) -> None:
    """Let them read the present process, in a fork's child."""
    made._proc = type(made._proc)(os.getpid())
