"""The same tasks done with otelkit."""

from __future__ import annotations

import logging
import os
from typing import Any

from opentelemetry import metrics, trace

import otelkit
from benchmarks.monitored import async_task, sync_task
from benchmarks.work import (
    QUEUE,
    SERIES,
    DropMetrics,
    DropSpans,
    Side,
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


def open_side(group: str) -> Side:
    """The tasks of a group, with a runtime like the plain side's set-up."""
    return _GROUPS[group]()


def _start(**more: Any) -> otelkit.Runtime:
    """A runtime whose only ways out are the given ones (and the page for /metrics)."""
    os.environ.update(
        OTEL_TRACES_EXPORTER="none",
        OTEL_METRICS_EXPORTER="none",
        OTEL_LOGS_EXPORTER="none",
        OTEL_BSP_MAX_QUEUE_SIZE=str(QUEUE),
        OTEL_BLRP_MAX_QUEUE_SIZE=str(QUEUE),
        OTEL_BLRP_SCHEDULE_DELAY="1000",
    )
    return otelkit.init(service_name="bench", **more)


def _pushed() -> Any:
    from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

    return PeriodicExportingMetricReader(DropMetrics(), export_interval_millis=3_600_000)


def _spans() -> Side:
    exporter = DropSpans()
    runtime = _start(span_exporters=[exporter])

    def span(calls):
        for number in range(calls):
            with otelkit.span("checkout", {"cart.items": number, "shop": "north", "express": True}):
                pass

    tasks = {**span_tasks(trace.get_tracer("bench")), "span": span}
    return Side(tasks=tasks, flush=runtime.flush, arrived=lambda: exporter.count)


def _logs() -> Side:
    exporter = drop_logs()
    runtime = _start(span_exporters=[DropSpans()], log_exporters=[exporter], log_format="json")
    logger = otelkit.get_logger("bench.structlog")
    loggers = {
        "log_structlog": logger,
        "log_structlog_api": logger,
        "log_stdlib": logging.getLogger("bench.stdlib"),
    }
    tasks = log_tasks(loggers, trace.get_tracer("bench"))
    return Side(tasks=tasks, flush=runtime.flush, arrived=lambda: exporter.count)


def _metrics() -> Side:
    _start(span_exporters=[DropSpans()], metric_readers=[_pushed()])
    return Side(tasks=metric_tasks(metrics.get_meter("bench"), trace.get_tracer("bench")))


def _monitored() -> Side:
    exporter = DropSpans()
    runtime = _start(
        span_exporters=[exporter], log_exporters=[drop_logs()], metric_readers=[_pushed()], log_format="json"
    )
    whole = otelkit.monitor_performance("query", "/api/query")
    no_log = otelkit.monitor_performance("query", "/api/query", log=False)
    tasks = {
        "monitor_sync": sync_task(whole),
        "monitor_sync_no_log": sync_task(no_log),
        "monitor_async": async_task(whole),
        "monitor_async_no_log": async_task(no_log),
        "monitor_by_hand": async_task(whole),
    }
    return Side(tasks=tasks, flush=runtime.flush)


def _unsampled() -> Side:
    runtime = _start(span_exporters=[DropSpans()], sample_ratio=0.0)
    return Side(tasks=span_tasks(trace.get_tracer("bench")), flush=runtime.flush)


def _encode() -> Side:
    from otelkit.wire import logs, traces

    return Side(
        tasks={
            "encode_spans": encode_task(lambda batch: traces.encode(batch).body, finished_spans()),
            "encode_logs": encode_task(lambda batch: logs.encode(batch).body, emitted_records()),
        }
    )


def _memory() -> Side:
    from otelkit.testing import capture

    def fresh(calls):
        for _ in range(calls):
            with capture():
                pass

    return Side(tasks={"memory": fresh})


def _scrape() -> Side:
    os.environ["OTELKIT_CARDINALITY_LIMIT"] = str(SERIES)
    runtime = _start(metric_readers=[_pushed()])
    series(metrics.get_meter("bench"))
    page = runtime._parts.page

    def scrape(calls):
        for _ in range(calls):
            shown, _ = page.render()
        return shown

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
