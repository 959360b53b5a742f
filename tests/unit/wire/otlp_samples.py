"""Generated telemetry, made with the SDK's own objects, and requests in a form that can be compared."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from inspect import signature

from hypothesis import strategies as st
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.common._internal import _encode_value
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics._internal.point import Buckets
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    TraceFlags,
    set_span_in_context,
)
from opentelemetry.trace.span import TraceState
from opentelemetry.trace.status import Status, StatusCode

REQUESTS = {
    "traces": ExportTraceServiceRequest,
    "logs": ExportLogsServiceRequest,
    "metrics": ExportMetricsServiceRequest,
}

# --- comparison ---------------------------------------------------------------------------------


def _bytes(message):
    return message.SerializeToString(deterministic=True)  # two NaN are alike then


OWNERS = {
    "traces": ("resource_spans", "scope_spans", "spans"),
    "logs": ("resource_logs", "scope_logs", "log_records"),
    "metrics": ("resource_metrics", "scope_metrics", "metrics"),
}


def owned(signal, body):
    """Each item of a request with its owners, as messages."""
    request = REQUESTS[signal].FromString(body)
    owners, scopes, items = OWNERS[signal]
    for owner in getattr(request, owners):
        for scope in getattr(owner, scopes):
            for item in getattr(scope, items):
                yield owner, scope, item


def grouped(signal, body):
    """The items of a request by their owners, the owners in their order."""
    found = {}
    for owner, scope, item in owned(signal, body):
        assert owner.HasField("resource")
        assert scope.HasField("scope")
        key = (_bytes(owner.resource), owner.schema_url, _bytes(scope.scope), scope.schema_url)
        found.setdefault(key, []).append(_bytes(item))
    return list(found.items())


def only(signal, encoded):
    """The one item of a request."""
    ((_, _, item),) = owned(signal, encoded.body)
    return item


def told(attributes):
    """Attributes of a message as a dict of plain values."""
    return {pair.key: plain(pair.value) for pair in attributes}


def plain(value):
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return [plain(item) for item in value.array_value.values]
    if kind == "kvlist_value":
        return told(value.kvlist_value.values)
    return getattr(value, kind)


# --- values -------------------------------------------------------------------------------------

INT64 = st.integers(-(2**63), 2**63 - 1)
UINT64 = st.integers(0, 2**64 - 1)
TEXT = st.one_of(st.text(max_size=8), st.sampled_from(["", "é" * 63, "x" * 127, "y" * 300, "z" * 20_000]))
# Older SDKs put None for what they refuse in an attribute, and their encoders drop what holds None.
OLD = "allow_null" in signature(_encode_value).parameters
NONE = st.nothing() if OLD else st.none()
SCALARS = st.one_of(
    NONE, st.booleans(), INT64, st.integers(-3, 2_000), st.floats(), TEXT, st.binary(max_size=200)
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(TEXT, inner, max_size=3),
    ),
    max_leaves=8,
)
KEYS = st.one_of(
    st.text(min_size=int(OLD), max_size=6), st.sampled_from(["http.method", "k" * 64, "k" * 65, "k" * 600])
)
ATTRIBUTES = st.dictionaries(KEYS, st.booleans() | INT64 | TEXT if OLD else VALUES, max_size=5)

RESOURCES = st.sampled_from(
    [({}, None), ({"service.name": "shop"}, None), ({"service.name": "shop", "n": 1}, "https://schema/1")]
).map(lambda given: Resource(*given))
SCOPES = st.sampled_from(
    [("a",), ("a", "1.0"), ("a", "1.0", "https://schema/2"), ("b", None, None, {"x": [1, 2], "y": "z"})]
)
STATES = st.sampled_from([None, TraceState(), TraceState([("vendor", "value"), ("other", "1")])])
CONTEXTS = st.builds(
    SpanContext,
    trace_id=st.integers(1, 2**128 - 1),
    span_id=st.integers(1, 2**64 - 1),
    is_remote=st.booleans(),
    trace_flags=st.sampled_from([TraceFlags(0), TraceFlags(1)]),
    trace_state=STATES,
)

# --- spans --------------------------------------------------------------------------------------


@dataclass
class Ids(IdGenerator):
    trace_id: int
    span_id: int

    def generate_trace_id(self):
        return self.trace_id

    def generate_span_id(self):
        return self.span_id


LIMITS = SpanLimits(
    max_span_attributes=3, max_events=2, max_links=2, max_event_attributes=1, max_link_attributes=1
)
STATUSES = st.sampled_from(
    [
        Status(StatusCode.UNSET),
        Status(StatusCode.OK),
        Status(StatusCode.ERROR),
        Status(StatusCode.ERROR, "why é"),
    ]
)


@st.composite
def spans(draw):
    """A span that a tracer provider made, with limits so narrow that things are dropped."""
    exporter = InMemorySpanExporter()
    ids = Ids(draw(st.integers(1, 2**128 - 1)), draw(st.integers(1, 2**64 - 1)))
    provider = TracerProvider(
        resource=draw(RESOURCES), id_generator=ids, span_limits=LIMITS, shutdown_on_exit=False
    )
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    parent = draw(st.one_of(st.none(), CONTEXTS))
    sampled = parent and SpanContext(*parent[:3], TraceFlags(1), parent.trace_state)
    span = provider.get_tracer(*draw(SCOPES)).start_span(
        draw(TEXT),
        context=set_span_in_context(NonRecordingSpan(sampled)) if parent else None,
        kind=draw(st.sampled_from(SpanKind)),
        attributes=draw(ATTRIBUTES),
        links=[Link(context, attributes) for context, attributes in draw(_LINKS)],
        start_time=draw(UINT64),
    )
    for name, attributes, time in draw(_EVENTS):
        span.add_event(name, attributes, time)
    span.set_status(draw(STATUSES))
    span.end(draw(UINT64))
    return exporter.get_finished_spans()[0]


_LINKS = st.lists(st.tuples(CONTEXTS, st.none() | ATTRIBUTES), max_size=4)
_EVENTS = st.lists(st.tuples(TEXT, st.none() | ATTRIBUTES, UINT64), max_size=4)


def span(name="a span", attributes=None, *, resource=None, **more):
    """One finished span of the SDK."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider(resource=resource or Resource({"service.name": "shop"}), shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    provider.get_tracer("shop").start_span(name, attributes=attributes, **more).end()
    return exporter.get_finished_spans()[0]


