"""What one monitored call leaves behind: span, measurements, log line. The one place that knows.

`Recorder` stands for a function, `Call` for one call of it. Whatever else wants to make the same of a
call (fused into one record, say) replaces these two.
"""

from __future__ import annotations

from dataclasses import dataclass
from time import perf_counter
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.trace.status import Status, StatusCode

from otelkit import _guard, _switch, catalog
from otelkit import settings as settings_room
from otelkit.logs import running
from otelkit.monitor import _run, _told
from otelkit.monitor._data import LATER, data_of
from otelkit.monitor._size import size_of
from otelkit.processors.context import attach, current, detach, with_span
from otelkit.processors.exceptions import is_failure, status_text
from otelkit.processors.plain import class_name, is_true
from otelkit.processors.usage import joined, usage_of

if TYPE_CHECKING:
    from contextvars import Token

    from opentelemetry.context import Context
    from opentelemetry.metrics import Histogram

    from otelkit.monitor._registry import Monitored
    from otelkit.processors.usage import Usage

__all__ = ["Call", "Recorder"]


@dataclass(slots=True, kw_only=True)
class _Series:
    """The series of one function in one run."""

    run: _run.Run
    requests: dict[str, _run.Cell]
    duration: Histogram


class Recorder:
    """Begins the calls of one monitored function.

    Args:
        row: What is monitored.
        qualified: The function's name with its module and class.
        span: Whether each call is a span.
        log: Whether each call is a log line.
        expected: Exceptions that are answers, no errors.

    Attributes:
        names_later_work: Whether a result whose work comes later is named, as that of a plain function.
    """

    def __init__(
        self,
        row: Monitored,
        *,
        qualified: str,
        span: bool,
        log: bool,
        expected: tuple[type[BaseException], ...] = (),
    ) -> None:
        self.row = row
        self.log = is_true(log)
        self.expected = expected
        self.labels = {"method": row.method, "endpoint": row.endpoint}
        self._span = is_true(span)
        self._qualified = qualified
        self.names_later_work = False
        self._span_attributes = {**self.labels, "code.function.name": qualified}
        self._tracer: trace.Tracer | None = None
        self._logger: Any = None
        self._series = self._in_run(_run.present())

    def begin(self) -> Call:
        """A call begins now. Never raises."""
        call = Call(self)
        try:
            if self._span:
                tracer = self._tracer or self._find_tracer()
                span = tracer.start_span(self.row.function, attributes=self._span_attributes)
                call.span = span
                call.context = with_span(span)
            call.active_in = self.series().run.active
            call.active_in.begun += 1
        except RecursionError:
            pass  # the application's recursion: there is no room even to say so
        except Exception:
            _guard.swallowed("monitor.begin")
        return call

    def series(self) -> _Series:
        """The series of the present run."""
        run = _run.present()
        if self._series.run is not run:
            self._series = self._in_run(run)
        return self._series

    def name_later_work(self, result: Any) -> None:
        """Say once that a function has returned work that is still to be done."""
        self.names_later_work = False
        _guard.say(
            f"monitor_performance measures {self._qualified} until it returns; it returned a "
            f"{class_name(type(result))}, whose work comes later and is not measured. Decorate the async "
            "or generator function itself."
        )

    @property
    def logger(self) -> Any:
        """The logger of the function's module; None where no telemetry runs."""
        if running.current() is None and settings_room.running() is None:
            return None
        if self._logger is None:
            from otelkit.logs import get_logger

            self._logger = get_logger(self.row.module)
        return self._logger

    def _in_run(self, run: _run.Run) -> _Series:
        run.expect(self.row)
        cells = {status: run.requests.cell(status=status, **self.labels) for status in _run.STATUSES}
        duration = catalog.instrument("request_duration", prefix=run.prefix)
        return _Series(run=run, requests=cells, duration=duration)

    def _find_tracer(self) -> trace.Tracer:
        """The tracer of the function's module; kept once the switch is the global provider."""
        tracer = trace.get_tracer(self.row.module)
        if trace.get_tracer_provider() is _switch.TRACES:
            self._tracer = tracer
        return tracer


