"""All parts of one runtime, made from its plan. Touches no global and starts no thread."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from otelkit._otel import metrics as sdk_metrics
from otelkit.delivery.courier import Courier, Lane
from otelkit.delivery.depot import Depot
from otelkit.delivery.dispatch import Dispatch
from otelkit.delivery.fleet import Fleet
from otelkit.delivery.guests import Guests
from otelkit.delivery.puller import Puller
from otelkit.delivery.queue import Memory, Queue
from otelkit.delivery.sender import Sender
from otelkit.pipeline import logs, metrics, otlp, own_metrics, resource, traces
from otelkit.pipeline.exits import MetricExits, metric_exits, record_exits
from otelkit.pipeline.sizes import record_size, span_size
from otelkit.processors.logdata import clean_record
from otelkit.processors.metricdata import cleaner
from otelkit.processors.spandata import clean_span
from otelkit.prometheus import Page
from otelkit.wire import logs as wire_logs
from otelkit.wire import metrics as wire_metrics
from otelkit.wire import traces as wire_traces

if TYPE_CHECKING:
    from otelkit.delivery.line import Line
    from otelkit.pipeline.plan import Plan, Way
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
        dispatch: Takes everything to the ways out, and has the books.
    """

    traces: traces.Traces
    logs: logs.Logs
    metrics: metrics.Metrics
    page: Page
    dispatch: Dispatch


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
    lines = otlp.lines(plan)
    pushed = metric_exits(plan.way("metrics"))
    exits = {
        "traces": record_exits(
            plan.way("traces"), settings.span_exporters, in_use=in_use, console=plan.console
        ),
        "logs": record_exits(plan.way("logs"), settings.log_exporters, in_use=in_use),
        "metrics": pushed.exits,
    }
    goes = {signal for signal in exits if exits[signal] or signal in lines}
    reader = _reader(settings, pushed, over_otlp="metrics" in lines) if "metrics" in goes else None
    page = Page(redactor=redactor, resource=who)
    delivery = _Delivery(settings, plan, lines=lines, exits=exits, redactor=redactor)
    books = {signal: queue.ledger for signal, queue in delivery.queues.items()}
    made_traces = traces.build(
        settings,
        resource=who,
        deliver=delivery.queues["traces"].put if "traces" in goes else None,
        on_sampled_out=books["traces"].sample_out,
    )
    made_logs = logs.build(
        settings,
        resource=who,
        redactor=redactor,
        deliver=delivery.queues["logs"].put if "logs" in goes else None,
    )
    made_metrics = metrics.build(
        settings,
        resource=who,
        readers=[page.reader, reader] if reader else [page.reader],
        users=(*settings.metric_readers, *pushed.readers),
        clean=cleaner(redactor),
    )
    others = [
        _Processors(made_traces.processors, in_use),
        _Processors(made_logs.processors, in_use),
        _Readers(made_metrics.users, in_use),
    ]
    dispatch = delivery.build(reader=reader, others=others)
    known = [signal for signal, line in lines.items() if line.guess is None]
    if known:  # a guess is no reason to tell something
        own_metrics.publish(
            made_metrics.get_meter(own_metrics.SCOPE),
            dispatch.counts,
            signals=known,
            disabled=settings.disabled_scopes,
        )
    return Parts(traces=made_traces, logs=made_logs, metrics=made_metrics, page=page, dispatch=dispatch)


def _reader(settings: Settings, pushed: MetricExits, *, over_otlp: bool) -> metrics.PullReader:
    """The reader of what is pushed: as the settings say for OTLP, else as the exporter wants it."""
    if over_otlp:
        return metrics.PullReader(
            temporality=otlp.temporality(settings.metric_temporality),
            aggregation=otlp.aggregation(settings.histogram_aggregation),
        )
    temporality, aggregation = sdk_metrics.exporter_preferences(pushed.exporter)
    return metrics.PullReader(temporality=temporality, aggregation=aggregation)


