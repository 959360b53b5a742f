"""The tasks as the OpenTelemetry documentation has them done, without otelkit."""

from __future__ import annotations

import json
import logging
import sys
import time
import warnings
from typing import Any

from opentelemetry import metrics, trace
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from benchmarks.monitored import bare_span_tasks
from benchmarks.work import (
    QUEUE,
    DropMetrics,
    DropSpans,
    Side,
    Task,
    drop_logs,
    emitted_records,
    encode_task,
    finished_spans,
    log_tasks,
    metric_tasks,
    series,
    span_tasks,
)

__all__ = ["open_side"]

_RESOURCE = Resource.create({"service.name": "bench"})


def open_side(group: str) -> Side:
    """The tasks of a group, with everything they need set up and global."""
    return _GROUPS[group]()


def _traced(**more: Any) -> tuple[TracerProvider, DropSpans]:
    exporter = DropSpans()
    provider = TracerProvider(resource=_RESOURCE, **more)
    provider.add_span_processor(
        BatchSpanProcessor(exporter, max_queue_size=QUEUE, schedule_delay_millis=1_000)
    )
    trace.set_tracer_provider(provider)
    return provider, exporter


def _spans() -> Side:
    traces, exporter = _traced()
    tasks = span_tasks(trace.get_tracer("bench"))
    tasks["span"] = tasks["span_switch"]
    return Side(tasks=tasks, flush=traces.force_flush, arrived=lambda: exporter.count)


def _logs() -> Side:
    from opentelemetry._logs import set_logger_provider
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import BatchLogRecordProcessor

    _traced()
    exporter = drop_logs()
    logs = LoggerProvider(resource=_RESOURCE)
    logs.add_log_record_processor(
        BatchLogRecordProcessor(exporter, max_queue_size=QUEUE, schedule_delay_millis=1_000)
    )
    set_logger_provider(logs)
    tasks = _logging(logs, trace.get_tracer("bench"))
    return Side(tasks=tasks, flush=logs.force_flush, arrived=lambda: exporter.count)


def _metrics() -> Side:
    _traced()
    metrics.set_meter_provider(_metered())
    return Side(tasks=metric_tasks(metrics.get_meter("bench"), trace.get_tracer("bench")))


def _monitored() -> Side:
    traces, _ = _traced()
    return Side(tasks=bare_span_tasks(trace.get_tracer("bench")), flush=traces.force_flush)


def _metered() -> Any:
    from opentelemetry.exporter.prometheus import PrometheusMetricReader
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    pushed = PeriodicExportingMetricReader(DropMetrics(), export_interval_millis=3_600_000)
    return MeterProvider(metric_readers=[pushed, PrometheusMetricReader()], resource=_RESOURCE)


