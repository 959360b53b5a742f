"""What a program calls: a few lines each over the rooms that do the work."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

from opentelemetry import metrics, trace
from opentelemetry.trace import SpanKind

from otelkit import _guard
from otelkit.errors import ConfigurationError
from otelkit.pipeline.current import CurrentSpan

if TYPE_CHECKING:
    import re

    from opentelemetry.sdk.metrics.export import MetricReader
    from opentelemetry.sdk.trace import SpanProcessor
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Link

    from otelkit._otel import LogRecordExporter
    from otelkit.pipeline.plan import Plan
    from otelkit.rehearsal import Rehearsal
    from otelkit.runtime import Runtime, Stage
    from otelkit.settings import Settings

__all__ = [
    "aflush",
    "flush",
    "get_meter",
    "get_tracer",
    "init",
    "rehearsal",
    "shutdown",
    "span",
    "span_id",
    "trace_id",
]

_init_lock = threading.RLock()


def init(
    service_name: str | None = None,
    *,
    settings: Settings | None = None,
    service_version: str | None = None,
    environment: str | None = None,
    resource_attributes: Mapping[str, Any] | None = None,
    endpoint: str | None = None,
    protocol: Literal["http/protobuf", "grpc"] | None = None,
    headers: Mapping[str, str] | None = None,
    sample_ratio: float | None = None,
    console: bool | None = None,
    log_level: int | str | None = None,
    log_format: Literal["json", "console"] | None = None,
    log_setup: Literal["auto", "configure", "attach", "off"] | None = None,
    prometheus_port: int | None = None,
    metric_interval_s: float | None = None,
    spool: Literal["always", "on_failure", "off"] | None = None,
    redact: bool | Sequence[str | re.Pattern[str]] | Callable[[str, object], object] | None = None,
    instrument: bool | Literal["auto"] | Sequence[str] | None = None,
    disabled_scopes: Sequence[str] | None = None,
    span_processors: Sequence[SpanProcessor] | None = None,
    span_exporters: Sequence[SpanExporter] | None = None,
    log_exporters: Sequence[LogRecordExporter] | None = None,
    metric_readers: Sequence[MetricReader] | None = None,
    strict: bool | None = None,
) -> Runtime:
    """Start telemetry: metrics, logs and traces, all through the OpenTelemetry API.

    Everything fetched before (tracers, meters, instruments, loggers) works from now on. Calling it
    again with the same settings returns the same runtime; with others it replaces the former one,
    which still delivers what was in flight. An argument that is not given is resolved afresh:
    from the ``OTEL_*`` variables, then ``OTELKIT_*``, then ``[tool.otelkit]`` in the working
    folder's pyproject.toml, then the default. See `otelkit.settings.describe`.

    Inside `otelkit.testing.capture` it starts no export, and is taken back at the end of the block.

    Args:
        service_name: The name of the service, in every signal.
        settings: All settings as one object, instead of the arguments.
        service_version: Default: the installed distribution of that name, else the git commit.
        environment: ``deployment.environment.name``; default ``development``.
        resource_attributes: Further attributes of the resource.
        endpoint: The OTLP receiver's base address; ``/v1/traces`` and so on are added for HTTP.
            Default: the collector on localhost.
        protocol: OTLP over HTTP (default) or gRPC.
        headers: Headers of each OTLP request.
        sample_ratio: The share of traces that is kept, 0 to 1; a remote parent's decision wins.
        console: Show finished traces on the terminal; default: when stderr is one.
        log_level: The least level of otelkit's own log lines.
        log_format: ``json`` or ``console`` (readable); default: by the terminal.
        log_setup: ``auto`` (default), ``configure``, ``attach`` or ``off``; see `otelkit.logs`.
        prometheus_port: Serve ``/metrics`` on this port of the loopback interface (0: any free one).
        metric_interval_s: Seconds between two exports of the metrics; default 60.
        spool: Keep on disk what the receiver does not have yet: ``always`` (the default with an
            endpoint), ``on_failure`` or ``off`` (memory only; the default without an endpoint).
        redact: False: hide nothing. Strings: further key names; patterns: further values to hide;
            a function ``(key, value) -> value``: has the last word.
        instrument: Which installed libraries are instrumented; default all that are supported.
        disabled_scopes: Names or wildcards of scopes whose telemetry is a no-op.
        span_processors: Your own; they see spans before redaction.
        span_exporters: Your own, besides OTLP.
        log_exporters: Your own, besides OTLP.
        metric_readers: Your own, besides OTLP and ``/metrics``.
        strict: Raise `ConfigurationError` for a setting that cannot be used.

    Returns:
        The running `Runtime`; a context manager that shuts down when it is left.

    Raises:
        ConfigurationError: With ``strict``, a setting cannot be used; or ``settings`` was given
            together with other arguments. Otherwise a wrong setting is one line on stderr, its
            part is off, and the rest works.
    """
    given = {name: value for name, value in locals().items() if value is not None}
    given.pop("settings", None)
    if settings is not None and given:
        raise ConfigurationError(
            f"init was given settings= together with {', '.join(sorted(given))}. "
            "Give either the Settings object or the arguments; dataclasses.replace changes a Settings."
        )
    with _init_lock:
        from otelkit import settings as settings_room

        resolved = settings_room.resolve(**given) if settings is None else settings
        try:
            return _run(resolved)
        except ConfigurationError:
            raise
        except Exception:
            _guard.swallowed("init")
            present = _present()
            if present is not None and not present.ending:
                return present
            return _run(dataclasses.replace(resolved, sdk_disabled=True, log_setup="off"))


def _run(settings: Settings) -> Runtime:
    """The runtime of these settings: the running one if they are equal, else a new one."""
    from otelkit import _otel
    from otelkit import settings as settings_room

    _otel.load_sdk()
    present = _present()
    if present is not None and not present.ending and present.settings == settings:
        return present
    for line in (*settings.problems, *settings.advice):
        _guard.say(line, key=f"settings:{line}")
    made = _start(settings)
    _tell_running(settings)
    made.on_close(lambda: settings_room.running() is settings and settings_room.set_running(None))
    return made


def _tell_running(settings: Settings | None) -> None:
    from otelkit import settings as settings_room

    settings_room.set_running(settings)
    if (measures := sys.modules.get("otelkit.measures")) is not None:
        measures.follow()  # the names of observed queues follow the prefix


def _start(settings: Settings) -> Runtime:
    from otelkit import _lifecycle, instrument, logs, process, runtime
    from otelkit.pipeline import propagation
    from otelkit.pipeline.plan import plan

    missing = instrument.missing(settings)
    if settings.strict and missing:
        raise ConfigurationError("\n".join(missing))
    stage, planned = runtime.stage(), plan(settings, terminal=_terminal())
    made = runtime.Runtime(settings, planned) if stage is None else _rehearsal(settings, planned, stage)
    with instrument.handover():  # what the former runtime gives up and this one wants stays as it is
        made.start()
        made.on_close(propagation.install(settings.propagators))
        made.on_close(logs.install(settings, made.redactor).uninstall)
        if settings.instrument is not False and not settings.sdk_disabled:
            made.on_close(instrument.install(settings))
        made.on_close(process.install(settings))
    if stage is None:  # else nothing is there to be sent at the end of the process
        _lifecycle.install(after_fork=_after_fork, on_os_exit=settings.flush_on_os_exit)
    return made


def _rehearsal(settings: Settings, planned: Plan, stage: Stage) -> Rehearsal:
    from otelkit.rehearsal import Rehearsal

    made = Rehearsal(settings, planned, stage)
    made.on_close(functools.partial(_resume, made))  # the first one given goes last
    return made


@contextmanager
def rehearsal() -> Iterator[None]:
    """Let `init` export nothing inside the block, and take back what it has set at the end.

    For `otelkit.testing.capture`. The runtime of before goes on beneath, untouched: what `init` makes
    inside (`otelkit.rehearsal.Rehearsal`) sets its own log set-up, redaction, propagators and libraries
    on top, and takes them back as any runtime does when it is shut down. `init`, `flush` and
    `shutdown` mean the runtime that was made inside, if any; never the one beneath.
    """
    from otelkit import runtime

    with _init_lock:
        stage = runtime.Stage()
    try:
        yield
    finally:
        with _init_lock:  # an `init` of another thread is completed first, and then taken back
            stage.close()


def _resume(made: Rehearsal) -> None:
    """Put in force again what the runtime below a rehearsal had set, where the latest wish counts."""
    from otelkit import instrument, process, runtime

    if runtime.current() is not made:  # but another one, which has been made since
        return
    below = made.below
    _tell_running(None if below is None else below.settings)
    if below is None:
        return
    settings = below.settings
    if settings.instrument is not False and not settings.sdk_disabled:
        instrument.install(settings)()  # its first wish still holds
    below.on_close(process.install(settings))


def _after_fork(parent: Runtime) -> None:
    """In a fork's child: a runtime of its own, by the same settings, without the parent's server."""
    global _init_lock
    from otelkit import runtime

    _init_lock = threading.RLock()
    made = runtime.Runtime(parent.settings, dataclasses.replace(parent.plan, server=None))
    made.inherit(parent)
    made.start()


def _terminal() -> bool:
    try:
        return sys.stderr.isatty()
    except Exception:
        return False


def shutdown(timeout_s: float | None = None) -> bool:
    """Send what is left, all signals at once, and end telemetry; never raises.

    Args:
        timeout_s: How long this may take at the most; default 2 s.

    Returns:
        Whether everything was delivered (True when nothing is running).
    """
    present = _present()
    return True if present is None else present.shutdown(timeout_s)


def flush(timeout_s: float = 5.0) -> bool:
    """Send everything that was accepted before this call, all signals at once; never raises.

    Args:
        timeout_s: How long this may take at the most.

    Returns:
        Whether all of it was delivered in time (True when nothing is running).
    """
    present = _present()
    return True if present is None else present.flush(timeout_s)


async def aflush(timeout_s: float = 5.0) -> bool:
    """`flush` for coroutines: the event loop goes on, and none of its executor's threads is taken."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[bool] = loop.create_future()

    def tell(delivered: bool) -> None:
        if not answer.done():
            answer.set_result(delivered)

    def work() -> None:
        delivered = flush(timeout_s)
        try:
            loop.call_soon_threadsafe(tell, delivered)
        except RuntimeError:  # the loop was closed meanwhile
            return

    try:
        threading.Thread(target=work, name="otelkit-aflush", daemon=True).start()
    except RuntimeError:  # the interpreter ends and starts no thread any more
        return False
    return await answer


