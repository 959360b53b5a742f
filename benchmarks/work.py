"""What both sides have in common: the tasks themselves, written against the OpenTelemetry API.

A task is a function of the number of calls; the loop is part of it, on both sides alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from opentelemetry.sdk.metrics.export import MetricExporter, MetricExportResult
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

__all__ = [
    "QUEUE",
    "SERIES",
    "DropMetrics",
    "DropSpans",
    "Side",
    "Task",
    "drop_logs",
    "emitted_records",
    "encode_task",
    "finished_spans",
    "log_tasks",
    "metric_tasks",
    "series",
    "span_tasks",
]

Task = Callable[[int], object]

# otelkit would choose these by itself; the SDK's own default is meant for milliseconds.
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)

QUEUE = 65_536  # both sides; a queue that overflows would make later items cheaper
SERIES = 10_000
BATCH = 512  # spans or log records; what a batch processor sends at once


@dataclass(frozen=True, slots=True, kw_only=True)
class Side:
    """One side's tasks of one group.

    Attributes:
        tasks: By the row's key.
        flush: Waits until the background thread has nothing left to do.
        arrived: How many items the exporter took so far; None where nothing is exported.
    """

    tasks: dict[str, Task]
    flush: Callable[[], object] = lambda: None
    arrived: Callable[[], int] | None = None


class DropSpans(SpanExporter):
    """Takes spans, counts them and forgets them."""

    def __init__(self):
        self.count = 0

    def export(self, spans):
        self.count += len(spans)
        return SpanExportResult.SUCCESS

    def shutdown(self):
        pass


class DropMetrics(MetricExporter):
    """Takes metrics and forgets them."""

    def export(self, metrics_data, timeout_millis=10_000, **_):
        del metrics_data, timeout_millis
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis=10_000):
        del timeout_millis
        return True

    def shutdown(self, timeout_millis=30_000, **_):
        pass


def drop_logs() -> Any:
    """An exporter that takes log records, counts them and forgets them."""
    from opentelemetry.sdk._logs.export import LogRecordExporter, LogRecordExportResult

    class DropLogs(LogRecordExporter):
        count = 0

        def export(self, batch):
            self.count += len(batch)
            return LogRecordExportResult.SUCCESS

        def shutdown(self):
            pass

        def force_flush(self, timeout_millis=10_000):
            del timeout_millis
            return True

    return DropLogs()


def span_tasks(tracer: Any) -> dict[str, Task]:
    """Spans by the API of the given tracer."""

    def span_switch(calls):
        for number in range(calls):
            with tracer.start_as_current_span(
                "checkout", attributes={"cart.items": number, "shop": "north", "express": True}
            ):
                pass

    def span_nested(calls):
        for number in range(calls):
            with tracer.start_as_current_span("process_query", attributes={"query.length": number}):
                with tracer.start_as_current_span("knowledge_search") as span:
                    span.add_event("hit", {"rank": 1, "source": "index"})
                    span.set_attribute("results.count", 3)
                with tracer.start_as_current_span("generate_response") as span:
                    span.add_event("first token", {"after.ms": 12.5})

    return {"span_switch": span_switch, "span_nested": span_nested, "span_unsampled": span_switch}


def log_tasks(loggers: dict[str, Any], tracer: Any) -> dict[str, Task]:
    """One line with three fields, inside a span."""

    def structlog_task(logger):
        def log(calls):
            with tracer.start_as_current_span("request"):
                for number in range(calls):
                    logger.info("order placed", order=number, shop="north", express=True)

        return log

    def stdlib_task(logger):
        def log(calls):
            with tracer.start_as_current_span("request"):
                for number in range(calls):
                    logger.info("order placed", extra={"order": number, "shop": "north", "express": True})

        return log

    return {
        key: stdlib_task(logger) if key == "log_stdlib" else structlog_task(logger)
        for key, logger in loggers.items()
    }


def metric_tasks(meter: Any, tracer: Any) -> dict[str, Task]:
    """Measurements by the API of the given meter, inside a span, as in a request."""
    counter = meter.create_counter("bench.requests", unit="{request}")
    histogram = meter.create_histogram(
        "bench.duration", unit="s", explicit_bucket_boundaries_advisory=_SECONDS
    )

    def count(calls):
        with tracer.start_as_current_span("request"):
            for _ in range(calls):
                counter.add(1, {"method": "query", "status": "ok"})

    def record(calls):
        with tracer.start_as_current_span("request"):
            for number in range(calls):
                histogram.record(number / 1000, {"method": "query", "status": "ok"})

    return {"counter": count, "histogram": record}


def series(meter: Any) -> None:
    """Make 10,000 series: half of them of a counter, half the lines of a histogram."""
    counter = meter.create_counter("bench.requests", unit="{request}")
    for number in range(SERIES // 2):
        counter.add(1, {"method": "query", "customer": f"customer-{number}"})
    histogram = meter.create_histogram(
        "bench.duration", unit="s", explicit_bucket_boundaries_advisory=[0.01, 0.1, 0.5, 1.0, 2.5, 5.0, 7.5]
    )
    for number in range(SERIES // 20):  # 8 buckets, sum and count: 10 lines for each
        histogram.record(0.2, {"method": "query", "customer": f"customer-{number}"})


def _fields(number: int) -> dict[str, Any]:
    return {
        "cart.items": number,
        "shop": "north",
        "express": True,
        "price": number * 1.25,
        "customer": f"customer-{number}",
    }


def finished_spans() -> list[Any]:
    """512 spans of the plain SDK with 5 attributes each."""
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracer = provider.get_tracer("bench")
    with tracer.start_as_current_span("request"):
        for number in range(BATCH):
            with tracer.start_as_current_span("checkout", attributes=_fields(number)):
                pass
        return list(exporter.get_finished_spans())


def emitted_records() -> list[Any]:
    """512 log records of the plain SDK with 5 attributes and a body of text each, inside a span."""
    from opentelemetry._logs import SeverityNumber
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
    from opentelemetry.sdk.trace import TracerProvider

    exporter = InMemoryLogRecordExporter()
    provider = LoggerProvider()
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    logger = provider.get_logger("bench")
    with TracerProvider().get_tracer("bench").start_as_current_span("request"):
        for number in range(BATCH):
            logger.emit(
                timestamp=number,
                severity_number=SeverityNumber.INFO,
                severity_text="INFO",
                body=f"order {number} placed",
                attributes=_fields(number),
            )
    return list(exporter.get_finished_logs())


def encode_task(encode: Callable[[Any], bytes], batch: list[Any]) -> Task:
    """Encode a batch again and again."""

    def task(calls):
        for _ in range(calls):
            encode(batch)

    return task
