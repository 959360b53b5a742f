"""What a capture gives a test: plain frozen values with readable names."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import format_span_id, format_trace_id

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import Metric as SdkMetric
    from opentelemetry.sdk.trace import ReadableSpan

    from otelkit._otel import ReadableLogRecord

__all__ = ["Event", "Log", "Metric", "Point", "Span", "log_of", "metric_of", "span_of"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Something that happened in a span; ``time_ns`` is since the Unix epoch."""

    name: str
    attributes: Mapping[str, Any]
    time_ns: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """A finished span as it would have left the process: redacted and repaired.

    Attributes:
        kind: ``INTERNAL``, ``SERVER``, ``CLIENT``, ``PRODUCER`` or ``CONSUMER``.
        status: ``UNSET``, ``OK`` or ``ERROR``.
        error: The description of an error status, else None.
        trace_id, span_id, parent_id: In hex; ``parent_id`` is None for a root.
        links: The span ids, in hex, that it links to.
        scope: The name of the tracer.
        duration_s: In seconds.
    """

    name: str
    attributes: Mapping[str, Any]
    kind: str
    status: str
    error: str | None
    trace_id: str
    span_id: str
    parent_id: str | None
    events: tuple[Event, ...]
    links: tuple[str, ...]
    scope: str
    resource: Mapping[str, Any] = field(repr=False)
    start_ns: int = field(repr=False)
    end_ns: int = field(repr=False)

    @property
    def duration_s(self) -> float:
        """From start to end, in seconds."""
        return (self.end_ns - self.start_ns) / 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """A log record.

    Attributes:
        event: The text.
        level: ``DEBUG``, ``INFO``, ``WARN``, ``ERROR`` or ``FATAL``.
        logger: The logger's name (the scope).
        trace_id, span_id: Of the span it was written in, in hex, or None.
    """

    event: Any
    level: str | None
    attributes: Mapping[str, Any]
    logger: str
    trace_id: str | None
    span_id: str | None
    resource: Mapping[str, Any] = field(repr=False)
    time_ns: int | None = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One series of a metric. A histogram has ``count``, ``sum``, ``bounds`` and ``buckets``."""

    attributes: Mapping[str, Any]
    value: float | int | None = None
    count: int | None = None
    sum: float | int | None = None
    bounds: tuple[float, ...] = ()
    buckets: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """A metric, or those of its points that were asked for.

    Attributes:
        kind: ``counter``, ``up_down_counter``, ``gauge`` or ``histogram``.
    """

    name: str
    unit: str
    kind: str
    points: tuple[Point, ...]
    scope: str

    @property
    def point(self) -> Point:
        """The one point.

        Raises:
            LookupError: There is none, or there are several (they are listed).
        """
        if len(self.points) == 1:
            return self.points[0]
        listed = "\n".join(f"  {dict(point.attributes)}: {_amount(point)}" for point in self.points)
        raise LookupError(
            f"the metric {self.name!r} has {len(self.points)} points here, not one:\n{listed}\n"
            "Give labels that match one of them, or use .points."
        )

    @property
    def value(self) -> float | int:
        """The value of the one point of a counter or gauge; see `point`.

        Raises:
            LookupError: Not one point, or a histogram.
        """
        value = self.point.value
        if value is None:
            raise LookupError(f"the metric {self.name!r} is a {self.kind}: use .count, .sum or .points.")
        return value

    @property
    def count(self) -> int:
        """How many values the one point of a histogram has; see `point`."""
        return self.point.count or 0

    @property
    def sum(self) -> float | int:
        """The sum of the values in the one point of a histogram; see `point`."""
        return self.point.sum or 0


def _amount(point: Point) -> str:
    return str(point.value) if point.count is None else f"count {point.count}, sum {point.sum}"


def span_of(span: ReadableSpan) -> Span:
    """The SDK's span as a `Span`."""
    return Span(
        name=span.name,
        attributes=dict(span.attributes or {}),
        kind=span.kind.name,
        status=span.status.status_code.name,
        error=span.status.description,
        trace_id=format_trace_id(span.context.trace_id),
        span_id=format_span_id(span.context.span_id),
        parent_id=None if span.parent is None else format_span_id(span.parent.span_id),
        events=tuple(
            Event(name=event.name, attributes=dict(event.attributes or {}), time_ns=event.timestamp)
            for event in span.events
        ),
        links=tuple(format_span_id(link.context.span_id) for link in span.links),
        scope=span.instrumentation_scope.name if span.instrumentation_scope else "",
        resource=dict(span.resource.attributes),
        start_ns=span.start_time or 0,
        end_ns=span.end_time or 0,
    )


def log_of(record: ReadableLogRecord) -> Log:
    """The SDK's log record as a `Log`."""
    inner = record.log_record
    return Log(
        event=inner.body,
        level=inner.severity_text,
        attributes=dict(inner.attributes or {}),
        logger=record.instrumentation_scope.name if record.instrumentation_scope else "",
        trace_id=format_trace_id(inner.trace_id) if inner.trace_id else None,
        span_id=format_span_id(inner.span_id) if inner.span_id else None,
        resource=dict(record.resource.attributes),
        time_ns=inner.timestamp,
    )


def metric_of(metric: SdkMetric, scope: str) -> Metric:
    """The SDK's metric as a `Metric`."""
    return Metric(
        name=metric.name,
        unit=metric.unit or "",
        kind=_kind(metric.data),
        points=tuple(_point(point) for point in metric.data.data_points),
        scope=scope,
    )


def _kind(data: Any) -> str:
    kind = type(data).__name__
    if kind == "Sum":
        return "counter" if data.is_monotonic else "up_down_counter"
    return "gauge" if kind == "Gauge" else "histogram"


def _point(point: Any) -> Point:
    return Point(
        attributes=dict(point.attributes or {}),
        value=getattr(point, "value", None),
        count=getattr(point, "count", None),
        sum=getattr(point, "sum", None),
        bounds=tuple(getattr(point, "explicit_bounds", ())),
        buckets=tuple(getattr(point, "bucket_counts", ())),
    )
