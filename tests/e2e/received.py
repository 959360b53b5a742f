"""OTLP requests as plain, readable values: what a test asserts about after the wire."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

if TYPE_CHECKING:
    from opentelemetry.proto.common.v1.common_pb2 import AnyValue, InstrumentationScope, KeyValue
    from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord as LogMessage
    from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric as MetricMessage
    from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage

__all__ = ["Event", "Link", "LogRecord", "Point", "Scope", "Span", "read_logs", "read_metrics", "read_spans"]

_KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")
_STATUSES = ("unset", "ok", "error")
_TEMPORALITIES = (None, "delta", "cumulative")


@dataclass(frozen=True, slots=True)
class Scope:
    """Who produced it: the instrumentation scope."""

    name: str
    version: str
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Event:
    """An event of a span."""

    name: str
    attributes: Mapping[str, Any]
    time_ns: int


@dataclass(frozen=True, slots=True)
class Link:
    """A link of a span to another one."""

    trace_id: str
    span_id: str
    attributes: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Span:
    """One received span; ids are lower-case hex, ``parent_id`` is empty for a root."""

    name: str
    trace_id: str
    span_id: str
    parent_id: str
    kind: str
    status: str
    status_description: str
    attributes: Mapping[str, Any]
    events: tuple[Event, ...]
    links: tuple[Link, ...]
    start_ns: int
    end_ns: int
    scope: Scope
    resource: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class LogRecord:
    """One received log record; ids are empty when it was made outside any span."""

    body: Any
    severity: str
    severity_number: int
    attributes: Mapping[str, Any]
    trace_id: str
    span_id: str
    event_name: str
    time_ns: int
    scope: Scope
    resource: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Point:
    """One received metric data point; ``value`` is None for a histogram, ``count`` for a number."""

    name: str
    unit: str
    description: str
    kind: str
    monotonic: bool | None
    temporality: str | None
    attributes: Mapping[str, Any]
    value: float | int | None
    count: int | None
    sum: float | None
    buckets: tuple[int, ...]
    bounds: tuple[float, ...]
    exemplars: tuple[tuple[str, float], ...]
    start_ns: int
    time_ns: int
    scope: Scope
    resource: Mapping[str, Any]


def read_spans(body: bytes) -> tuple[Span, ...]:
    """The spans of one serialised trace export request, in wire order."""
    message = ExportTraceServiceRequest.FromString(body)
    return tuple(
        _span(item, _scope(group.scope), _attributes(resource.resource.attributes))
        for resource in message.resource_spans
        for group in resource.scope_spans
        for item in group.spans
    )


def read_logs(body: bytes) -> tuple[LogRecord, ...]:
    """The records of one serialised logs export request, in wire order."""
    message = ExportLogsServiceRequest.FromString(body)
    return tuple(
        _log(item, _scope(group.scope), _attributes(resource.resource.attributes))
        for resource in message.resource_logs
        for group in resource.scope_logs
        for item in group.log_records
    )


def read_metrics(body: bytes) -> tuple[Point, ...]:
    """The data points of one serialised metrics export request, in wire order."""
    message = ExportMetricsServiceRequest.FromString(body)
    return tuple(
        point
        for resource in message.resource_metrics
        for group in resource.scope_metrics
        for metric in group.metrics
        for point in _points(metric, _scope(group.scope), _attributes(resource.resource.attributes))
    )


def _span(item: SpanMessage, scope: Scope, resource: Mapping[str, Any]) -> Span:
    return Span(
        name=item.name,
        trace_id=item.trace_id.hex(),
        span_id=item.span_id.hex(),
        parent_id=item.parent_span_id.hex(),
        kind=_KINDS[item.kind],
        status=_STATUSES[item.status.code],
        status_description=item.status.message,
        attributes=_attributes(item.attributes),
        events=tuple(Event(e.name, _attributes(e.attributes), e.time_unix_nano) for e in item.events),
        links=tuple(
            Link(link.trace_id.hex(), link.span_id.hex(), _attributes(link.attributes)) for link in item.links
        ),
        start_ns=item.start_time_unix_nano,
        end_ns=item.end_time_unix_nano,
        scope=scope,
        resource=resource,
    )


def _log(item: LogMessage, scope: Scope, resource: Mapping[str, Any]) -> LogRecord:
    return LogRecord(
        body=_value(item.body),
        severity=item.severity_text,
        severity_number=int(item.severity_number),
        attributes=_attributes(item.attributes),
        trace_id=item.trace_id.hex(),
        span_id=item.span_id.hex(),
        event_name=item.event_name,
        time_ns=item.time_unix_nano,
        scope=scope,
        resource=resource,
    )


def _points(metric: MetricMessage, scope: Scope, resource: Mapping[str, Any]) -> Iterator[Point]:
    kind = metric.WhichOneof("data") or "empty"
    data: Any = getattr(metric, kind, None)
    for item in () if data is None else data.data_points:
        number = item.WhichOneof("value") if kind in {"sum", "gauge"} else None
        plain = kind == "histogram"
        yield Point(
            name=metric.name,
            unit=metric.unit,
            description=metric.description,
            kind=kind,
            monotonic=data.is_monotonic if kind == "sum" else None,
            temporality=_TEMPORALITIES[getattr(data, "aggregation_temporality", 0)],
            attributes=_attributes(item.attributes),
            value=getattr(item, number) if number else None,
            count=item.count if number is None else None,
            sum=item.sum if number is None else None,
            buckets=tuple(item.bucket_counts) if plain else (),
            bounds=tuple(item.explicit_bounds) if plain else (),
            exemplars=tuple(
                (e.trace_id.hex(), float(e.as_double or e.as_int)) for e in getattr(item, "exemplars", ())
            ),
            start_ns=item.start_time_unix_nano,
            time_ns=item.time_unix_nano,
            scope=scope,
            resource=resource,
        )


def _scope(scope: InstrumentationScope) -> Scope:
    return Scope(scope.name, scope.version, _attributes(scope.attributes))


def _attributes(pairs: Iterable[KeyValue]) -> dict[str, Any]:
    return {pair.key: _value(pair.value) for pair in pairs}


def _value(value: AnyValue) -> Any:
    kind = value.WhichOneof("value")
    if kind is None:
        return None
    if kind == "array_value":
        return tuple(_value(item) for item in value.array_value.values)
    if kind == "kvlist_value":
        return _attributes(value.kvlist_value.values)
    return getattr(value, kind)
