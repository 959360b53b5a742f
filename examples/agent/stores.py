"""Where the agent keeps things: in memory, or where ``DATABASE_URL`` and ``REDIS_URL`` say.

PostgreSQL takes the passages and the history of the answers, Redis the answers themselves for a while.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol
from urllib.parse import urlsplit

import otelkit

if TYPE_CHECKING:
    from examples.agent.answer import Answer
    from examples.agent.corpus import Corpus, Passage

__all__ = ["Cache", "History", "Passages", "StoreError", "Stores", "open_stores"]

_MOST_CHARS = 200


class Passages(Protocol):
    """The passages of the corpus."""

    async def read(self, numbers: Sequence[int]) -> list[Passage]:
        """The passages of these numbers, in this order."""
        ...


class History(Protocol):
    """What was answered so far."""

    async def remember(self, query: str, answer: Answer) -> None:
        """Add an answer."""
        ...


class Cache(Protocol):
    """Answers that were given lately."""

    async def find(self, query: str) -> Answer | None:
        """The answer to exactly this query; None where it is not kept."""
        ...

    async def keep(self, query: str, answer: Answer) -> None:
        """Keep an answer for a while."""
        ...


@dataclass(frozen=True, slots=True)
class Stores:
    """All that the agent keeps; None for what it does without."""

    passages: Passages
    cache: Cache | None = None
    history: History | None = None


class StoreError(Exception):
    """A database that the environment names cannot be used; the one line says why and what to do."""


@asynccontextmanager
async def open_stores(known: Corpus) -> AsyncIterator[Stores]:
    """The stores that the environment asks for, until the end of the block.

    Args:
        known: The corpus; it is put into the database where it is not there yet.

    Raises:
        StoreError: One of them cannot be used.
    """
    async with AsyncExitStack() as stack:
        cache = database = None
        if url := os.environ.get("DATABASE_URL"):
            with _usable("DATABASE_URL", url, package="asyncpg"), otelkit.span("open_database"):
                from examples.agent.database import open_database

                database = await stack.enter_async_context(open_database(url, known))
        if url := os.environ.get("REDIS_URL"):
            with _usable("REDIS_URL", url, package="redis"), otelkit.span("open_cache"):
                from examples.agent.cache import open_cache

                cache = await stack.enter_async_context(open_cache(url, edition=known.edition))
        yield Stores(passages=database or known, cache=cache, history=database)


@contextmanager
def _usable(variable: str, url: str, *, package: str) -> Iterator[None]:
    """Turn whatever goes wrong inside into one line."""
    try:
        yield
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] != package:
            raise
        raise StoreError(
            f"{variable} is set, but {package} is not installed. Run: pip install '.[{package}]', "
            f"or unset {variable}."
        ) from error
    except Exception as error:
        raise StoreError(
            f"{variable} ({_server(url)}) cannot be used: {_reason(error)}. Start that server, "
            f"or correct or unset {variable}."
        ) from error


def _server(url: str) -> str:
    """Host and port: all of a URL that can be shown, as it may hold a password."""
    try:
        parts = urlsplit(url)
        return ":".join(str(part) for part in (parts.hostname, parts.port) if part) or "no host"
    except ValueError:
        return "not a URL"


def _reason(error: Exception) -> str:
    text = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(".: ")
    return text if len(text) <= _MOST_CHARS else f"{text[: _MOST_CHARS - 1]}…"