def _present() -> Runtime | None:
    """The runtime that the program has made; during a capture the one made in it."""
    module = sys.modules.get("otelkit.runtime")
    if module is None:
        return None
    stage = module.stage()
    present: Runtime | None = module.current() if stage is None else stage.runtime
    return present


def span(
    name: str,
    attributes: Mapping[str, Any] | None = None,
    *,
    kind: SpanKind = SpanKind.INTERNAL,
    links: Sequence[Link] | None = None,
) -> CurrentSpan:
    """A span around a block (``with``, ``async with``) or around each call of a function (decorator).

    ::

        with otelkit.span("checkout", {"cart.items": 3}) as span:
            span.set_attribute("order.id", place_order())

    Inside a generator ``with`` stays current between yields; as a decorator of a generator
    function the span is current only while its body runs. An exception is recorded, sets the
    status to error, and goes on unchanged.

    Args:
        name: What is done.
        attributes: Values of any type; taken as they are now.
        kind: Internal by default.
        links: To spans of other traces.
    """
    return CurrentSpan(_tracer(_caller()), name, attributes=attributes, kind=kind, links=links)


_tracers: dict[str, trace.Tracer] = {}


def _tracer(scope: str) -> trace.Tracer:
    """The tracer of a module; kept once the switch is the global provider."""
    tracer = _tracers.get(scope)
    if tracer is None:
        tracer = trace.get_tracer(scope)
        switch = sys.modules.get("otelkit._switch")
        if switch is not None and trace.get_tracer_provider() is switch.TRACES:
            _tracers[scope] = tracer
    return tracer


def _caller() -> str:
    """The module of whoever called the public function that calls this."""
    name = sys._getframe(2).f_globals.get("__name__")
    return name if isinstance(name, str) else "unknown"


def get_tracer(name: str | None = None, version: str | None = None) -> trace.Tracer:
    """An OpenTelemetry tracer; ``name`` defaults to the caller's module."""
    return trace.get_tracer(name or _caller(), version)


def get_meter(name: str | None = None, version: str | None = None) -> metrics.Meter:
    """An OpenTelemetry meter; ``name`` defaults to the caller's module."""
    return metrics.get_meter(name or _caller(), version or "")


def trace_id(span: trace.Span | None = None) -> str | None:
    """The trace id of ``span`` (default: the current one) as 32 hex characters; None outside a trace."""
    context = (span or trace.get_current_span()).get_span_context()
    return trace.format_trace_id(context.trace_id) if context.is_valid else None


def span_id(span: trace.Span | None = None) -> str | None:
    """The id of ``span`` (default: the current one) as 16 hex characters; None outside a trace."""
    context = (span or trace.get_current_span()).get_span_context()
    return trace.format_span_id(context.span_id) if context.is_valid else None
