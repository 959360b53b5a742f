"""The decorator: one wrapper for each kind of function."""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import Callable, Iterable
from contextlib import suppress
from enum import Enum
from typing import Any, TypeVar, overload

from otelkit import _guard
from otelkit.monitor import _registry
from otelkit.monitor._data import ABSENT, found_in
from otelkit.monitor._recorder import Recorder
from otelkit.monitor._stand_in import is_elsewhere, stand_in
from otelkit.pipeline.stepwise import of_async_generator, of_generator
from otelkit.process import watch_loop
from otelkit.processors.limits import repair_text
from otelkit.processors.plain import class_name, is_true, safe_str

__all__ = ["monitor_performance"]

F = TypeVar("F")
G = TypeVar("G", bound=Callable[..., Any])
_UNKNOWN = "unknown"
_MAX_LABEL = 1_024
_LABELS = (int, float, bytes, Enum, type(None))  # no name, but taken for one; never what is decorated
_FUNCTIONS = (types.FunctionType, types.MethodType)
_BELOW = (
    "Put @otelkit.monitor_performance(method='query', endpoint='/api/query') below what makes this of the "
    "function, on the function itself."
)
_USE = "Decorate a function or method: @otelkit.monitor_performance(method='query', endpoint='/api/query')."


@overload
def monitor_performance(method: G, /) -> G: ...
@overload
def monitor_performance(
    method: str = ...,
    endpoint: str = ...,
    track_tokens: bool = ...,
    *,
    span: bool = ...,
    log: bool = ...,
    errors: Iterable[type[BaseException] | str] = ...,
    expected: Iterable[type[BaseException]] = ...,
) -> Callable[[F], F]: ...
def monitor_performance(
    method: Any = _UNKNOWN,
    endpoint: str = _UNKNOWN,
    track_tokens: bool = False,
    *,
    span: bool = True,
    log: bool = True,
    errors: Iterable[type[BaseException] | str] = (),
    expected: Iterable[type[BaseException]] = (),
) -> Any:
    """Measure each call of a function: rate, errors and duration, a span, a log line with its ids.

    ::

        @otelkit.monitor_performance(method="query", endpoint="/api/query", track_tokens=True)
        async def process_query(self, query: str) -> Answer: ...

    For plain, ``async``, generator and async generator functions, methods, class and static methods
    (above or below ``@classmethod``). What the function returns and raises is untouched. A generator
    is one call from its first step until it is exhausted, closed or fails. A plain function that returns
    what is awaited later is measured until it returns, which is named once on stderr.

    Series (``agent`` is the setting ``metric_prefix``): ``agent_requests_total`` by method, status
    (``success``, ``error``, ``cancelled``) and endpoint, there at 0 from the beginning;
    ``agent_errors_total`` by error_type and method; ``agent_request_duration_seconds`` by method and
    endpoint, with exemplars; ``agent_active_connections``; ``response_size_bytes`` by endpoint where
    the result stores ``data`` (bytes as they are, text as UTF-8, anything else as JSON; read without
    running a property or any other code of the result). They count every call, sampled or not.
    Cancellation (any `BaseException` that is no `Exception`) is no error.

    The span has the function's name; the line says ``Function executed``, or ``Function execution
    failed`` with the exception.

    Args:
        method: What is done, for all series; a fixed word, never made of input.
        endpoint: Where, likewise.
        track_tokens: Measure ``llm_tokens_used`` by model and operation (= method) from the
            ``usage`` of the result, or of the chunks of a stream; see `otelkit.processors.usage`.
        span: False: no span; metrics and the line go on.
        log: False: no line.
        errors: Exception classes, or their names, whose series shall exist at 0 before the first
            one, so that an alert sees the first one too.
        expected: Exception classes that are answers and no errors, such as "not found": the call
            counts as ``success``, with an ordinary line and nothing on its span. They pass as ever, and
            are matched as ``except`` does.

    Returns:
        The decorator. What is no function (a class, a property) is returned as it is, and named once
        on stderr; so is a task of a queue, whose work is done elsewhere. Any other object that can be
        called (a cache, a partial) stays what it is, with its attributes.
    """

    def decorate(target: Any) -> Any:
        kind = type(target)  # `isinstance` would ask the object, which may be somebody's proxy
        if issubclass(kind, (classmethod, staticmethod)):
            return kind(decorate(target.__func__))
        if issubclass(kind, type) or not callable(target):
            return _left(target, _BELOW if found_in(kind, "__get__") is not ABSENT else _USE)
        if is_elsewhere(target):
            return _left(target, _BELOW)
        return _wrapped(
            target, _recorder(target, row_of(target), span=span, log=log, expected=_classes(expected))
        )

    def row_of(function: Any) -> _registry.Monitored:
        return _registry.Monitored(
            method=_label(method),
            endpoint=_label(endpoint),
            function=_name(function, "__name__"),
            module=_name(function, "__module__"),
            track_tokens=is_true(track_tokens),
            errors=_names(errors),
        )

    if _is_label(method, alone=endpoint is _UNKNOWN):
        return decorate
    target, method = method, _UNKNOWN  # without parentheses
    return decorate(target)