# --- log records --------------------------------------------------------------------------------


@st.composite
def records(draw):
    """A log record that a logger provider made."""
    context = draw(st.none() | CONTEXTS)
    given = LogRecord(
        timestamp=draw(st.none() | UINT64),
        observed_timestamp=draw(UINT64),
        context=set_span_in_context(NonRecordingSpan(context)) if context else None,
        severity_text=draw(st.none() | TEXT),
        severity_number=draw(st.none() | st.sampled_from(SeverityNumber)),
        body=draw(VALUES),
        attributes=draw(st.none() | ATTRIBUTES),
        event_name=draw(st.none() | TEXT),
    )
    return emitted(given, draw(RESOURCES), draw(SCOPES))


def emitted(given, resource=None, scope=("shop",)):
    """What a processor gets of a record."""
    exporter = InMemoryLogRecordExporter()
    provider = LoggerProvider(resource=resource or Resource({"service.name": "shop"}), shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about dropped attributes
        provider.get_logger(*scope).emit(given)
    return exporter.get_finished_logs()[0]


def record(body="a line", attributes=None, **more):
    """One log record of the SDK."""
    return emitted(LogRecord(body=body, attributes=attributes, timestamp=1, observed_timestamp=2, **more))


# --- metrics ------------------------------------------------------------------------------------

_NUMBERS = INT64 | st.floats()
_FLAT = st.dictionaries(st.text(max_size=4), st.booleans() | INT64 | TEXT, max_size=3)
_EXEMPLARS = st.lists(
    st.builds(
        Exemplar,
        filtered_attributes=_FLAT,
        value=_NUMBERS,
        time_unix_nano=UINT64,
        span_id=st.none() | st.integers(0, 2**64 - 1),
        trace_id=st.none() | st.integers(0, 2**128 - 1),
    ),
    max_size=2,
)
_COMMON = {
    "attributes": st.none() | _FLAT,
    "start_time_unix_nano": UINT64,
    "time_unix_nano": UINT64,
    "exemplars": _EXEMPLARS,
}
_SPREAD = {
    "count": UINT64,
    "sum": _NUMBERS,
    "min": st.none() | st.floats(),
    "max": st.none() | st.floats(),
}
_COUNTS = st.lists(UINT64, max_size=4)
_BUCKETS = st.builds(Buckets, offset=st.integers(-(2**31), 2**31 - 1), bucket_counts=_COUNTS)
NUMBER_POINTS = st.builds(NumberDataPoint, value=_NUMBERS, **_COMMON)
HISTOGRAM_POINTS = st.builds(
    HistogramDataPoint,
    bucket_counts=_COUNTS,
    explicit_bounds=st.lists(st.floats(), max_size=3),
    **_SPREAD,
    **_COMMON,
)
EXPONENTIAL_POINTS = st.builds(
    ExponentialHistogramDataPoint,
    scale=st.integers(-(2**31), 2**31 - 1),
    zero_count=UINT64,
    positive=_BUCKETS,
    negative=_BUCKETS,
    flags=st.integers(0, 2**32 - 1),
    **_SPREAD,
    **_COMMON,
)
_TEMPORALITIES = st.sampled_from(AggregationTemporality)
_DATA = st.one_of(
    st.builds(Gauge, data_points=st.lists(NUMBER_POINTS, max_size=3)),
    st.builds(
        Sum,
        data_points=st.lists(NUMBER_POINTS, max_size=3),
        aggregation_temporality=_TEMPORALITIES,
        is_monotonic=st.booleans(),
    ),
    st.builds(
        Histogram, data_points=st.lists(HISTOGRAM_POINTS, max_size=3), aggregation_temporality=_TEMPORALITIES
    ),
    st.builds(
        ExponentialHistogram,
        data_points=st.lists(EXPONENTIAL_POINTS, max_size=3),
        aggregation_temporality=_TEMPORALITIES,
    ),
)
METRICS = st.builds(Metric, name=TEXT, description=st.none() | TEXT, unit=st.none() | TEXT, data=_DATA)


@st.composite
def collections(draw):
    """What a reader collected: each scope once, as the official encoder assumes."""
    scopes = [
        ScopeMetrics(InstrumentationScope(*scope), draw(st.lists(METRICS, max_size=3)), "")
        for scope in draw(st.lists(SCOPES, max_size=2, unique_by=str))
    ]
    return MetricsData([ResourceMetrics(draw(RESOURCES), scopes, "")])


def collected(*metrics, resource=None):
    """A collection of some metrics of one scope."""
    scope = ScopeMetrics(InstrumentationScope("shop"), list(metrics), "")
    return MetricsData([ResourceMetrics(resource or Resource({"service.name": "shop"}), [scope], "")])


def number_point(value, attributes=None, **more):
    return NumberDataPoint(attributes, 1, 2, value, **more)


def gauge(*values, name="a gauge"):
    """A gauge with a point for each value."""
    points = [number_point(value, {"n": number}) for number, value in enumerate(values)]
    return Metric(name, None, None, Gauge(points))
