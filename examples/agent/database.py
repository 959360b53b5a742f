"""PostgreSQL: the passages and the history of the answers, in a schema of their own.

Needs asyncpg. Its calls are spans below the agent's by themselves: `otelkit.init` instruments asyncpg.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import asyncpg

import otelkit
from examples.agent.corpus import Passage

if TYPE_CHECKING:
    from examples.agent.answer import Answer
    from examples.agent.corpus import Corpus

__all__ = ["SCHEMA", "Database", "open_database"]

SCHEMA = "otelkit_demo"
_TIMEOUT_S = 5.0
_LOCK = 0x07E1_D3E0  # two services that start at once make the tables one after the other
_TABLES = (
    f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}",
    # Each edition of Python has passages of its own.
    f"""CREATE TABLE IF NOT EXISTS {SCHEMA}.passages (
        edition text, number int, topic text NOT NULL, text text NOT NULL, PRIMARY KEY (edition, number))""",
    f"""CREATE TABLE IF NOT EXISTS {SCHEMA}.history (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, asked_at timestamptz NOT NULL DEFAULT now(),
        query text NOT NULL, topic text NOT NULL, cached bool NOT NULL, trace_id text)""",
)
_COUNT = f"SELECT count(*) FROM {SCHEMA}.passages WHERE edition = $1"
_FORGET = f"DELETE FROM {SCHEMA}.passages WHERE edition = $1"
_READ = f"SELECT number, topic, text FROM {SCHEMA}.passages WHERE edition = $1 AND number = ANY($2::int[])"
_REMEMBER = f"INSERT INTO {SCHEMA}.history (query, topic, cached, trace_id) VALUES ($1, $2, $3, $4)"


@asynccontextmanager
async def open_database(url: str, known: Corpus) -> AsyncIterator[Database]:
    """The database with its tables made and filled, until the end of the block.

    Args:
        url: What `asyncpg.create_pool` takes.
        known: The corpus whose passages are to be there.
    """
    pool = asyncpg.create_pool(url, min_size=1, max_size=4, timeout=_TIMEOUT_S, command_timeout=_TIMEOUT_S)
    async with pool:
        async with pool.acquire() as connection, connection.transaction():
            await _prepare(connection, known)
        yield Database(pool, edition=known.edition)


async def _prepare(connection: asyncpg.Connection, known: Corpus) -> None:
    await connection.execute("SELECT pg_advisory_xact_lock($1)", _LOCK)
    for statement in _TABLES:
        await connection.execute(statement)
    if await connection.fetchval(_COUNT, known.edition) != len(known.passages):
        await connection.execute(_FORGET, known.edition)
        await connection.copy_records_to_table(
            "passages",
            schema_name=SCHEMA,
            columns=["edition", "number", "topic", "text"],
            records=[(known.edition, n, each.topic, each.text) for n, each in enumerate(known.passages)],
        )


class Database:
    """The `Passages` and the `History` of the agent.

    Args:
        pool: Connections.
        edition: Which corpus is meant.
    """

    def __init__(self, pool: asyncpg.Pool, *, edition: str) -> None:
        self._pool = pool
        self._edition = edition

    async def read(self, numbers: Sequence[int]) -> list[Passage]:
        """The passages of these numbers, in this order."""
        rows = await self._pool.fetch(_READ, self._edition, list(numbers))
        found = {row["number"]: Passage(row["topic"], row["text"]) for row in rows}
        return [found[number] for number in numbers]

    async def remember(self, query: str, answer: Answer) -> None:
        """Add an answer, with the trace in which it was given."""
        # What is text in Python need not be text for PostgreSQL.
        text = query.encode("utf-8", "replace").decode().replace("\0", "\N{REPLACEMENT CHARACTER}")
        await self._pool.execute(_REMEMBER, text, answer.topic, answer.cached, otelkit.trace_id())
