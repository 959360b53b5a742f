"""One OTLP request as the collector under test sees it: which items it holds, by identity."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces

__all__ = ["Parcel", "Point", "partial_success", "read"]


@dataclass(frozen=True, slots=True)
class Point:
    """One metric data point; ``value`` is the number, or the count of a histogram."""

    key: str
    name: str
    value: float
    time_ns: int


@dataclass(frozen=True, slots=True)
class Parcel:
    """What one request holds; an item is its run and its number, (``""``, -1) without them."""

    signal: str
    items: tuple[tuple[str, int], ...]
    points: tuple[Point, ...]
    bad: bool

    @property
    def size(self) -> int:
        """How many items or points it holds."""
        return len(self.items) + len(self.points)


def read(signal: str, body: bytes) -> Parcel:
    """Decode a serialised request of ``traces``, ``logs`` or ``metrics``."""
    if signal == "metrics":
        return Parcel(signal, (), tuple(_points(body)), bad=False)
    items, bad = [], False
    for attributes in _spans(body) if signal == "traces" else _records(body):
        number, run = -1, ""
        for pair in attributes:
            key = pair.key
            if key == "n":
                number = pair.value.int_value
            elif key == "run":
                run = pair.value.string_value
            elif key == "bad":
                bad = True
        items.append((run, number))
    return Parcel(signal, tuple(items), (), bad)


def partial_success(signal: str, rejected: int) -> bytes:
    """The serialised answer that rejects so many items; empty for none."""
    if not rejected:
        return b""
    answer: Any
    if signal == "traces":
        answer = traces.ExportTraceServiceResponse()
        answer.partial_success.rejected_spans = rejected
    elif signal == "logs":
        answer = logs.ExportLogsServiceResponse()
        answer.partial_success.rejected_log_records = rejected
    else:
        answer = metrics.ExportMetricsServiceResponse()
        answer.partial_success.rejected_data_points = rejected
    answer.partial_success.error_message = "not these"
    return answer.SerializeToString()


def _spans(body: bytes) -> Iterator[Any]:
    for resource in traces.ExportTraceServiceRequest.FromString(body).resource_spans:
        for scope in resource.scope_spans:
            for span in scope.spans:
                yield span.attributes


def _records(body: bytes) -> Iterator[Any]:
    for resource in logs.ExportLogsServiceRequest.FromString(body).resource_logs:
        for scope in resource.scope_logs:
            for record in scope.log_records:
                yield record.attributes


def _points(body: bytes) -> Iterator[Point]:
    for resource in metrics.ExportMetricsServiceRequest.FromString(body).resource_metrics:
        instance = next(
            (a.value.string_value for a in resource.resource.attributes if a.key == "service.instance.id"), ""
        )
        for scope in resource.scope_metrics:
            for metric in scope.metrics:
                kind = metric.WhichOneof("data")
                for point in getattr(metric, kind).data_points if kind else ():
                    attributes = sorted((a.key, str(a.value)) for a in point.attributes)
                    yield Point(
                        f"{instance} {metric.name} {attributes}",
                        metric.name,
                        _number(point),
                        point.time_unix_nano,
                    )


def _number(point: Any) -> float:
    if hasattr(point, "as_double"):
        return point.as_int if point.WhichOneof("value") == "as_int" else point.as_double
    return point.count
