"""Which methods of asyncpg talk to the server, and what each of them asks it.

One span is one thing that the application asked for. Left out are a pool's clean-up of a returned
connection, asyncpg's look-ups of types, and the rows that a cursor has fetched ahead.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from otelkit.instrument._asyncpg.calls import Call, Calls, Hidden, batch_size
from otelkit.instrument._sql import Statement, statements

if TYPE_CHECKING:
    from typing import TypeAlias

__all__ = ["Begin", "methods"]

Begin: TypeAlias = "Callable[[Calls, Any, tuple[Any, ...], dict[str, Any]], Call | Hidden | None]"
"""Begins the call of a method on an object with positional and named arguments; None for no telemetry."""

_NO_TEXT = Statement(text="", summary="", operation="")


def methods() -> list[tuple[type, str, Begin]]:
    """The class, the name and the meaning of each method that this version of asyncpg has."""
    from asyncpg import connection, cursor, prepared_stmt

    table: list[tuple[type, Begin, tuple[str, ...]]] = [
        (connection.Connection, _query, ("execute", "fetch", "fetchval", "fetchrow")),
        (connection.Connection, _batch, ("executemany", "fetchmany")),
        (connection.Connection, _reset, ("reset",)),
        (connection.Connection, _prepare, ("prepare",)),
        (connection.Connection, _copy_query, ("copy_from_query",)),
        (connection.Connection, _copy, ("copy_from_table", "copy_to_table", "copy_records_to_table")),
        (prepared_stmt.PreparedStatement, _prepared, ("fetch", "fetchval", "fetchrow")),
        (prepared_stmt.PreparedStatement, _prepared_batch, ("executemany", "fetchmany")),
        (cursor.Cursor, _declare, ("_init",)),
        (cursor.Cursor, _fetch, ("fetch", "fetchrow")),
        (cursor.Cursor, _move, ("forward",)),
        (cursor.CursorIterator, _iterate, ("__anext__",)),
    ]
    return [(owner, name, begin) for owner, begin, names in table for name in names if name in vars(owner)]


def _argument(args: tuple[Any, ...], kwargs: dict[str, Any], at: int, *names: str) -> Any:
    if len(args) > at:
        return args[at]
    return next((kwargs[name] for name in names if name in kwargs), None)


def _query(calls: Calls, connection: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
    return calls.begin(connection, statements.get(_argument(args, kwargs, 0, "query")))


def _reset(calls: Calls, connection: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Hidden | None:
    """A pool takes a connection back; what that asks, a subclass may say (``get_reset_query``)."""
    del args, kwargs
    return calls.hide(connection)


def _batch(calls: Calls, connection: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
    query = _argument(args, kwargs, 0, "command", "query")
    sets = batch_size(_argument(args, kwargs, 1, "args"))
    return calls.begin(connection, statements.get(query), batch=sets)


def _prepare(calls: Calls, connection: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
    return calls.begin(connection, statements.get(_argument(args, kwargs, 0, "query")), verb="PREPARE")


def _copy_query(calls: Calls, connection: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
    # asyncpg asks the server to prepare the query and to quote the arguments first.
    statement = statements.get(_argument(args, kwargs, 0, "query"))
    return calls.begin(connection, statement, verb="COPY", whole=True)


def _copy(calls: Calls, connection: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
    names = (kwargs.get("schema_name"), _argument(args, kwargs, 0, "table_name"))
    table = ".".join(name for name in names if type(name) is str)
    return calls.begin(connection, _NO_TEXT, verb="COPY", target=table)


def _prepared(calls: Calls, prepared: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
    del args, kwargs
    return calls.begin(prepared._connection, statements.get(prepared._query))


def _prepared_batch(
    calls: Calls, prepared: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Call | None:
    sets = batch_size(_argument(args, kwargs, 0, "args"))
    return calls.begin(prepared._connection, statements.get(prepared._query), batch=sets)


def _declare(calls: Calls, cursor: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
    del args, kwargs
    return calls.begin(cursor._connection, statements.get(cursor._query), verb="DECLARE")


def _fetch(calls: Calls, cursor: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
    del args, kwargs
    if cursor._exhausted:
        return None
    return calls.begin(cursor._connection, statements.get(cursor._query), verb="FETCH")


def _move(calls: Calls, cursor: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
    del args, kwargs
    return calls.begin(cursor._connection, statements.get(cursor._query), verb="MOVE")


def _iterate(calls: Calls, cursor: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Call | None:
    del args, kwargs
    if cursor._buffer or cursor._exhausted:
        return None
    return calls.begin(cursor._connection, statements.get(cursor._query), verb="FETCH")