def _is_label(method: Any, *, alone: bool) -> bool:
    """Whether what stands in the place of ``method`` is a label, and not what is decorated."""
    kind = type(method)
    if issubclass(kind, (str, *_LABELS)):
        return True
    return not (alone or callable(method) or issubclass(kind, classmethod))


def _left(target: Any, advice: str) -> Any:
    kind = "class" if issubclass(type(target), type) else class_name(type(target))
    _guard.say(f"monitor_performance was given a {kind}, which it leaves as it is. {advice}")
    return target


def _recorder(function: Any, row: _registry.Monitored, **how: Any) -> Recorder:
    _registry.add(row)
    qualified = f"{row.module}.{_name(function, '__qualname__')}"
    return Recorder(row, qualified=qualified, **how)


def _wrapped(function: Callable[..., Any], recorder: Recorder) -> Callable[..., Any]:
    if _is(inspect.isasyncgenfunction, function):
        wrapper: Callable[..., Any] = of_async_generator(function, recorder.begin)
    elif _is(inspect.iscoroutinefunction, function):
        wrapper = _coroutine(function, recorder)
    elif _is(inspect.isgeneratorfunction, function):
        wrapper = of_generator(function, recorder.begin)
        if getattr(function, "__code__", wrapper.__code__).co_flags & inspect.CO_ITERABLE_COROUTINE:
            wrapper = types.coroutine(wrapper)
    else:
        wrapper = _plain(function, recorder)
    wrapper = functools.wraps(function)(wrapper)
    if type(function) not in _FUNCTIONS:
        return stand_in(function, wrapper)  # type: ignore[no-any-return]
    with suppress(
        TypeError, ValueError
    ):  # for `inspect.getfullargspec`, which does not look at what is wrapped
        wrapper.__signature__ = inspect.signature(function)  # type: ignore[attr-defined]
    return wrapper


def _is(kind: Callable[[Any], bool], function: Callable[..., Any]) -> bool:
    """Whether a function, or the method behind an object that can be called, is of a kind."""
    return kind(function) or kind(getattr(type(function), "__call__", None))  # noqa: B004 - the method itself


def _plain(function: Callable[..., Any], recorder: Recorder) -> Callable[..., Any]:
    begin = recorder.begin
    recorder.names_later_work = True

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        call = begin()
        try:
            call.enter()
            result = function(*args, **kwargs)
        except BaseException as error:
            call.failed(error)
            raise
        call.done(result)
        return result

    return wrapper


def _coroutine(function: Callable[..., Any], recorder: Recorder) -> Callable[..., Any]:
    begin = recorder.begin

    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        watch_loop()
        call = begin()
        try:
            call.enter()
            result = await function(*args, **kwargs)
        except BaseException as error:
            call.failed(error)
            raise
        call.done(result)
        return result

    return wrapper


def _label(value: Any) -> str:
    return repair_text(safe_str(value))[:_MAX_LABEL] or _UNKNOWN


def _name(function: Any, attribute: str) -> str:
    """A name of a function; of what has none (a partial, a callable object) that of its class."""
    try:
        found = getattr(function, attribute, None) or getattr(type(function), attribute, None)
    except Exception:
        found = None
    return (safe_str(found) if issubclass(type(found), str) else "") or _UNKNOWN


def _classes(expected: Any) -> tuple[type[BaseException], ...]:
    # `issubclass(type(...))`, here and below: `isinstance` would ask the object itself.
    given = (expected,) if issubclass(type(expected), type) else expected
    try:
        classes = tuple(given)
    except Exception:
        classes = (given,)
    wrong = [each for each in classes if not _is_exception_class(each)]
    if wrong:
        _guard.say(
            f"monitor_performance(expected=...) was given {class_name(type(wrong[0]))}, which is no "
            "exception class; it is left out. Give expected=(NotFound,)."
        )
    return tuple(each for each in classes if _is_exception_class(each))


def _is_exception_class(given: Any) -> bool:
    return issubclass(type(given), type) and issubclass(given, BaseException)


def _names(errors: Any) -> tuple[str, ...]:
    given = (errors,) if issubclass(type(errors), (str, type)) else errors
    try:
        return tuple(
            dict.fromkeys(
                class_name(each) if issubclass(type(each), type) else _label(each) for each in given
            )
        )
    except Exception:
        _guard.say(
            f"monitor_performance(errors={class_name(type(errors))}) is no list of exception classes; "
            "it is left out. Give errors=(TimeoutError, ConnectionError)."
        )
        return ()
