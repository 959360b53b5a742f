"""What the exceptions of SQL drivers and of SQLAlchemy say wherever telemetry shows them: no values.

A server quotes rows, and SQLAlchemy repeats that together with the statement and its parameters. While
one of them is instrumented, the application's own spans and log lines show its errors likewise.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from otelkit.instrument._sql.words import first_line, server_words
from otelkit.processors.exceptions import class_name, message, put_words
from otelkit.processors.plain import safe_str

__all__ = ["put_psycopg_words", "put_sqlalchemy_words"]

_NAMES = ("schema_name", "table_name", "column_name", "datatype_name", "constraint_name")
# Drivers of MySQL: `Duplicate entry 'a@b.c' for key 'email'`.
_MYSQL = ("MySQLdb", "asyncmy", "mysql", "pymysql")
_NO_SERVER = frozenset({"InterfaceError", "OperationalError"})
_OF_AN_EARLIER_ERROR = "Original exception was:"


def put_psycopg_words() -> Callable[[], None]:
    """Let psycopg's exceptions say no values; returns what takes that back."""
    return put_words("psycopg", _postgresql)


def put_sqlalchemy_words() -> Callable[[], None]:
    """Let SQLAlchemy's exceptions, and those of its drivers, say no values; returns what takes that back.

    SQLite's stay as they are: they name tables and columns only.
    """
    words = {"sqlalchemy": _sqlalchemy, "asyncpg": _asyncpg, "psycopg": _postgresql, "psycopg2": _postgresql}
    undo = [put_words(name, one) for name, one in (*words.items(), *((name, _mysql) for name in _MYSQL))]

    def take_back() -> None:
        for one in undo:
            one()

    return take_back


def _postgresql(error: Any) -> str:
    """Of psycopg 2 and 3, which keep what the server says in ``diag``."""
    state = getattr(error, "sqlstate", None) or getattr(error, "pgcode", None)
    if isinstance(state, str):
        told = error.diag
        names = (getattr(told, name, None) for name in _NAMES)
        source = getattr(told, "source_file", None)
        return server_words(first_line(told.message_primary or ""), state, source=source, names=names)
    # Where no server answered these are the driver's own words; of other classes they quote arguments.
    return first_line(error) if any(kind.__name__ in _NO_SERVER for kind in type(error).__mro__) else ""


def _asyncpg(error: BaseException) -> str:
    from otelkit.instrument._asyncpg import errors

    return errors.of(error, "").message


def _mysql(error: BaseException) -> str:
    number = error.args[0] if error.args else None
    return str(number) if isinstance(number, int) else ""


def _sqlalchemy(error: Any) -> str:
    from sqlalchemy.exc import SQLAlchemyError, StatementError

    if not isinstance(error, SQLAlchemyError):  # asyncpg's, in the clothes of a DB-API driver
        return "" if error.__cause__ is None else message(error.__cause__)
    if isinstance(error, StatementError):
        driver = error.orig
        return "" if driver is None else f"({class_name(type(driver))}) {message(driver)}".rstrip()
    return safe_str(error).partition(_OF_AN_EARLIER_ERROR)[0].rstrip()
