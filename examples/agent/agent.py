"""The agent itself: `process_query` is measured as a whole, and each of its steps is a span."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

from opentelemetry import trace

import otelkit
from examples.agent.answer import Answer, Usage
from examples.agent.corpus import count_tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from examples.agent.corpus import Corpus, Passage
    from examples.agent.stores import Stores

__all__ = ["ENDPOINT", "MAX_QUERY_CHARS", "METHOD", "Agent", "QueryError"]

METHOD, ENDPOINT = "query", "/api/query"
MAX_QUERY_CHARS = 2_000
_SHOWN_CHARS = 60

log = otelkit.get_logger("agent")


class QueryError(Exception):
    """A query that the agent cannot answer, and why; `status` is the HTTP status for it."""

    status = 400


class BrokenBodyError(QueryError):
    """The body is not JSON."""


class NotTextError(QueryError):
    """The query is not text."""

    status = 422


class EmptyQueryError(QueryError):
    """The query has nothing to look for."""


class TooLongError(QueryError):
    """The query is longer than the agent reads."""

    status = 413


class NoAnswerError(QueryError):
    """No passage speaks of the query."""

    status = 404


class Agent:
    """Answers queries with passages that speak of them.

    Args:
        known: Finds the passages.
        stores: Holds them; keeps answers and a history where it has a cache and a database.
    """

    def __init__(self, known: Corpus, stores: Stores) -> None:
        self._known = known
        self._stores = stores

    # Spans, RED metrics, tokens, response size and one log line per call, failed or not, come from here.
    @otelkit.monitor_performance(
        method=METHOD, endpoint=ENDPOINT, track_tokens=True, errors=QueryError.__subclasses__()
    )
    async def process_query(self, body: bytes) -> Answer:
        """Answer the query in a request body.

        Raises:
            QueryError: The query cannot be answered; the class says why.
        """
        span = trace.get_current_span()
        span.set_attribute("validation.passed", False)
        with otelkit.span("validate_query"):
            query = _validate(body)
        kind = "topic" if self._known.is_topic(query) else "question"
        span.set_attributes(
            {"validation.passed": True, "query.length": len(query), "query.type": kind},
        )
        log.info("query accepted", query=query[:_SHOWN_CHARS], length=len(query), type=kind)

        answer = await self._find_kept(query)
        if answer is None:
            answer = await self._make(query)
        if self._stores.history is not None:
            await self._stores.history.remember(query, answer)
        return answer

    async def _find_kept(self, query: str) -> Answer | None:
        if self._stores.cache is None:
            return None
        with otelkit.span("cache_lookup") as span:
            answer = await self._stores.cache.find(query)
            span.set_attribute("cache.hit", answer is not None)
        return answer

    async def _make(self, query: str) -> Answer:
        passages = await self._search(query)
        with otelkit.span("generate_response") as span:
            answer = _generate(query, passages)
            span.set_attribute("response.length", len(answer.data))
        if self._stores.cache is not None:
            await self._stores.cache.keep(query, answer)
        return answer

    async def _search(self, query: str) -> list[Passage]:
        with otelkit.span("knowledge_search") as span:
            # Searching is work for the processor: a thread keeps the event loop free, and the
            # context goes along.
            hits = await asyncio.to_thread(self._known.search, query)
            span.set_attribute("results.count", len(hits))
            if not hits:
                raise NoAnswerError("no passage speaks of the query")
            passages = await self._stores.passages.read([hit.number for hit in hits])
            log.info("passages found", results=len(passages), topic=passages[0].topic)
            return passages


def _validate(body: bytes) -> str:
    try:
        query = json.loads(body)["query"]
    except (ValueError, KeyError, TypeError) as error:
        raise BrokenBodyError(f"the body must be JSON with a 'query': {error}") from error
    if not isinstance(query, str):
        raise NotTextError(f"the query must be text, not {type(query).__name__}")
    if not query.strip():
        raise EmptyQueryError("the query is empty")
    if len(query) > MAX_QUERY_CHARS:
        raise TooLongError(f"the query has {len(query)} characters, at most {MAX_QUERY_CHARS} are read")
    return query


def _generate(query: str, passages: Sequence[Passage]) -> Answer:
    """The best passage; the query and all passages are the prompt of it."""
    text = f"{query}: {passages[0].text}"
    read = count_tokens(query) + sum(count_tokens(passage.text) for passage in passages)
    usage = Usage(prompt_tokens=read, completion_tokens=count_tokens(text))
    return Answer(data=text.encode(), topic=passages[0].topic, usage=usage)
