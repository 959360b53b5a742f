"""The event in a record of the standard library, and the record that other handlers may see."""

from __future__ import annotations

import copy
import logging
import sys
from typing import TYPE_CHECKING, Any

from otelkit.logs.bound import bound_fields
from otelkit.logs.event import Code, Event, Ids
from otelkit.logs.failure import exc_info_of
from otelkit.logs.levels import level_name
from otelkit.processors.exceptions import SIMPLE, reworded
from otelkit.processors.limits import safe_str, snapshot

if TYPE_CHECKING:
    from types import FrameType

    from otelkit.logs.chain import Chain
    from otelkit.logs.running import Frame

__all__ = ["carried_event", "event_of", "mark_record", "redacted_record"]

# What a record has by itself. `taskName` came with Python 3.12; `color_message` is uvicorn's second
# copy of the message; the `otel...` names are set by OpenTelemetry's own logging instrumentation.
_STANDARD = frozenset(logging.LogRecord("", 0, "", 0, "", (), None).__dict__) | frozenset((
    "message", "asctime", "taskName", "color_message", "_logger", "_name", "_record", "_from_structlog",
    "otelTraceID", "otelSpanID", "otelTraceSampled", "otelServiceName",
))  # fmt: skip
# Modules between the call of a structlog logger and the record of the standard library.
_BETWEEN = ("structlog", "logging", "otelkit.logs")
_IDS = frozenset(Ids._fields)
_MUTABLE = frozenset((list, dict, set))
_STRUCTLOG_PARTS = frozenset((
    "event", "exc_info", "stack_info", "stack", "exception", "timestamp", "level", "logger",
))  # fmt: skip


def event_of(chain: Chain, record: logging.LogRecord) -> Event:
    """The event that a record stands for.

    Args:
        chain: The chain in force.
        record: Not changed. One that structlog wrapped for its `ProcessorFormatter` gives its
            event dict as fields.
    """
    data = record.__dict__
    hidden: dict[str, Any] = {}
    said = None
    if "_logger" in data and isinstance(record.msg, dict):
        body: Any = record.msg.get("event", "")
        fields = {key: value for key, value in record.msg.items() if key not in _STRUCTLOG_PARTS}
    else:
        body, hidden, said = _message(chain, record)
        fields = {key: value for key, value in data.items() if key not in _STANDARD}
    ids = _marks(fields)
    event = chain.event(
        body,
        fields,
        bound=bound_fields(),
        time_ns=int(record.created * 1e9),
        level=record.levelno,
        level_name=_level_name(record),
        logger=record.name,
        exc_info=exc_info_of(record.exc_info),
        stack=record.stack_info or None,
        code=Code(record.pathname, record.funcName or "", record.lineno),
    )
    if event.ids is None:  # handled later, in a thread without the context
        event.ids = ids
    if event.changed:
        hidden.update(_hidden_parts(chain, record, event))
    if hidden:
        event.hidden.update(hidden)
        event.changed = True
    event.said = said
    return event


def _marks(fields: dict[str, Any]) -> Ids | None:
    """Take the ids out of a record's fields if `mark_record` put them there."""
    if "trace_id" not in fields or not _IDS.issubset(fields):
        return None
    ids = Ids(*(safe_str(fields[name]) for name in Ids._fields))
    if (len(ids.trace_id), len(ids.span_id), len(ids.trace_flags)) != (32, 16, 2):
        return None
    for name in Ids._fields:
        del fields[name]
    return ids


def _hidden_parts(chain: Chain, record: logging.LogRecord, event: Event) -> dict[str, Any]:
    """What only the record itself can hide: the line is searched for secrets, not for their names."""
    hidden: dict[str, Any] = {}
    message: Any = record.msg
    if "_logger" in record.__dict__:
        pass
    elif issubclass(type(message), dict) and not record.args:  # formatters print its items
        shown, changed = chain.fields(message)
        if changed:
            hidden["msg"] = {**message, **changed} if changed.keys() <= message.keys() else shown
    elif chain.redactor.callback is not None or (type(message) is not str and not record.args):
        hidden["msg"], hidden["args"] = event.body, ()
    if event.failure is not None and event.failure.changed:
        hidden["exc_text"] = event.failure.traceback
        if event.failure.stand_in is not None:
            hidden["exc_info"] = event.failure.stand_in
    return hidden


