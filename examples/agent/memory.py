"""What the demo keeps in memory: the spans of its traces, and every signal when nobody collects."""

from __future__ import annotations

import math
import threading
from typing import Any

from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter
from opentelemetry.sdk.metrics.export import (
    MetricExporter,
    MetricExportResult,
    MetricsData,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otelkit.exits.console import render_tree

__all__ = ["KeptMetrics", "TraceMemory", "exporters"]

_SHOWN = ("query.", "cache.", "results.", "response.", "http.route", "http.response.")


class TraceMemory(SpanProcessor):
    """Keeps finished spans by trace, to draw the tree of one of them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._traces: dict[str, list[ReadableSpan]] = {}

    def on_end(self, span: ReadableSpan) -> None:
        """Keep a span; the oldest trace goes when there are a thousand."""
        with self._lock:
            self._traces.setdefault(f"{span.context.trace_id:032x}", []).append(span)
            if len(self._traces) > 1_000:
                del self._traces[next(iter(self._traces))]

    def tree(self, trace_id: str, *, colour: bool = False) -> str:
        """The spans of a trace as a tree, with the attributes that tell its story."""
        with self._lock:
            spans = list(self._traces.get(trace_id, []))
        return render_tree((_brief(span) for span in spans), colour=colour)


def _brief(span: ReadableSpan) -> ReadableSpan:
    """The span with its few attributes of interest: a line of the tree is as wide as a terminal."""
    return ReadableSpan(
        name=span.name,
        context=span.context,
        parent=span.parent,
        attributes={k: v for k, v in (span.attributes or {}).items() if k.startswith(_SHOWN)},
        status=span.status,
        start_time=span.start_time,
        end_time=span.end_time,
    )


class KeptMetrics(MetricExporter):
    """Takes metrics and counts their data points."""

    def __init__(self) -> None:
        super().__init__()
        self.points = 0

    def export(
        self,
        metrics_data: MetricsData,
        timeout_millis: float = 10_000,  # noqa: ARG002 - of the interface
        **_: Any,
    ) -> MetricExportResult:
        """Count what came."""
        self.points += sum(
            len(metric.data.data_points)
            for resource in metrics_data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        )
        return MetricExportResult.SUCCESS

    def force_flush(self, timeout_millis: float = 10_000) -> bool:  # noqa: ARG002 - of the interface
        """Nothing waits here."""
        return True

    def shutdown(self, timeout_millis: float = 30_000, **_: Any) -> None:
        """Nothing is held."""


def exporters(metrics: KeptMetrics) -> dict[str, Any]:
    """Arguments of `otelkit.init` that keep all three signals in this process."""
    logs: Any = InMemoryLogRecordExporter  # its constructor has no types in the SDK
    return {
        "span_exporters": [InMemorySpanExporter()],
        "log_exporters": [logs()],
        # Without an interval it exports when it is flushed.
        "metric_readers": [PeriodicExportingMetricReader(metrics, export_interval_millis=math.inf)],
    }
