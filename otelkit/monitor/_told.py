"""Where the stack of an exception has been told: of calls inside each other, only the innermost tells it.

A stack told at each level of a recursion would cost the square of its depth. The exception itself is
neither changed nor held: most cannot even be referred to weakly. What a call has told lives as long as
that call, which the exception's own traceback holds.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import ref

from otelkit.processors.exceptions import class_name, message, traceback_of

if TYPE_CHECKING:
    from types import TracebackType

    from opentelemetry.trace import Span

__all__ = ["Told", "record", "told", "words"]

_MAX_MESSAGE = 8_192

_kept: dict[int, ref[Told]] = {}  # by the id of the exception


class Told:
    """What has been told of an exception, by one call and those inside it.

    Attributes:
        began: When the call began.
        trace: The id of the traceback's entry of the call.
        line: Whether a log line has the stack.
        span: Whether a span has it.
    """

    __slots__ = ("__weakref__", "began", "line", "span", "trace")

    def __init__(self, began: float, trace: int) -> None:
        self.began = began
        self.trace = trace
        self.line = False
        self.span = False


def told(error: BaseException, began: float) -> Told:
    """What has been told of ``error`` where it leaves a call.

    Args:
        error: Its traceback begins in the call.
        began: When the call began. An exception that is kept and raised again later is told again.

    Returns:
        What the call adds to, and holds: it is asked of those around it.
    """
    key, trace = id(error), traceback_of(error)
    new = Told(began, id(trace))
    before = _kept.get(key)
    inner = None if before is None else before()
    if inner is not None and inner.began >= began and _passed(trace, inner):
        new.line, new.span = inner.line, inner.span
    _kept[key] = ref(new, partial(_forget, key))
    return new


def _passed(trace: TracebackType | None, inner: Told) -> bool:
    """Whether the exception came through that call: another one can have the id of one that is gone."""
    while trace is not None:
        if id(trace) == inner.trace:
            return True
        trace = trace.tb_next
    return False


def _forget(key: int, gone: ref[Told]) -> None:
    if _kept.get(key) is gone:
        _kept.pop(key, None)


def words(error: BaseException) -> dict[str, Any]:
    """The exception without its stack, by the semantic conventions."""
    return {"exception.type": class_name(type(error)), "exception.message": message(error)[:_MAX_MESSAGE]}


def record(span: Span, error: BaseException, *, stack: bool) -> None:
    """Record an exception on a span, as one event."""
    if stack:
        span.record_exception(error)
    else:
        span.add_event("exception", {**words(error), "exception.escaped": "False"})
