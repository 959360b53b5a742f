"""The agent itself: `process_query` in three steps, each one a span."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass

import otelkit
from examples.agent import corpus

__all__ = ["MAX_QUERY_CHARS", "MODEL", "Answer", "QueryError", "process_query"]

MODEL = "pydoc-topics"
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


@dataclass(frozen=True, slots=True)
class Answer:
    """The best passage for a query; ``tokens`` counts what was read and written."""

    text: str
    topic: str
    tokens: int
    size_bytes: int


async def process_query(body: bytes) -> Answer:
    """Answer the query in a request body.

    Raises:
        QueryError: The query cannot be answered; the class says why.
    """
    with otelkit.span("process_query", {"validation.passed": False}) as span:
        with otelkit.span("validate_query"):
            query = _validate(body)
        known = corpus.load().is_topic(query)
        kind = "topic" if known else "question"
        span.set_attribute("validation.passed", True)
        span.set_attribute("query.length", len(query))
        span.set_attribute("query.type", kind)
        log.info("query accepted", query=query[:_SHOWN_CHARS], length=len(query), type=kind)

        with otelkit.span("knowledge_search") as search:
            # Searching is work for the processor: a thread keeps the event loop free, and the
            # context goes along.
            hits = await asyncio.to_thread(corpus.load().search, query)
            search.set_attribute("results.count", len(hits))
            if not hits:
                raise NoAnswerError(f"no passage speaks of {query[:_SHOWN_CHARS]!r}")
            log.info("passages found", results=len(hits), topic=hits[0].passage.topic)

        with otelkit.span("generate_response") as generation:
            answer = _generate(query, hits)
            generation.set_attribute("response.length", len(answer.text))
        log.info("query answered", topic=answer.topic, tokens=answer.tokens)
        return answer


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


def _generate(query: str, hits: list[corpus.Hit]) -> Answer:
    """The best passage; the query and all passages are the prompt of it."""
    best = hits[0].passage
    text = f"{query}: {best.text}"
    read = corpus.count_tokens(query) + sum(corpus.count_tokens(hit.passage.text) for hit in hits)
    return Answer(
        text=text,
        topic=best.topic,
        tokens=read + corpus.count_tokens(text),
        size_bytes=len(text.encode()),
    )