class Call:
    """One call of a monitored function; also the steps of a generator. Nothing here raises.

    Attributes:
        span: Its span, where there is one.
        context: The context in which the function runs; None for the caller's.
        active_in: Where it counts as active.
    """

    __slots__ = ("_began", "_recorder", "_size", "_token", "_told", "_usage", "active_in", "context", "span")

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._token: Token[Context] | None = None
        self._usage: Usage | None = None
        self._size: int | None = None
        self._told: _told.Told | None = None
        self.span: trace.Span | None = None
        self.context: Context | None = None
        self.active_in: _run.Active | None = None
        self._began = perf_counter()

    def enter(self) -> None:
        """The span is current from now on."""
        if self.context is not None:
            try:
                self._token = attach(self.context)
            except RecursionError:  # see `Recorder.begin`
                self._token = None

    def leave(self) -> None:
        """It no longer is."""
        if self._token is not None:
            self.context = current()
            detach(self._token)

    # -- a plain call: all between one `enter` and one of these two ---------------------------------

    def done(self, result: Any) -> None:
        """The function has returned ``result``."""
        if self.active_in is not None:  # first, and here: what needs no more room than the beginning did
            self.active_in.ended += 1
        try:
            self._look_at(result)
            self._close(None)
        except RecursionError:
            pass  # as in `Recorder.begin`
        finally:
            if self._token is not None:
                detach(self._token)

    def failed(self, error: BaseException) -> None:
        """The function has raised ``error``."""
        if self.active_in is not None:
            self.active_in.ended += 1
        try:
            self._close(None if self._is_answer(error) else error)
        except RecursionError:
            pass
        finally:
            if self._token is not None:
                detach(self._token)

    # -- a generator: see `otelkit.pipeline.stepwise.Steps` -----------------------------------------

    def seen(self, item: Any) -> None:
        self._look_at(item)

    def returned(self, value: Any) -> None:
        self.enter()
        self.done(value)

    def fail(self, error: BaseException) -> None:
        self.enter()
        self.failed(error)

    def end(self) -> None:
        """All is done by then."""

    # -- what is left behind ------------------------------------------------------------------------

    def _look_at(self, result: Any) -> None:
        """Take tokens and size of a result, or of one item of a stream: sizes add up, tokens grow."""
        try:
            if self._recorder.row.track_tokens:
                usage = usage_of(result)
                if usage is not None:
                    self._usage = usage if self._usage is None else joined(self._usage, usage)
            there, data = data_of(result)
            if there:
                size = size_of(data)
                if size is not None:
                    self._size = (self._size or 0) + size
            elif data is LATER and self._recorder.names_later_work:
                self._recorder.name_later_work(result)
        except Exception:
            _guard.swallowed("monitor.result")

    def _is_answer(self, error: BaseException) -> bool:
        """Whether ``error`` is expected: as ``except`` asks it, which runs no metaclass's code."""
        kind = type(error)
        return any(type.__subclasscheck__(each, kind) for each in self._recorder.expected)

    def _close(self, error: BaseException | None) -> None:
        try:
            duration = perf_counter() - self._began
            self._measure(error, duration)
            if is_failure(error):
                self._told = _told.told(error, self._began)
            if self._recorder.log:
                self._tell(error, duration)
        except Exception:
            _guard.swallowed("monitor.end")
        finally:
            self._end_span(error)

    def _measure(self, error: BaseException | None, duration: float) -> None:
        recorder = self._recorder
        series, row = recorder.series(), recorder.row
        series.requests[_status(error)].count += 1
        if is_failure(error):
            series.run.errors.cell(error_type=class_name(type(error)), method=row.method).count += 1
        series.duration.record(duration, recorder.labels)
        if self._usage is not None and self._usage.total_tokens is not None:
            catalog.instrument("llm_tokens_used", prefix=series.run.prefix).record(
                self._usage.total_tokens, {"model": self._usage.model or "unknown", "operation": row.method}
            )
        if self._size is not None:
            catalog.instrument("response_size", prefix=series.run.prefix).record(
                self._size, {"endpoint": row.endpoint}
            )

    def _tell(self, error: BaseException | None, duration: float) -> None:
        logger = self._recorder.logger
        if logger is None:
            return
        row = self._recorder.row
        fields: dict[str, Any] = {
            "function": row.function,
            "method": row.method,
            "endpoint": row.endpoint,
            "duration": duration,
            "status": _status(error),
        }
        if is_failure(error):
            fields["error_type"] = class_name(type(error))
            logger.error("Function execution failed", **fields, **self._shown(error))
        else:
            logger.info("Function executed", **fields)

    def _shown(self, error: BaseException) -> dict[str, Any]:
        """The exception as the line has it: with its stack where no line inside has told it."""
        told = self._told
        if told is not None and told.line:
            return _told.words(error)
        if told is not None:
            told.line = True
        return {"exc_info": error}

    def _end_span(self, error: BaseException | None) -> None:
        span = self.span
        if span is None:
            return
        try:
            if is_failure(error) and span.is_recording():
                told = self._told
                _told.record(span, error, stack=told is None or not told.span)
                if told is not None:
                    told.span = True
                span.set_status(Status(StatusCode.ERROR, status_text(error)))
            span.end()
        except Exception:
            _guard.swallowed("monitor.span")


def _status(error: BaseException | None) -> str:
    """``cancelled`` for what is no `Exception`: nobody wanted the result any more, nothing went wrong."""
    if error is None:
        return "success"
    return "error" if is_failure(error) else "cancelled"