def carried_event(frame: Frame, record: logging.LogRecord) -> Event | None:
    """The event of the structlog call under way, if this record is what carries it on.

    Args:
        frame: The structlog call.
        record: The first record that its logger makes.
    """
    event = frame.event
    if event is None or frame.taken:
        return None
    frame.taken = True
    event.logger = record.name
    event.level = record.levelno
    event.level_name = _level_name(record)
    event.code = event.code or _caller() or Code(record.pathname, record.funcName or "", record.lineno)
    return event


def _caller() -> Code | None:
    """Where structlog was called.

    The record itself says so only if its logger was made after structlog's `LoggerFactory`, which
    exchanges the class of later loggers.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        if not str(frame.f_globals.get("__name__")).startswith(_BETWEEN):
            return Code(frame.f_code.co_filename, frame.f_code.co_name, frame.f_lineno)
        frame = frame.f_back
    return None


def _level_name(record: logging.LogRecord) -> str:
    standard = level_name(record.levelno)
    return standard if standard.upper() == record.levelname else safe_str(record.levelname).lower()


def _message(
    chain: Chain, record: logging.LogRecord
) -> tuple[Any, dict[str, Any], tuple[Any, Any, str] | None]:
    """The message, what has to be replaced in the record for it, and what `Event.said` is."""
    message, args = record.msg, record.args
    if not args:
        return message, {}, None
    hidden: dict[str, Any] = {}
    try:
        plain = type(args) is tuple and type(message) is str and SIMPLE.issuperset(map(type, args))
        if not plain:
            hidden = _hidden_arguments(chain, message, args)
            if hidden:
                return _with_parts(record, hidden).getMessage(), hidden, None
        text = record.getMessage()
    except Exception:  # `logging` itself reports it where the line is formatted
        return f"{safe_str(message)} {safe_str(snapshot(args))}", hidden, None
    return text, hidden, (message, args, text) if plain or _lasts(message, args) else None


def _lasts(message: Any, args: Any) -> bool:
    """Whether the text stays what it is: a filter of a handler may change what can be changed."""
    return type(message) is str and type(args) is tuple and _MUTABLE.isdisjoint(map(type, args))


def _hidden_arguments(chain: Chain, message: Any, args: Any) -> dict[str, Any]:
    """Stand-ins for exceptions whose words repeat values, and what redaction by name replaces."""
    hidden: dict[str, Any] = {}
    shown = reworded(args)
    if type(args) is dict:
        changed = chain.fields(shown)[1]
        if changed:
            shown = {**shown, **changed}
    if shown is not args:
        hidden["args"] = shown
    if type(message) is not str and (told := reworded(message)) is not message:
        hidden["msg"] = told
    return hidden


def mark_record(record: logging.LogRecord, event: Event) -> None:
    """Give the record the ids and bound fields as attributes.

    Formats can name them (``%(trace_id)s``) and JSON formatters print them by themselves. Nothing
    that is there already is changed.
    """
    data = record.__dict__
    if event.ids is not None and "trace_id" not in data:
        data["trace_id"], data["span_id"], data["trace_flags"] = event.ids
    for name in event.bound:
        if name not in data and name not in _STANDARD:
            data[name] = event.fields.get(name)


def redacted_record(record: logging.LogRecord, event: Event) -> logging.LogRecord:
    """The record that the application's formatter may see: a copy where something must be hidden."""
    return _with_parts(record, event.hidden) if event.hidden else record


def _with_parts(record: logging.LogRecord, parts: dict[str, Any]) -> logging.LogRecord:
    shown = copy.copy(record)
    shown.__dict__.update(parts)
    return shown
