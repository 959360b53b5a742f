"""A server's line about a failed request belongs to that request's span.

An exception that leaves an application is logged by the server that called it ("Exception in ASGI
application"), when the span has ended and is current no longer. That line is the one record of the
failure, on the terminal as in telemetry, so it gets the ids: the application notes what failed, and
the server's logger asks.

It relies on the server logging in the task in which it called the application, as uvicorn
and hypercorn do, with one task for each request. Elsewhere the line is as it was.
"""

from __future__ import annotations

import logging
from contextvars import ContextVar
from typing import TYPE_CHECKING, NamedTuple

from otelkit.processors.context import attach, current

if TYPE_CHECKING:
    from opentelemetry.context import Context

__all__ = ["FIELD", "join", "note", "part"]

FIELD = "correlation_id"
_LOGGERS = ("uvicorn.error", "hypercorn.error")


class _Failed(NamedTuple):
    error_id: int  # the exception itself would keep the frames of the request alive
    context: Context
    correlation_id: str | None


_failed: ContextVar[_Failed | None] = ContextVar("otelkit_failed_request", default=None)


def note(error: BaseException, correlation_id: str | None) -> None:
    """Remember that the present request ends with ``error``, for the rest of this task."""
    _failed.set(_Failed(id(error), current(), correlation_id))


def join() -> None:
    """Let the servers' loggers ask; again does nothing."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_ask)


def part() -> None:
    """Let them ask no longer."""
    for name in _LOGGERS:
        logging.getLogger(name).removeFilter(_ask)


def _ask(record: logging.LogRecord) -> bool:
    failed = _failed.get()
    if failed is None or not isinstance(record.exc_info, tuple) or id(record.exc_info[1]) != failed.error_id:
        return True
    _failed.set(None)
    # Not detached: nothing but the server's own code comes after this in the request's task.
    attach(failed.context)
    if failed.correlation_id is not None and FIELD not in record.__dict__:
        setattr(record, FIELD, failed.correlation_id)
    return True
