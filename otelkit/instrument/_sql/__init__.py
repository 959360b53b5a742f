"""A statement as telemetry may show it: its text without values, and a summary to group by.

Source: OpenTelemetry semantic conventions, database spans, "Sanitization of db.query.text" and
"Generating a summary of the query". PostgreSQL's SQL only: other databases quote differently.
"""

from __future__ import annotations

import os
import threading
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass

from otelkit import _guard
from otelkit.instrument._sql.lexer import SPACE, Token, tokens
from otelkit.instrument._sql.summaries import summarise

__all__ = [
    "MAX_READ",
    "MAX_TEXT",
    "Statement",
    "StatementCache",
    "describe",
    "sanitize",
    "statements",
    "summary",
]

MAX_TEXT = 4_096
MAX_READ = 8_192
"""Characters of a statement that are read: of so many it takes a few milliseconds."""
_CUT = "…"


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What telemetry says of one query text.

    Attributes:
        text: The statement without values, at most `MAX_TEXT` characters; empty if it is no text.
        summary: Operations and targets, such as ``SELECT users``; at most 255 characters, empty where
            the text begins with no SQL command.
        operation: The one operation of the statement; empty where there are several or none.
    """

    text: str
    summary: str
    operation: str


_NOTHING = Statement(text="", summary="", operation="")


def sanitize(query: object, *, max_length: int = MAX_TEXT) -> str:
    """The query with each value replaced by ``?``, and without comments.

    Values are numbers and strings of every form (plain, ``E''``, ``U&''``, bits, dollar quotes with
    the bodies of functions in them), what is behind ``COPY ... FROM STDIN`` and what a ``SET`` sets.
    Identifiers, ``$1``, TRUE, FALSE and NULL stay. What cannot be read with certainty, such as the
    rest behind an unterminated quote, is one value. Never raises.

    Args:
        query: The text; anything else gives an empty one.
        max_length: In characters; what is longer is cut between two words and ends with ``…``.
            No more than 8,192 characters of the query are read.
    """
    try:
        query, is_cut = _readable(query)
        return _joined(tokens(query), is_cut=is_cut, max_length=max_length)
    except Exception:
        _guard.swallowed("sql.sanitize")
        return ""


def summary(query: object) -> str:
    """The summary of a query, see `Statement`. Never raises; the last queries are remembered."""
    return statements.get(query).summary


def describe(query: object) -> Statement:
    """Read a query. Never raises."""
    try:
        text, is_cut = _readable(query)
        found = list(tokens(text))
        said, operation = summarise([token for token in found if token[0] != SPACE])
        shown = _joined(found, is_cut=is_cut, max_length=MAX_TEXT)
        return Statement(text=shown, summary=said, operation=operation)
    except Exception:
        _guard.swallowed("sql.describe")
        return _NOTHING


def _readable(query: object) -> tuple[str, bool]:
    """The part of a query that is read, as a plain string, and whether that is not all of it."""
    if not isinstance(query, str):
        return "", False
    return str.__getitem__(query, slice(MAX_READ)), str.__len__(query) > MAX_READ


def _joined(found: Iterable[Token], *, is_cut: bool, max_length: int) -> str:
    parts: list[str] = []
    length = 0
    blank = False
    for kind, text in found:
        if kind == SPACE:
            blank = bool(parts)
            continue
        if length + len(text) + blank > max_length:
            is_cut = True
            break
        length += len(text) + blank
        if blank:
            parts.append(" ")
            blank = False
        parts.append(text)
    if is_cut:
        while parts and length > max_length - len(_CUT):
            length -= len(parts.pop())
        parts.append(_CUT[:max_length])
    return "".join(parts)


class StatementCache:
    """The last described queries: the text of a query is read once, not at each call.

    Any thread may call it. The least recently used are forgotten first.

    Args:
        max_entries: How many queries are kept.
        max_size: How many characters are kept, of queries and descriptions together.
    """

    def __init__(self, *, max_entries: int = 1_024, max_size: int = 4_000_000) -> None:
        self._max_entries = max_entries
        self._max_size = max_size
        self._lock = threading.Lock()
        self._kept: OrderedDict[str, Statement] = OrderedDict()
        self._size = 0

    @property
    def size(self) -> int:
        """The characters that are kept."""
        return self._size

    def __len__(self) -> int:
        return len(self._kept)

    def get(self, query: object) -> Statement:
        """What telemetry says of the query; see `describe`."""
        if type(query) is not str:
            return describe(query)
        found = self._kept.get(query)
        if found is not None:
            try:
                self._kept.move_to_end(query)
            except KeyError:  # another thread has just forgotten it
                pass
            return found
        found = describe(query)
        self._keep(query, found)
        return found

    def after_fork_in_child(self) -> None:
        """A fresh lock for a fresh process."""
        self._lock = threading.Lock()

    def _keep(self, query: str, statement: Statement) -> None:
        size = _size(query, statement)
        if size * 16 > self._max_size:  # one giant must not push out everything else
            return
        with self._lock:
            if query in self._kept:
                return
            self._kept[query] = statement
            self._size += size
            while self._size > self._max_size or len(self._kept) > self._max_entries:
                forgotten, its = self._kept.popitem(last=False)
                self._size -= _size(forgotten, its)


def _size(query: str, statement: Statement) -> int:
    return len(query) + len(statement.text) + len(statement.summary)


statements = StatementCache()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=statements.after_fork_in_child)
