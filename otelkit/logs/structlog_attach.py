"""A structlog event in the application's own format: ids and redaction before its renderer."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

from otelkit import _guard
from otelkit.logs.bound import bound_fields
from otelkit.logs.event import Code, Event
from otelkit.logs.failure import ExcInfo, exc_info_of
from otelkit.logs.levels import level_name, level_number
from otelkit.logs.mark import marked
from otelkit.logs.naming import logger_name
from otelkit.logs.running import LOCAL
from otelkit.logs.structlog_own import interpolated

if TYPE_CHECKING:
    from collections.abc import Sequence

    from otelkit.logs.chain import Chain

__all__ = ["Draft"]

# What carries the event itself, and is no field of it.
_PARTS = frozenset((
    "event", "exc_info", "stack_info", "stacklevel", "positional_args", "_record", "_from_structlog",
    "_logger", "_name",
))  # fmt: skip
# What the application's processors add for the line; the record says it in its own places.
_ADDED = frozenset((
    "timestamp", "level", "level_number", "log_level", "logger", "logger_name", "service", "trace_id",
    "span_id", "trace_flags", "pathname", "filename", "func_name", "lineno", "exception", "stack",
))  # fmt: skip
# EventRenamer is commonly given one of these.
_BODIES = ("event", "message", "msg")

_foreign: dict[type, bool] = {}


def _is_foreign(processor: object) -> bool:
    """Whether it is OpenTelemetry's own structlog processor, whose records would be doubles."""
    kind = type(processor)
    found = _foreign.get(kind)
    if found is None:
        found = _foreign[kind] = kind.__module__.startswith("opentelemetry.")
    return found


class Draft:
    """One event on its way through processors that are not ours.

    Args:
        chain: The chain in force.
        bound: The bound logger.
        method: The logger's method.
        body: The event.
        given: The fields of this call.

    Attributes:
        event: The event, once the processors have run; None where it could not be made.
        text: The rendered line, where the processors made one.
    """

    __slots__ = (
        "_body", "_chain", "_context", "_exc_info", "_given", "_logger", "_method", "_rendered_early",
        "event", "text",
    )  # fmt: skip

    def __init__(self, chain: Chain, bound: Any, method: str, body: Any, given: dict[str, Any]) -> None:
        self._chain = chain
        self._logger = bound._logger
        self._context = bound._context
        self._method = method
        self._body = body
        self._given = {**bound._context, **given}
        # Taken before any processor: `dict_tracebacks` and its like consume the exception.
        self._exc_info = exc_info_of(self._given.get("exc_info"))
        self._rendered_early = False
        self.event: Event | None = None
        self.text: str | None = None

    def processors(self, theirs: Sequence[Any]) -> list[Any]:
        """The application's processors, with ours around the last one, the renderer."""
        *first, last = [one for one in theirs if not _is_foreign(one)] or theirs
        return [*first, self._before, last, self._after]

    def _before(self, _logger: object, _method: str, values: Any) -> Any:
        """Make the event; put ids and redaction into ``values``."""
        outer = LOCAL.depth
        LOCAL.depth = outer + 1
        try:
            if isinstance(values, dict):
                self.event = self._shape(values)
            else:
                self._rendered_early = True
                self.event = self._make(self._given, self._body, "event")
        except Exception:
            _guard.swallowed("logs.attach.structlog")
        finally:
            LOCAL.depth = outer
        return values

    def _after(self, _logger: object, _method: str, result: Any) -> Any:
        """Redact and mark the rendered line where the values could not be before."""
        event = self.event
        if event is not None and (self._rendered_early or self._exc_info is not None):
            try:
                result = self._repaired(result, event)
            except Exception:
                _guard.swallowed("logs.attach.structlog")
        if type(result) is str:
            self.text = result
        return result

    def _shape(self, values: dict[str, Any]) -> Event:
        if self._exc_info is None:
            self._exc_info = self._late_exception(values)
        key = self._body_key(values)
        event = self._make(values, values[key] if key else self._body, key)
        for name, value in event.hidden.items():
            if name in values:
                values[name] = value
        for name in event.bound:
            values.setdefault(name, event.fields.get(name))
        if event.failure is not None and event.failure.stand_in is not None and values.get("exc_info"):
            values["exc_info"] = event.failure.stand_in
        self._redact_texts(values, key, event)
        if event.ids is not None:
            for name, value in zip(event.ids._fields, event.ids, strict=True):
                values.setdefault(name, value)
        return event

    def _body_key(self, values: dict[str, Any]) -> str:
        for name in _BODIES:
            if name in values and (name == "event" or name not in self._given):
                return name
        return ""

    def _late_exception(self, values: dict[str, Any]) -> ExcInfo | None:
        found = exc_info_of(values.get("exc_info"))
        if found is None and self._method == "exception" and "exception" in values:
            return exc_info_of(sys.exc_info())
        return found

    def _redact_texts(self, values: dict[str, Any], key: str, event: Event) -> None:
        if key and event.changed and not values.get("positional_args"):
            text, changed = self._chain.text(values[key])
            if changed:
                values[key] = text
        for name in ("exception", "stack"):
            value = values.get(name)
            if value and name not in event.fields:
                values[name] = self._shown_text(name, value, event)

    def _shown_text(self, name: str, value: Any, event: Event) -> Any:
        if type(value) is not str:
            return self._chain.redactor.value(name, value)
        if name == "exception" and event.failure is not None and event.failure.stand_in is not None:
            return event.failure.traceback
        return self._chain.redactor.text(value)

    def _make(self, values: dict[str, Any], body: Any, body_key: str) -> Event:
        given = self._given
        fields = {
            key: value
            for key, value in values.items()
            if key not in _PARTS and key != body_key and (key not in _ADDED or key in given)
        }
        level = level_number(self._method)
        stack = values.get("stack")
        return self._chain.event(
            "" if body is None else interpolated(body, values.get("positional_args")),
            fields,
            bound=bound_fields(),
            time_ns=time.time_ns(),
            level=level,
            level_name=level_name(level),
            logger=logger_name(self._logger, self._context),
            exc_info=self._exc_info,
            stack=stack if type(stack) is str and "stack" not in self._given else None,
            code=_code(values, self._given),
        )

    def _repaired(self, result: Any, event: Event) -> Any:
        if isinstance(result, bytes):
            text = self._repaired(result.decode("utf-8", "surrogateescape"), event)
            return text.encode("utf-8", "surrogateescape")
        if not isinstance(result, str):
            return result
        shown = self._chain.redactor.scrub(result)
        return marked(shown, event) if self._rendered_early else shown


def _code(values: dict[str, Any], given: dict[str, Any]) -> Code | None:
    """Where the call stands, if structlog's `CallsiteParameterAdder` says so."""
    line = values.get("lineno")
    if type(line) is not int or "lineno" in given:
        return None
    path = values.get("pathname") or values.get("filename") or ""
    return Code(str(path), str(values.get("func_name") or ""), line)
