"""A span as the current one: for a block, a call, or the steps of a generator.

A class instead of the API's generators: a third of a span's cost was there, and leaving a block in
another context than it was entered in must log nothing.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Mapping, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar, cast

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind
from opentelemetry.trace.status import Status, StatusCode

from otelkit import _guard
from otelkit.pipeline.stepwise import of_async_generator, of_generator
from otelkit.processors.context import attach, current, detach, with_span
from otelkit.processors.exceptions import is_failure, status_text
from otelkit.processors.plain import is_true

if TYPE_CHECKING:
    from contextvars import Token

    from opentelemetry.trace import Link

__all__ = ["CurrentSpan"]

F = TypeVar("F", bound=Callable[..., Any])


class CurrentSpan:
    """Starts a span when entered (``with`` or ``async with``), ends it when left.

    An exception that leaves the block is recorded, sets the status to error, and goes on
    unchanged; cancellation and other `BaseException` are not errors of the span. Used as a
    decorator it makes a span for each call of a plain, async, generator or async generator
    function; of generators the span is current only while their body runs.

    One object is one block: nested or repeated use makes a span for each.
    """

    __slots__ = (
        "_attributes",
        "_context",
        "_end_on_exit",
        "_entered",
        "_kind",
        "_links",
        "_name",
        "_record_exception",
        "_set_status",
        "_start_time",
        "_tracer",
    )

    def __init__(
        self,
        tracer: trace.Tracer,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Mapping[str, Any] | None = None,
        links: Sequence[Link] | None = (),
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        end_on_exit: bool = True,
    ) -> None:
        self._tracer = tracer
        self._name = name
        self._context = context
        self._kind = kind
        self._attributes = attributes
        self._links = links
        self._start_time = start_time
        self._record_exception = record_exception
        self._set_status = set_status_on_exception
        self._end_on_exit = end_on_exit
        # What was entered last, and in the same form what was entered before it.
        self._entered: tuple[trace.Span, Token[Context], Any] | None = None

    def __enter__(self) -> trace.Span:
        span = self._start()
        self._entered = span, attach(with_span(span, self._context)), self._entered
        return span

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        if self._entered is None:
            return
        span, token, self._entered = self._entered
        if not detach(token):
            _mark_left_open(span)
        try:
            if exc_val is not None:
                self._fail(span, exc_val)
            if self._end_on_exit is True or is_true(self._end_on_exit):
                span.end()
        except Exception:
            _guard.swallowed("span.exit")

    async def __aenter__(self) -> trace.Span:
        return self.__enter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        self.__exit__(exc_type, exc_val, exc_tb)

    def __call__(self, function: F) -> F:
        """Decorate ``function``: each call is a span of this name."""
        if inspect.isasyncgenfunction(function):
            wrapper: Callable[..., Any] = of_async_generator(function, lambda: _Steps(self))
        elif inspect.iscoroutinefunction(function):
            wrapper = self._of_coroutine(function)
        elif inspect.isgeneratorfunction(function):
            wrapper = of_generator(function, lambda: _Steps(self))
        else:
            wrapper = self._of_function(function)
        return cast("F", functools.wraps(function)(wrapper))

    # -- one wrapper for each kind of function ------------------------------------------------

    def _of_function(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*args: Any, **kwargs: Any) -> Any:
            with self._again():
                return function(*args, **kwargs)

        return wrapper

    def _of_coroutine(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def wrapper(*args: Any, **kwargs: Any) -> Any:
            with self._again():
                return await function(*args, **kwargs)

        return wrapper

    # -- the span -----------------------------------------------------------------------------

    def _again(self) -> CurrentSpan:
        return CurrentSpan(
            self._tracer,
            self._name,
            context=self._context,
            kind=self._kind,
            attributes=self._attributes,
            links=self._links,
            start_time=self._start_time,
            record_exception=self._record_exception,
            set_status_on_exception=self._set_status,
            end_on_exit=self._end_on_exit,
        )

    def _start(self) -> trace.Span:
        return self._tracer.start_span(
            self._name,
            self._context,
            self._kind,
            self._attributes,
            self._links,
            self._start_time,
            self._record_exception,
            self._set_status,
        )

    def _fail(self, span: trace.Span, error: BaseException) -> None:
        if is_failure(error) and span.is_recording():
            if is_true(self._record_exception):
                span.record_exception(error)
            if is_true(self._set_status):
                span.set_status(Status(StatusCode.ERROR, status_text(error)))


class _Steps:
    """The span of one generator: current during each step, not between them."""

    def __init__(self, scope: CurrentSpan) -> None:
        self._scope = scope
        self._span = scope._start()
        self._context = with_span(self._span, scope._context)
        self._token: Token[Context]

    def enter(self) -> None:
        self._token = attach(self._context)

    def leave(self) -> None:
        self._context = current()
        detach(self._token)

    def seen(self, item: Any) -> None:
        """What is yielded is not looked at."""

    def returned(self, value: Any) -> None:
        """Nor what is returned."""

    def fail(self, error: BaseException) -> None:
        self._scope._fail(self._span, error)

    def end(self) -> None:
        if is_true(self._scope._end_on_exit):
            self._span.end()


def _mark_left_open(span: trace.Span) -> None:
    """Remember that ``span`` is still the current one of a context it was not closed in."""
    if hasattr(type(span), "_left_open"):
        span._left_open = True  # type: ignore[attr-defined]
