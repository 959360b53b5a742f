"""What telemetry may say of a failed operation: its kind and a message without values.

Of a server's error its primary message is shown as `server_words` has it, of asyncpg's own ones what
stands before the value. Texts that the application writes (codecs, sources of records) are not shown.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import asyncpg

from otelkit.instrument._sql.words import first_line, server_words, without_numbers, without_quoted
from otelkit.processors.exceptions import class_name

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Failure", "frames", "of"]

_MAX_FRAMES = 50
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
    return server_words(
        _first_line(error),
        sqlstate,
        source=getattr(error, "server_source_filename", None),
        names=(getattr(error, name, None) for name in _IDENTIFIERS),
        statement=statement,
    )


def _client_message(error: BaseException) -> str:
    """What asyncpg itself says."""
    if not type(error).__module__.startswith("asyncpg."):
        return ""
    message = _first_line(error)
    if isinstance(error, (ValueError, asyncpg.PostgresError)):  # "invalid input for ... $1: VALUE"
        message = message.partition(":")[0]
    return without_numbers(without_quoted(message))


def _first_line(error: BaseException) -> str:
    return first_line(error.args[0] if error.args else "")