def _handler(provider: Any) -> logging.Handler:
    """The official handler that makes OTLP records of logging's records."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the SDK's own is being moved to an instrumentation
        from opentelemetry.sdk._logs import LoggingHandler

        return LoggingHandler(logger_provider=provider)


def _ids() -> dict[str, str]:
    """The ids of the current span, as the OpenTelemetry documentation puts them on a line."""
    context = trace.get_current_span().get_span_context()
    return {
        "trace_id": trace.format_trace_id(context.trace_id),
        "span_id": trace.format_span_id(context.span_id),
    }


def _add_ids(_logger: object, _method: str, event: dict[str, Any]) -> dict[str, Any]:
    event.update(_ids())
    return event


class _Json(logging.Formatter):
    """A line of JSON with the fields given as ``extra``."""

    known = frozenset(logging.LogRecord("", 0, "", 0, "", (), None).__dict__)

    def format(self, record):
        line = {
            "timestamp": self.formatTime(record),
            "level": record.levelname.lower(),
            "event": record.getMessage(),
            "logger": record.name,
            **_ids(),
        }
        line.update((key, value) for key, value in record.__dict__.items() if key not in self.known)
        return json.dumps(line)


def _logging(provider: Any, tracer: Any) -> dict[str, Task]:
    import structlog

    official = _handler(provider)
    for name, formatter in (("bench.stdlib", _Json()), ("bench.structlog", logging.Formatter("%(message)s"))):
        logger = logging.getLogger(name)
        logger.propagate = False
        logger.setLevel(logging.INFO)
        stream = logging.StreamHandler(sys.stdout)
        stream.setFormatter(formatter)
        logger.handlers = [stream, official]
    chain = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _add_ids,
        structlog.processors.format_exc_info,
    ]
    # The line is rendered by structlog and goes through logging, where the official handler is.
    official_way = structlog.wrap_logger(
        logging.getLogger("bench.structlog"),
        processors=[structlog.stdlib.add_logger_name, *chain, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )
    # The least that can be written by hand: a processor that emits by the logs API.
    by_hand = structlog.wrap_logger(
        structlog.WriteLogger(sys.stdout),
        processors=[*chain, _Emit(provider), structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )
    return log_tasks(
        {
            "log_structlog": official_way,
            "log_structlog_api": by_hand,
            "log_stdlib": logging.getLogger("bench.stdlib"),
        },
        tracer,
    )


class _Emit:
    """A structlog processor that emits a record with the fields as attributes."""

    def __init__(self, provider: Any) -> None:
        from opentelemetry._logs import SeverityNumber

        self._logger = provider.get_logger("bench")
        self._levels = {"info": SeverityNumber.INFO, "error": SeverityNumber.ERROR}

    def __call__(self, _logger: object, _method: str, event: dict[str, Any]) -> dict[str, Any]:
        fields = dict(event)
        body, level = fields.pop("event"), fields.pop("level")
        for name in ("timestamp", "trace_id", "span_id"):
            del fields[name]
        now = time.time_ns()
        self._logger.emit(
            timestamp=now,
            observed_timestamp=now,
            severity_number=self._levels[level],
            severity_text=level.upper(),
            body=body,
            attributes=fields,
        )
        return event


def _unsampled() -> Side:
    from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased

    traces, _ = _traced(sampler=ParentBased(TraceIdRatioBased(0.0)))
    return Side(tasks=span_tasks(trace.get_tracer("bench")), flush=traces.force_flush)


def _encode() -> Side:
    from opentelemetry.exporter.otlp.proto.common._log_encoder import encode_logs
    from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans

    return Side(
        tasks={
            "encode_spans": encode_task(
                lambda batch: encode_spans(batch).SerializeToString(), finished_spans()
            ),
            "encode_logs": encode_task(
                lambda batch: encode_logs(batch).SerializeToString(), emitted_records()
            ),
        }
    )


def _memory() -> Side:
    from opentelemetry.sdk._logs import LoggerProvider
    from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    def fresh(calls):
        for _ in range(calls):
            resource = Resource.create({"service.name": "test"})
            traces = TracerProvider(resource=resource, shutdown_on_exit=False)
            traces.add_span_processor(SimpleSpanProcessor(InMemorySpanExporter()))
            logs = LoggerProvider(resource=resource, shutdown_on_exit=False)
            logs.add_log_record_processor(SimpleLogRecordProcessor(InMemoryLogRecordExporter()))
            meters = MeterProvider([InMemoryMetricReader()], resource=resource, shutdown_on_exit=False)
            for provider in (traces, logs, meters):
                provider.shutdown()

    return Side(tasks={"memory": fresh})


def _scrape() -> Side:
    from prometheus_client import REGISTRY, generate_latest

    metrics.set_meter_provider(_metered())
    series(metrics.get_meter("bench"))

    def scrape(calls):
        for _ in range(calls):
            page = generate_latest(REGISTRY)
        return page

    return Side(tasks={"scrape": scrape})


_GROUPS = {
    "spans": _spans,
    "logs": _logs,
    "metrics": _metrics,
    "monitored": _monitored,
    "unsampled": _unsampled,
    "encode": _encode,
    "memory": _memory,
    "scrape": _scrape,
}
