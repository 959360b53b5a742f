"""All parts of one runtime, made from its plan. Touches no global and starts no thread."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from otelkit.delivery.courier import Courier, Lane, Pull
from otelkit.delivery.queue import Queue
from otelkit.exits.otlp import last_error
from otelkit.pipeline import logs, metrics, resource, traces
from otelkit.pipeline.exits import metric_exits, record_exits
from otelkit.processors.logdata import clean_record
from otelkit.processors.metricdata import cleaner
from otelkit.processors.spandata import clean_span
from otelkit.prometheus import Page

if TYPE_CHECKING:
    from otelkit.pipeline.plan import Plan
    from otelkit.processors.redact import Redactor
    from otelkit.settings import Settings
    from otelkit.types import Exit

__all__ = ["Parts", "assemble"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What a runtime runs.

    Attributes:
        traces, logs, metrics: The sources of tracers, loggers and meters.
        page: The page for `/metrics`.
        courier: Takes everything to the ways out.
        queues: The queue (and so the counts) of each signal.
    """

    traces: traces.Traces
    logs: logs.Logs
    metrics: metrics.Metrics
    page: Page
    courier: Courier
    queues: dict[str, Queue[Any]]


def assemble(
    settings: Settings, plan: Plan, *, redactor: Redactor, in_use: Callable[[object], bool]
) -> Parts:
    """Build what ``plan`` says.

    Args:
        settings: The resolved settings.
        plan: Their plan.
        redactor: What hides secrets, on every way out.
        in_use: Whether another runtime still uses an exporter, processor or reader of the user's.
    """
    who = resource.build(settings)
    wake = threading.Event()
    queues: dict[str, Queue[Any]] = {
        way.signal: Queue(capacity=way.capacity, batch_size=max(1, way.batch_size), wake=wake.set)
        for way in plan.ways
    }
    spans = _span_lane(settings, plan, queues["traces"], redactor=redactor, in_use=in_use)
    records = _log_lane(settings, plan, queues["logs"], in_use=in_use)
    pushed = metric_exits(
        plan.way("metrics"),
        temporality=settings.metric_temporality,
        histograms=settings.histogram_aggregation,
    )
    reader = metrics.PullReader(pushed.exporter) if pushed.exits else None
    page = Page(redactor=redactor, resource=who)
    made_traces = traces.build(
        settings,
        resource=who,
        deliver=queues["traces"].put if spans.exits else None,
        on_sampled_out=queues["traces"].ledger.sample_out,
    )
    made_logs = logs.build(
        settings, resource=who, redactor=redactor, deliver=queues["logs"].put if records.exits else None
    )
    made_metrics = metrics.build(
        settings,
        resource=who,
        readers=[page.reader, reader] if reader else [page.reader],
        users=(*settings.metric_readers, *pushed.readers),
        clean=cleaner(redactor),
    )
    courier = Courier(
        lanes=[lane for lane in (spans, records) if lane.exits],
        pull=_pull(settings, pushed.exits, reader, queues["metrics"], redactor=redactor),
        others=[
            _Processors(made_traces.processors, in_use),
            _Processors(made_logs.processors, in_use),
            _Readers(made_metrics.users, in_use),
        ],
        wake=wake,
        where=plan.where,
        repeat_s=60.0 if settings.endpoint_given else None,
        last_error=last_error,
    )
    return Parts(
        traces=made_traces, logs=made_logs, metrics=made_metrics, page=page, courier=courier, queues=queues
    )


def _span_lane(
    settings: Settings,
    plan: Plan,
    queue: Queue[Any],
    *,
    redactor: Redactor,
    in_use: Callable[[object], bool],
) -> Lane:
    way = plan.way("traces")
    return Lane(
        name="spans",
        queue=queue,
        prepare=lambda batch: [clean_span(span, redactor) for span in batch],
        exits=record_exits(way, settings.span_exporters, in_use=in_use, console=plan.console),
        delay_s=way.delay_s,
    )


def _log_lane(settings: Settings, plan: Plan, queue: Queue[Any], *, in_use: Callable[[object], bool]) -> Lane:
    way = plan.way("logs")
    return Lane(
        name="logs",
        queue=queue,
        prepare=lambda batch: [clean_record(record) for record in batch],
        exits=record_exits(way, settings.log_exporters, in_use=in_use),
        delay_s=way.delay_s,
    )


def _pull(
    settings: Settings,
    exits: Sequence[Exit],
    reader: metrics.PullReader | None,
    queue: Queue[Any],
    *,
    redactor: Redactor,
) -> Pull | None:
    if reader is None:
        return None

    clean = cleaner(redactor)

    def collect() -> tuple[Any, int]:
        data = reader.pull(timeout_s=settings.metric_timeout_s)
        cleaned = None if data is None else clean(data)
        return cleaned, metrics.count_points(cleaned)

    return Pull(queue=queue, collect=collect, exits=exits, interval_s=settings.metric_interval_s)


class _Processors:
    """The user's processors at a flush and at the end: one still in use elsewhere is only flushed."""

    def __init__(self, processors: Any, in_use: Callable[[object], bool]) -> None:
        self._processors = processors
        self._in_use = in_use

    def flush(self, *, timeout_s: float) -> bool:
        return bool(self._processors.force_flush(round(timeout_s * 1000)))

    def close(self, *, timeout_s: float) -> None:
        kept = [processor for processor in self._processors.users if self._in_use(processor)]
        self._processors.users = tuple(p for p in self._processors.users if p not in kept)
        self._processors.shutdown()
        for processor in kept:
            processor.force_flush(round(timeout_s * 1000))


class _Readers:
    """The user's metric readers, likewise."""

    def __init__(self, readers: Sequence[Any], in_use: Callable[[object], bool]) -> None:
        self._readers = tuple(readers)
        self._in_use = in_use

    def flush(self, *, timeout_s: float) -> bool:
        answers = [reader.force_flush(timeout_millis=timeout_s * 1000) for reader in self._readers]
        return all(answer is not False for answer in answers)

    def close(self, *, timeout_s: float) -> None:
        for reader in self._readers:
            if not self._in_use(reader):
                reader.shutdown(timeout_millis=timeout_s * 1000)
