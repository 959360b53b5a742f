"""See what your code tells: spans, log records and metrics as values a test can assert.

::

    def test_checkout():
        with otelkit.testing.capture() as telemetry:
            checkout(cart)

        assert telemetry.span("checkout").attributes["cart.items"] == 3
        assert telemetry.metric("orders_total", shop="north").value == 1

The pytest plugin that comes with otelkit offers the same as the fixture ``telemetry``.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.trace.id_generator import IdGenerator

from otelkit import _api, _switch, logs
from otelkit._clock import FakeClock
from otelkit.exits.console import render_tree
from otelkit.logs import running
from otelkit.pipeline import logs as log_pipeline
from otelkit.pipeline import metrics as metric_pipeline
from otelkit.pipeline import resource, traces
from otelkit.processors.logdata import clean_record
from otelkit.processors.metricdata import clean
from otelkit.processors.redact import Redactor
from otelkit.processors.spandata import clean_span
from otelkit.prometheus._names import exposed_name
from otelkit.settings import Settings
from otelkit.testing.values import Event, Log, Metric, Point, Span, log_of, metric_of, span_of

if TYPE_CHECKING:
    from otelkit._clock import Clock

__all__ = ["Event", "FakeClock", "Log", "Metric", "Point", "Span", "Telemetry", "capture"]

_innermost: ContextVar[Telemetry | None] = ContextVar("otelkit_capture", default=None)
_open: list[Telemetry] = []
_lock = threading.Lock()


@contextmanager
def capture(
    *, settings: Settings | None = None, fixed_ids: bool = False, clock: Clock | None = None
) -> Iterator[Telemetry]:
    """Collect everything the process tells inside the block, from any thread, in memory.

    Nothing leaves the process meanwhile; afterwards all is as before. Captures nest: the inner one
    takes what is told.

    The code under test may call `otelkit.init`, and `otelkit.shutdown`. The runtime that it gets works,
    with all its settings, but has no way out: no OTLP, spool, server, console, exporter, processor or
    reader of the user's, no thread, and no hooks for the end of the process. It stands on top of an
    earlier runtime, which goes on beneath and is never returned or ended by them. At the end of the
    capture it is shut down, if the code under test has not done it: logs, redaction, libraries and
    propagators are again as the earlier runtime, if any, had set them.

    Args:
        settings: Redaction, sampling and so on; default: those of a service ``test``.
        fixed_ids: Trace and span ids count up from 1, for snapshots.
        clock: A `FakeClock` stamps spans and records, for snapshots.

    Raises:
        RuntimeError: Another task or thread has a capture open: they would take each other's data.
    """
    telemetry = Telemetry(settings or Settings(service_name="test"), fixed_ids=fixed_ids, clock=clock)
    _enter(telemetry)
    token = _innermost.set(telemetry)
    with ExitStack() as stack:
        stack.callback(_leave, telemetry)
        _switch.install()
        _switch.push(telemetry._target)
        stack.callback(_switch.pop, telemetry._target)
        stack.enter_context(_api.rehearsal())
        # Observed instruments answer a last time; later they repeat that.
        stack.callback(telemetry._reader.pull)
        if running.current() is None:
            stack.callback(logs.install(telemetry._settings, telemetry._redactor).uninstall)
        yield telemetry
    try:
        _innermost.reset(token)
    except ValueError:  # a fixture that is torn down in another context than it was set up in
        _innermost.set(None)


def _enter(telemetry: Telemetry) -> None:
    with _lock:
        if _open and not _open[-1]._encloses_here():
            raise RuntimeError(
                "otelkit.testing.capture: another task or thread has a capture open, and both would "
                "take each other's telemetry. Nest them in one task, or run these tests one after the other."
            )
        _open.append(telemetry)


def _leave(telemetry: Telemetry) -> None:
    with _lock:
        _open[:] = [other for other in _open if other is not telemetry]


def _task() -> object | None:
    try:
        return asyncio.current_task()
    except RuntimeError:
        return None


class Telemetry:
    """What was told since the capture began. Every property is a fresh copy, in order of time."""

    def __init__(self, settings: Settings, *, fixed_ids: bool, clock: Clock | None) -> None:
        self._settings = settings
        self._redactor = Redactor.of(settings.redact)
        self._spans: list[Any] = []
        self._records: list[Any] = []
        self._reader = metric_pipeline.PullReader()
        self._home = (_task(), threading.get_ident())
        who = resource.build(settings)
        self._target = _switch.Target(
            traces=traces.build(
                settings,
                resource=who,
                deliver=self._spans.append,
                on_sampled_out=lambda: None,
                id_generator=_CountingIds() if fixed_ids else None,
                clock=clock,
            ),
            logs=log_pipeline.build(
                settings, resource=who, redactor=self._redactor, deliver=self._records.append, clock=clock
            ),
            metrics=metric_pipeline.build(settings, resource=who, readers=[self._reader]),
            disabled_scopes=settings.disabled_scopes,
        )

    @property
    def spans(self) -> list[Span]:
        """The finished spans, in the order in which they ended."""
        return [span_of(span) for span in self._cleaned()]

    @property
    def logs(self) -> list[Log]:
        """The log records, in the order in which they were written."""
        return [log_of(clean_record(record)) for record in list(self._records)]

    @property
    def metrics(self) -> list[Metric]:
        """The metrics as they are now, with all their points."""
        data = self._reader.pull()
        if data is None:
            return []
        return [
            metric_of(metric, scope.scope.name)
            for resource_metrics in clean(data, self._redactor).resource_metrics
            for scope in resource_metrics.scope_metrics
            for metric in scope.metrics
        ]

    def span(self, name: str) -> Span:
        """The one span of this name.

        Raises:
            LookupError: None or several have this name; the message lists what there is.
        """
        spans = self.spans
        found = [span for span in spans if span.name == name]
        if len(found) == 1:
            return found[0]
        raise LookupError(
            f"{len(found)} spans are named {name!r}, not one. "
            f"Captured spans: {_listed(span.name for span in spans)}."
        )

    def log(self, event: str) -> Log:
        """The one log record with this text.

        Raises:
            LookupError: None or several have this text; the message lists what there is.
        """
        records = self.logs
        found = [record for record in records if record.event == event]
        if len(found) == 1:
            return found[0]
        raise LookupError(
            f"{len(found)} log records say {event!r}, not one. "
            f"Captured records: {_listed(str(record.event) for record in records)}."
        )

    def metric(self, name: str, **labels: object) -> Metric:
        """A metric by its OTel name or the name it has at ``/metrics``.

        Args:
            name: ``agent_requests`` or ``agent_requests_total``, say.
            **labels: Only points whose attributes have these values.

        Raises:
            LookupError: There is no such metric; the message lists what there is.
        """
        metrics = self.metrics
        for metric in metrics:
            if name in {metric.name, exposed_name(metric.name, metric.unit, metric.kind)}:
                points = tuple(
                    point for point in metric.points if labels.items() <= dict(point.attributes).items()
                )
                return Metric(
                    name=metric.name, unit=metric.unit, kind=metric.kind, points=points, scope=metric.scope
                )
        raise LookupError(
            f"no metric is named {name!r}. Captured metrics: {_listed(metric.name for metric in metrics)}."
        )

    def tree(self, *, attributes: bool = True) -> str:
        """All spans as text, children below their parents; with a `FakeClock` fit for a snapshot."""
        return render_tree(self._cleaned(), attributes=attributes)

    def clear(self) -> None:
        """Forget the spans and log records told so far; metrics are sums and stay."""
        self._spans.clear()
        self._records.clear()

    def _cleaned(self) -> list[Any]:
        return [clean_span(span, self._redactor) for span in list(self._spans)]

    def _encloses_here(self) -> bool:
        """Whether a capture begun here is inside this one, not beside it."""
        if _innermost.get() is self:
            return True
        task, thread = self._home
        return task is None and thread == threading.get_ident()


def _listed(names: Iterator[str] | Sequence[str]) -> str:
    return ", ".join(repr(name) for name in names) or "none"


class _CountingIds(IdGenerator):
    """Ids 1, 2, 3 and so on."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._trace = 0
        self._span = 0

    def generate_trace_id(self) -> int:
        with self._lock:
            self._trace += 1
            return self._trace

    def generate_span_id(self) -> int:
        with self._lock:
            self._span += 1
            return self._span
