"""The one chain: context and ids, level and name, exception, limits, redaction; in this order."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from opentelemetry.context import get_current
from opentelemetry.trace import get_current_span

from otelkit.logs.event import Code, Event, Ids
from otelkit.logs.failure import ExcInfo, failure_of
from otelkit.processors.context import suppressed
from otelkit.processors.exceptions import stand_in
from otelkit.processors.limits import MAX_LENGTH, for_json, safe_str, snapshot

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.context import Context

    from otelkit.processors.redact import Redactor

__all__ = ["Chain", "Mode"]

Mode = Literal["auto", "configure", "attach"]

_PLAIN = frozenset((bool, int, float, type(None)))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Chain:
    """What happens to a log event between the logger and the ways out.

    Attributes:
        redactor: What hides secrets.
        level: Events below this level have no line and no record, where the format is ours.
        render: Makes our line of an event.
        mode: Whose formats are in force; see the package.
        owns_root: Whether records of the standard library are written by us.
        max_length: How many characters one text of an event keeps.
    """

    redactor: Redactor
    level: int
    render: Callable[[Event], str]
    mode: Mode
    owns_root: bool
    max_length: int = MAX_LENGTH

    def event(
        self,
        body: object,
        fields: Mapping[Any, Any],
        *,
        bound: Mapping[str, Any],
        time_ns: int,
        level: int,
        level_name: str,
        logger: str,
        exc_info: ExcInfo | None = None,
        stack: str | None = None,
        code: Code | None = None,
    ) -> Event:
        """Shape and redact one event, once for every way out.

        Args:
            body: The message; anything but text becomes text.
            fields: The event's own fields, values of any type; they win over ``bound``.
            bound: The fields of the present context.
            time_ns: When it happened, nanoseconds since the Unix epoch.
            level: As in `logging`.
            level_name: Its lower-case name.
            logger: The logger's name.
            exc_info: The exception.
            stack: The stack's text.
            code: Where it was logged.
        """
        context = get_current()
        text, text_changed = self.text(body)
        shown, hidden = self.fields({**bound, **fields} if bound else fields)
        failure = (
            None if exc_info is None else failure_of(exc_info, self.redactor, max_length=self.max_length)
        )
        return Event(
            time_ns=time_ns,
            level=level,
            level_name=level_name,
            body=text,
            logger=logger,
            fields=shown,
            failure=failure,
            ids=_ids(context),
            context=context,
            suppressed=suppressed(context),
            changed=text_changed or bool(hidden) or (failure is not None and failure.changed),
            hidden=hidden,
            bound=tuple(bound),
            stack=None if stack is None else self.redactor.text(stack),
            code=code,
            max_length=self.max_length,
        )

    def text(self, body: object) -> tuple[str, bool]:
        """The text of a message without secrets, and whether that is another than its own."""
        failures: list[BaseException] = []
        plain = snapshot(body, max_length=self.max_length, failures=failures)
        told = bool(failures) and _told_otherwise(failures)
        if type(plain) is not str:
            shown = self.redactor.value("", plain)
            text = _as_text(shown)
            return self.redactor.text(text), told or shown is not plain
        text = self.redactor.text(plain)
        return text, told or text is not plain

    def fields(self, given: Mapping[Any, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
        """The fields as plain redacted data, and those among them that say something else than they did."""
        if not given:
            return {}, {}
        plain = dict(given)
        told: list[str] = []
        failures: list[BaseException] = []
        for key, value in given.items():
            if type(key) is not str or not key:
                named = {safe_str(key) or "_": value for key, value in given.items()}
                return self.fields(named)
            try:
                if type(value) in _PLAIN:
                    continue
                plain[key] = snapshot(value, max_length=self.max_length, failures=failures)
            except Exception:  # a class whose own class makes no hash of it
                plain[key] = snapshot(value)
            if failures:
                told += [key] if _told_otherwise(failures) else ()
                failures.clear()
        shown = self.redactor.fields(plain)
        if shown is plain and not told:
            return plain, {}
        return shown, {
            key: shown[key] for key, value in plain.items() if shown.get(key) is not value or key in told
        }


def _told_otherwise(failures: list[BaseException]) -> bool:
    return any(stand_in(one) is not one for one in failures)


def _as_text(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, (dict, tuple, list)):
        return json.dumps(for_json(value), ensure_ascii=False, default=_as_text)
    return safe_str(value)


# The ids of the span seen last: most spans have several lines. Replaced as a whole, so that
# threads need no lock.
_last: tuple[object, Ids | None] = (None, None)


def _ids(context: Context) -> Ids | None:
    global _last
    span = get_current_span(context).get_span_context()
    seen = _last
    if seen[0] is span:
        return seen[1]
    ids = None
    if span.is_valid:
        ids = Ids(f"{span.trace_id:032x}", f"{span.span_id:016x}", f"{span.trace_flags:02x}")
    _last = span, ids
    return ids
