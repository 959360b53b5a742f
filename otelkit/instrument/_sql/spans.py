"""Spans of the official SQL instrumentations without values in them.

psycopg's and SQLAlchemy's instrumentations send the statement as the application wrote it, literals
included, and the server's error message, which quotes rows ("Key (email)=(...) already exists").
They take a tracer provider of one's own: this one makes the same spans, of the global provider, on
which the statement has ``?`` for each value and an error has its class and SQLSTATE.
"""

from __future__ import annotations

import re
import weakref
from collections.abc import Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.trace import StatusCode

from otelkit import _guard
from otelkit.instrument._sql import MAX_READ, Statement, statements
from otelkit.processors.exceptions import class_name

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["ValuelessProvider"]

_TEXTS = {"db.query.text": "db.operation.name", "db.statement": "db.operation"}
_OPERATIONS = frozenset(_TEXTS.values())
_NEW_TEXT = "db.query.text"
_SYSTEMS = ("db.system.name", "db.system")
_VALUES = "db.statement.parameters"
_POSTGRESQL = "postgresql"
_ELSEWHERE = re.compile(r"[\"\\#]|\r(?!\n)")
_SPECIAL = re.compile(r"[`\[\]]|--|/[*/]|[qQ]'|\$\w*\$")
# What all databases read alike, each up to its end or that of the text.
_ALIKE = re.compile(
    r"""
      (?<![qQ]) ' (?: [^'] | '' )* (?: ' | \Z )               # but Oracle's q'[...]'
    | -- (?= [ \t\r\n] | \Z ) [^\n]*                         # but MySQL's 5--'1'
    | /\* (?! M?! ) (?: (?! /\* | \*/ ) . )* (?: \*/ | \Z )  # but MySQL's /*! ... */, which it executes
    | ` (?: (?! -- | /[*/] ) [^`'$] )* (?: ` | \Z )
    | \[ (?: (?! -- | /[*/] ) [^]`'$[] )* (?: \] | \Z )
    """,
    re.VERBOSE | re.DOTALL,
)
_LEFT_OVER = re.compile(r"['`\[\]]|--|/[*/]|\$\w*\$")


class ValuelessProvider(trace.TracerProvider):
    """The global tracer provider, for an SQL instrumentation.

    Args:
        system: The database, where it is always the same; else it is read from the spans.
    """

    def __init__(self, system: str | None = None) -> None:
        self._system = system

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: Any = None,
    ) -> trace.Tracer:
        """A tracer of that scope."""
        tracer = trace.get_tracer(
            instrumenting_module_name,
            instrumenting_library_version,
            schema_url=schema_url,
            attributes=attributes,
        )
        return _Tracer(tracer, self._system)


class _Tracer(trace.Tracer):
    def __init__(self, tracer: trace.Tracer, system: str | None) -> None:
        self._tracer = tracer
        self._system = system

    def start_span(self, name: str, *args: Any, attributes: Any = None, **kwargs: Any) -> trace.Span:
        """A span that takes no values; what it is given at its start is set after it."""
        kwargs["record_exception"] = kwargs["set_status_on_exception"] = False
        span = self._tracer.start_span(_name(name), *args, **kwargs)
        if span.is_recording():
            _Valueless(span, self._system)
            if attributes:
                span.set_attributes(attributes)
        return span

    @contextmanager
    def start_as_current_span(self, name: str, *args: Any, **kwargs: Any) -> Iterator[trace.Span]:  # type: ignore[override]
        """The same as the current span of a block."""
        kwargs.pop("end_on_exit", None)
        span = self.start_span(name, *args, **kwargs)
        with trace.use_span(span, end_on_exit=True, record_exception=False, set_status_on_exception=False):
            try:
                yield span
            except Exception as error:
                span.record_exception(error)
                span.set_status(StatusCode.ERROR)
                raise


class _Valueless:
    """What stands in a span's place of `set_attribute`, `set_attributes`, `set_status`, `record_exception`.

    The span itself stays the application's current one; this holds it weakly, as it is held by it.
    """

    __slots__ = ("_held", "_span", "_system")

    def __init__(self, span: trace.Span, system: str | None) -> None:
        self._span = weakref.ref(span)
        self._system = system
        self._held: dict[str, str] = {}
        for name in ("set_attribute", "set_attributes", "set_status", "record_exception"):
            setattr(span, name, getattr(self, name))

    def set_attribute(self, key: str, value: Any) -> None:
        self.set_attributes({key: value})

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        span = self._span()
        if span is None:
            return
        try:
            plain: dict[str, Any] = {}
            for key, value in attributes.items():
                if key in _TEXTS:
                    self._held[key] = value
                elif key != _VALUES and key not in _OPERATIONS:  # made of the statement's first word
                    plain[key] = value
                if key in _SYSTEMS:
                    self._system = str(value)
            # How strings are written depends on the database, which is told last.
            if self._system is not None and self._held:
                plain.update(self._shown(span))
            type(span).set_attributes(span, plain)
        except Exception:
            _guard.swallowed("instrument.sql")

    def _shown(self, span: trace.Span) -> dict[str, str]:
        held, self._held = self._held, {}
        shown: dict[str, str] = {}
        for key, query in held.items():
            found = _read(query, postgresql=self._system == _POSTGRESQL)
            shown[key] = found.text
            if found.operation:
                shown[_TEXTS[key]] = found.operation
            if key == _NEW_TEXT and found.summary:
                shown["db.query.summary"] = found.summary
                span.update_name(found.summary)
        return shown

    def set_status(self, status: Any, description: str | None = None) -> None:
        del description
        span = self._span()
        if span is not None:
            type(span).set_status(span, getattr(status, "status_code", status))

    def record_exception(self, exception: BaseException, *args: Any, **kwargs: Any) -> None:
        del args, kwargs
        state = getattr(exception, "sqlstate", None)
        told = {"error.type": class_name(type(exception))}
        if isinstance(state, str):
            told["db.response.status_code"] = state
        self.set_attributes(told)


def _read(query: Any, *, postgresql: bool) -> Statement:
    """What may be told of a statement.

    Where the database may read a sign of it in another way than PostgreSQL (strings in double quotes,
    with a backslash or a delimiter of their own; names that are quoted in other ways, with an apostrophe
    in them; other comments), only its first word is certain.
    """
    if postgresql or not isinstance(query, str) or not _is_doubtful(query):
        return statements.get(query)
    first = query.split(None, 1)[:1]
    word = first[0] if first and first[0].isalpha() else ""
    return Statement(text=word, summary=word, operation=word)


def _is_doubtful(query: str) -> bool:
    """Whether another database may tell strings, names and comments apart in another way."""
    read = str.__getitem__(query, slice(MAX_READ))
    if _ELSEWHERE.search(read):
        return True
    if not _SPECIAL.search(read):  # strings at most, which are the same everywhere
        return False
    return _LEFT_OVER.search(_ALIKE.sub(" ", read)) is not None


def _name(name: str) -> str:
    """The name of a span; made of the statement's first word, which may be a quoted one."""
    return "SQL" if any(sign in name for sign in "'\"$\\") else name