class _Delivery:
    """The rooms of delivery, built one after the other as each needs the one before."""

    def __init__(
        self,
        settings: Settings,
        plan: Plan,
        *,
        lines: Mapping[str, Line],
        exits: Mapping[str, Sequence[Exit]],
        redactor: Redactor,
    ) -> None:
        self._settings = settings
        self._plan = plan
        self._lines = lines
        self._exits = exits
        self._redactor = redactor
        self._memory = Memory(settings.queue_max_bytes)
        self._courier: Courier  # made last; the queues call it later
        sizes: dict[str, Callable[[Any], int]] = {"traces": span_size, "logs": record_size}
        self.queues = {way.signal: self._queue(way, sizes.get(way.signal, bool)) for way in plan.ways}

    def build(self, *, reader: metrics.PullReader | None, others: Sequence[Any]) -> Dispatch:
        def say_losses() -> None:
            dispatch.say_losses()

        depot = sender = None
        ledgers = {signal: queue.ledger for signal, queue in self.queues.items()}
        spool = otlp.spool(self._settings, self._plan, self._lines)
        if self._lines:
            depot = Depot(
                ledgers=ledgers, memory=self._memory, spool=spool, always=self._plan.spool == "always"
            )
            receivers = list(dict.fromkeys(line.receiver for line in self._lines.values()))
            sender = Fleet(
                [
                    Sender(
                        lines=[line for line in self._lines.values() if line.receiver is receiver],
                        depot=depot,
                        on_loss=say_losses,
                        tends=receiver is receivers[0],
                    )
                    for receiver in receivers
                ]
            )
            depot.failing = lambda: sender.failing
        guests = Guests(max_bytes=self._settings.queue_max_bytes, others=others, on_loss=say_losses)
        lanes = [lane for lane in (self._span_lane(guests), self._log_lane(guests)) if lane]
        courier = self._courier = Courier(
            lanes=lanes,
            depot=depot,
            memory=self._memory,
            stored=sender.stored if sender is not None else bool,
        )
        puller = None if reader is None else self._puller(reader, guests, courier)
        dispatch = Dispatch(
            queues=self.queues,
            courier=courier,
            guests=guests,
            puller=puller,
            depot=depot,
            sender=sender,
            where=self._plan.where,
            guessed={signal for signal, line in self._lines.items() if line.guess is not None},
        )
        return dispatch

    def _queue(self, way: Way, size_of: Callable[[Any], int]) -> Queue[Any]:
        helps = self._settings.on_full == "help"
        return Queue(
            memory=self._memory,
            size_of=size_of,
            capacity=way.capacity,
            batch_size=max(1, way.batch_size),
            begun=lambda: self._courier.begun(),  # noqa: PLW0108 - the courier is made later
            wake=lambda: self._courier.hurry(),  # noqa: PLW0108 - likewise
            relieve=(lambda queue: self._courier.help(queue)) if helps else None,  # noqa: PLW0108 - likewise
        )

    def _outlet(self, signal: str, guests: Guests) -> Any:
        exits = self._exits[signal]
        ledger = None if signal in self._lines else self.queues[signal].ledger
        return guests.outlet(exits, ledger=ledger) if exits else None

    def _span_lane(self, guests: Guests) -> Lane | None:
        outlet, redactor = self._outlet("traces", guests), self._redactor
        if outlet is None and "traces" not in self._lines:
            return None
        return Lane(
            signal="traces",
            queue=self.queues["traces"],
            prepare=lambda span: clean_span(span, redactor),
            encode=wire_traces.encode if "traces" in self._lines else None,
            outlet=outlet,
        )

    def _log_lane(self, guests: Guests) -> Lane | None:
        outlet = self._outlet("logs", guests)
        if outlet is None and "logs" not in self._lines:
            return None
        return Lane(
            signal="logs",
            queue=self.queues["logs"],
            prepare=clean_record,
            encode=wire_logs.encode if "logs" in self._lines else None,
            outlet=outlet,
        )

    def _puller(self, reader: metrics.PullReader, guests: Guests, courier: Courier) -> Puller:
        clean, timeout_s = cleaner(self._redactor), self._settings.metric_timeout_s

        def collect() -> tuple[Any, int]:
            data = reader.pull(timeout_s=timeout_s)
            cleaned = None if data is None else clean(data)
            return cleaned, metrics.count_points(cleaned)

        return Puller(
            collect=collect,
            encode=wire_metrics.encode if "metrics" in self._lines else None,
            outlet=self._outlet("metrics", guests),
            ledger=self.queues["metrics"].ledger,
            add=courier.add,
            interval_s=self._settings.metric_interval_s,
        )


class _Processors:
    """The user's processors at a flush and at the end: one still in use elsewhere is only flushed."""

    def __init__(self, processors: Any, in_use: Callable[[object], bool]) -> None:
        self._processors = processors
        self._in_use = in_use

    @property
    def idle(self) -> bool:
        return not self._processors.users

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

    @property
    def idle(self) -> bool:
        return not self._readers

    def flush(self, *, timeout_s: float) -> bool:
        answers = [reader.force_flush(timeout_millis=timeout_s * 1000) for reader in self._readers]
        return all(answer is not False for answer in answers)

    def close(self, *, timeout_s: float) -> None:
        for reader in self._readers:
            if not self._in_use(reader):
                reader.shutdown(timeout_millis=timeout_s * 1000)
