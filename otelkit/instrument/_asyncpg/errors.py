"""What telemetry may say of a failed operation: its kind and a message without values.

A server's DETAIL, HINT and CONTEXT are never shown: ``Key (email)=(a@b.c) already exists``. The primary
message is shown without numbers, and a quoted word stays only where it names something that the
statement or the error names anyway. Texts that the application writes (``RAISE``, codecs, sources of
records) are not shown at all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg

from otelkit.instrument._sql.lexer import NAME, WORD, tokens
from otelkit.processors.exceptions import class_name
from otelkit.processors.plain import safe_str

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Failure", "frames", "of"]

_MAX_MESSAGE = 1_024
_MAX_FRAMES = 50
# The signs that PostgreSQL's translations quote with: " ' ` and the typographic ones.
_QUOTES = frozenset("\"'`\u00ab\u00bb\u2018\u2019\u201a\u201c\u201d\u201e\u2039\u203a")
_NUMBER = re.compile(r"(?<![\w$])[0-9][\w.:+-]*")
_QUOTED = re.compile(r'"([^"]*)"')
# Classes of SQLSTATE whose messages are the server's own words; in class 22 the quoted ones are values.
# Source: PostgreSQL documentation, appendix "PostgreSQL Error Codes".
_OWN_WORDS = re.compile(r"0[89AB]|2[0-8BD]|3[4BDF]|4[024]|5[34578]")
_DATA = "22"
# The places where procedural languages raise what a function tells them, under any SQLSTATE.
_PROCEDURAL = frozenset({"pl_exec.c", "plpy_elog.c", "plperl.c", "pltcl.c"})
_IDENTIFIERS = ("schema_name", "table_name", "column_name", "data_type_name", "constraint_name")


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A failed operation, without values.

    Attributes:
        kind: The class of the exception with its module: ``error.type``.
        sqlstate: PostgreSQL's code, ``23505`` say; empty where there is none.
        message: What happened, at most 1,024 characters; empty where that cannot be said safely.
    """

    kind: str
    sqlstate: str
    message: str

    @property
    def text(self) -> str:
        """For the description of a span's status."""
        short = self.kind.rpartition(".")[2]
        return f"{short}: {self.message}" if self.message else short


def of(error: BaseException, statement: str) -> Failure:
    """The failure that an exception tells of.

    Args:
        error: What the operation raised; it is only looked at.
        statement: The text of the statement, without values.
    """
    sqlstate = getattr(error, "sqlstate", None) if isinstance(error, asyncpg.PostgresError) else None
    sqlstate = sqlstate if isinstance(sqlstate, str) else ""
    if sqlstate and getattr(error, "severity", None):
        message = _server_message(error, sqlstate, statement)
    else:  # asyncpg raises some of the server's classes itself
        message = _client_message(error)
    return Failure(kind=class_name(type(error)), sqlstate=sqlstate, message=message)


def frames(trace: TracebackType | None) -> str:
    """Where an exception came through; without lines of source, which may hold a statement's values."""
    found: list[str] = []
    while trace is not None and len(found) < _MAX_FRAMES:
        code = trace.tb_frame.f_code
        found.append(f'  File "{code.co_filename}", line {trace.tb_lineno}, in {code.co_name}\n')
        trace = trace.tb_next
    return "Traceback (most recent call last):\n" + "".join(found)


def _server_message(error: BaseException, sqlstate: str, statement: str) -> str:
    if not _OWN_WORDS.match(sqlstate) or getattr(error, "server_source_filename", None) in _PROCEDURAL:
        return ""
    message = _first_line(error)
    if sqlstate[:2] == _DATA:
        return _without_numbers(_without_quoted(message))
    known = {word.strip('"') for kind, word in tokens(statement) if kind in {WORD, NAME}}
    known |= {value for name in _IDENTIFIERS if isinstance(value := getattr(error, name, None), str)}
    return _without_numbers(_with_known(message, known))


def _client_message(error: BaseException) -> str:
    """What asyncpg itself says."""
    if not type(error).__module__.startswith("asyncpg."):
        return ""
    message = _first_line(error)
    if isinstance(error, (ValueError, asyncpg.PostgresError)):  # "invalid input for ... $1: VALUE"
        message = message.partition(":")[0]
    return _without_numbers(_without_quoted(message))


def _first_line(error: BaseException) -> str:
    message = error.args[0] if error.args else ""
    return safe_str(message)[:_MAX_MESSAGE].partition("\n")[0]


def _without_quoted(message: str) -> str:
    """Nothing between the first and the last quote: what is quoted may hold quotes itself."""
    quotes = [at for at, character in enumerate(message) if character in _QUOTES]
    return message if not quotes else f"{message[: quotes[0]]}?{message[quotes[-1] + 1 :]}"


def _with_known(message: str, known: set[str]) -> str:
    """Quoted names stay up to the first quoted text that is none."""
    if message.count('"') % 2:  # a quote that is part of a value: nobody knows which
        return _without_quoted(message)
    kept = 0
    for found in _QUOTED.finditer(message):
        if not known.issuperset(found[1].split(".")):
            break
        kept = found.end()
    return message[:kept] + _without_quoted(message[kept:])


def _without_numbers(message: str) -> str:
    return _NUMBER.sub("?", message)
