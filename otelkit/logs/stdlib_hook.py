"""Where records of the standard library are met: in the base classes of all loggers and handlers.

`Logger.callHandlers` runs exactly once for each record that passed its logger's level and filters,
also for loggers that do not propagate (``uvicorn``, ``gunicorn.*``), and no `dictConfig` or
`basicConfig(force=True)` takes it away. There the event is made and its record emitted.

`Handler.format` is where a handler asks its formatter for the line. There the line of the
application's own format is redacted and marked. The record itself keeps its message and arguments,
as other handlers (test captures, `AccessFormatter`) rely on them: where an argument or a field has
to be hidden, the formatter gets a copy.

`LogRecord.getMessage` gives every handler the text that was made for the event: what `__str__` of an
argument does, and logs, it does once.
"""

from __future__ import annotations

import logging
import sys
from typing import TYPE_CHECKING, Any

from otelkit import _guard
from otelkit.logs import root
from otelkit.logs.emit import emit
from otelkit.logs.handlers import is_bystander, is_server_default, quieten_doubles, unquieten
from otelkit.logs.mark import marked
from otelkit.logs.patch import Patch
from otelkit.logs.running import BUSY, LOCAL, current
from otelkit.logs.stdlib_event import carried_event, event_of, mark_record, redacted_record

if TYPE_CHECKING:
    from otelkit.logs.chain import Chain
    from otelkit.logs.event import Event

__all__ = ["hook", "unhook"]

_SET_BY_FORMATTERS = ("message", "asctime")


def _call_handlers(self: logging.Logger, record: logging.LogRecord) -> None:
    chain = current()
    if chain is None or LOCAL.depth >= BUSY:
        _CALL.found(self, record)
        return
    outer = LOCAL.seen
    LOCAL.seen = _seen(chain, record) or outer
    try:
        if chain.mode == "configure":
            root.take_again()
        quieten_doubles(self)
        _CALL.found(self, record)
    finally:
        LOCAL.seen = outer


def _seen(chain: Chain, record: logging.LogRecord) -> tuple[Any, Event, str | None] | None:
    """Make the record's event, mark the record and emit; None where that failed."""
    frame, text = LOCAL.frame, None
    outer = LOCAL.depth
    LOCAL.depth = outer + 1
    try:
        event = None if frame is None else carried_event(frame, record)
        if event is None:
            event = event_of(chain, record)
        elif frame is not None:
            text = frame.text
        mark_record(record, event)
        emit(event)
    except Exception:
        _guard.swallowed("logs.stdlib")
        return None
    else:
        return record, event, text
    finally:
        LOCAL.depth = outer


def _format(self: logging.Handler, record: logging.LogRecord) -> Any:
    chain = current()
    if chain is None or is_bystander(self):
        return _FORMAT.found(self, record)
    if LOCAL.depth >= BUSY:
        return _scrubbed(chain, _FORMAT.found(self, record))
    event = _event_for(chain, record)
    if event is None:
        return _FORMAT.found(self, record)
    if _format_is_ours(chain, self):
        return chain.render(event)
    line = _formatted(self, record, redacted_record(record, event))
    if event.changed:
        line = _scrubbed(chain, line)
    if type(line) is not str:
        return line
    try:
        return marked(line, event)
    except Exception:
        _guard.swallowed("logs.format")
        return line


def _scrubbed(chain: Chain, line: Any) -> Any:
    return chain.redactor.scrub(line) if type(line) is str else line


def _formatted(handler: logging.Handler, record: logging.LogRecord, shown: logging.LogRecord) -> Any:
    if shown is record:
        return _FORMAT.found(handler, record)
    try:
        line = _FORMAT.found(handler, shown)
    except Exception:  # a formatter that needs the arguments as they were
        return _FORMAT.found(handler, record)
    for name in _SET_BY_FORMATTERS:  # handlers read them after they have called `format`
        if name in shown.__dict__:
            record.__dict__[name] = shown.__dict__[name]
    return line


def _event_for(chain: Chain, record: logging.LogRecord) -> Event | None:
    seen = LOCAL.seen
    if seen is not None and seen[0] is record:
        return seen[1]
    # A record that comes from elsewhere, such as the queue of a `QueueListener`.
    outer = LOCAL.depth
    LOCAL.depth = outer + 1
    try:
        return event_of(chain, record)
    except Exception:
        _guard.swallowed("logs.format")
        return None
    finally:
        LOCAL.depth = outer


def _get_message(self: logging.LogRecord) -> str:
    seen = LOCAL.seen
    if seen is not None and seen[1].said is not None:
        message, args, text = seen[1].said
        if self.args is args and self.msg is message:  # no filter of a handler has changed them
            return text
    return str(_MESSAGE.found(self))


def _format_is_ours(chain: Chain, handler: logging.Handler) -> bool:
    """Whether our line takes the place of the handler's own.

    When we own stdout, a server's default lines there (uvicorn and gunicorn configure handlers of
    their own) would be a second format in one stream. When we take over, so would any other.
    """
    if not chain.owns_root:
        return False
    stream = getattr(handler, "stream", None)
    if stream is None or stream not in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
        return False
    return chain.mode == "configure" or is_server_default(handler)


_CALL = Patch(logging.Logger, "callHandlers", _call_handlers)
_FORMAT = Patch(logging.Handler, "format", _format)
_MESSAGE = Patch(logging.LogRecord, "getMessage", _get_message)
_ALL = (_CALL, _FORMAT, _MESSAGE)


def hook() -> None:
    """Put the hooks in place; again does nothing."""
    for patch in _ALL:
        patch.put()


def unhook() -> None:
    """Take the hooks out."""
    for patch in _ALL:
        patch.remove()
    unquieten()
