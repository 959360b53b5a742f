"""Redis: the answers of the last minutes.

Needs redis-py. Its commands are spans below the agent's by themselves: `otelkit.init` instruments redis.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import redis.asyncio as redis

import otelkit
from examples.agent.answer import Answer

__all__ = ["RedisCache", "open_cache"]

_KEPT_S = 300
_TIMEOUT_S = 5.0

lookups = otelkit.counter(
    "agent_cache_lookups", "{lookup}", "Lookups in the cache of answers, by result: hit or miss."
)


@asynccontextmanager
async def open_cache(url: str, *, edition: str) -> AsyncIterator[RedisCache]:
    """The cache, observed as ``cache_entries_total``, until the end of the block.

    Args:
        url: What `redis.asyncio.from_url` takes.
        edition: Of the corpus; an answer from another one is none.
    """
    client = redis.from_url(url, socket_connect_timeout=_TIMEOUT_S, socket_timeout=_TIMEOUT_S)
    async with client:
        await client.ping()
        cache = RedisCache(client, edition=edition)
        with otelkit.observe_cache(cache.entries):
            yield cache


class RedisCache:
    """The `Cache` of the agent.

    Args:
        client: Redis.
        edition: Of the corpus.
    """

    def __init__(self, client: redis.Redis, *, edition: str) -> None:
        self._client = client
        self._edition = edition

    async def find(self, query: str) -> Answer | None:
        """The answer to exactly this query; None where it is not kept."""
        kept = await self._client.get(self._key(query))
        lookups.add(1, {"result": "miss" if kept is None else "hit"})
        if kept is None:
            return None
        text, topic = json.loads(kept)
        return Answer(data=text.encode(), topic=topic, usage=None)

    async def keep(self, query: str, answer: Answer) -> None:
        """Keep an answer for five minutes."""
        value = json.dumps([answer.data.decode(), answer.topic])
        await self._client.set(self._key(query), value, ex=_KEPT_S)

    async def entries(self) -> int:
        """All keys of this Redis database: cheap to know, but others', if any, are among them."""
        return int(await self._client.dbsize())

    def _key(self, query: str) -> str:
        digest = hashlib.sha256(query.encode("utf-8", "surrogatepass")).hexdigest()
        return f"otelkit_demo:{self._edition}:{digest}"
