"""The OTLP record of an event, handed to the OpenTelemetry logs API."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otelkit import _guard, _otel
from otelkit.logs.levels import severity
from otelkit.logs.running import BUSY, LOCAL
from otelkit.processors.limits import uniform
from otelkit.processors.redact import Shaped

if TYPE_CHECKING:
    from otelkit.logs.event import Event

__all__ = ["emit", "forget_loggers"]

_CONTAINERS = frozenset((dict, list, tuple))
_MAX_LOGGERS = 1_024  # beyond it loggers are fetched anew: slower, never wrong

_loggers: dict[str, Any] = {}


def emit(event: Event) -> None:
    """Produce the record of ``event``; never raises, and nothing in a suppressed context.

    The body is the text, the fields are attributes, ``exception.*`` and ``code.*`` follow the
    semantic conventions, the logger's name is the scope.
    """
    if event.suppressed:
        return
    outer = LOCAL.depth
    LOCAL.depth = max(outer, BUSY)
    try:
        logger = _loggers.get(event.logger) or _fetch(event.logger)
        number, text = severity(event.level, event.level_name)
        record = _otel.LogRecord(
            timestamp=event.time_ns,
            observed_timestamp=event.time_ns,
            context=event.context,
            severity_number=number,
            severity_text=text,
            body=event.body,
            attributes=_attributes(event),
        )
        logger.emit(record)
    except Exception:
        _guard.swallowed("logs.emit")
    finally:
        LOCAL.depth = outer


def _attributes(event: Event) -> Shaped:
    attributes = Shaped(event.fields)
    length = event.max_length
    for name, value in event.fields.items():
        if type(value) in _CONTAINERS:
            attributes[name] = uniform(value, max_length=length)
    if event.code is not None:
        path, function, line = event.code
        attributes["code.file.path"] = path
        attributes["code.function.name"] = function
        attributes["code.line.number"] = line
    if event.failure is not None:
        attributes["exception.type"] = event.failure.kind
        attributes["exception.message"] = event.failure.message[:length]
        attributes["exception.stacktrace"] = event.failure.traceback[-length:]  # its end says what it was
    if event.stack is not None:
        attributes["code.stacktrace"] = event.stack[-length:]
    return attributes


def _fetch(name: str) -> Any:
    logger = _otel.get_logger(name)
    if len(_loggers) < _MAX_LOGGERS:
        _loggers[name] = logger
    return logger


def forget_loggers() -> None:
    """Fetch all loggers anew: another global provider may have been registered."""
    _loggers.clear()
