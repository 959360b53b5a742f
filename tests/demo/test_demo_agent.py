"""The agent is measured by its decorator: each call is one span, one line and its share of the numbers."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from examples.agent.agent import Agent, EmptyQueryError, NoAnswerError
from examples.agent.answer import Answer
from examples.agent.corpus import load
from examples.agent.stores import Stores
from otelkit.testing import capture


class Shelf:
    """A cache and a history in memory."""

    def __init__(self) -> None:
        self.kept: dict[str, Answer] = {}
        self.told: list[tuple[str, bool]] = []

    async def find(self, query: str) -> Answer | None:
        return self.kept.get(query)

    async def keep(self, query: str, answer: Answer) -> None:
        self.kept[query] = replace(answer, usage=None)

    async def remember(self, query: str, answer: Answer) -> None:
        self.told.append((query, answer.cached))


def body(query: object) -> bytes:
    return json.dumps({"query": query}).encode()


async def test_an_answer_brings_its_numbers() -> None:
    """Tokens are those of the usage, the size is that of the data, in one observation each."""
    with capture() as telemetry:
        answer = await Agent(load(), Stores(passages=load())).process_query(body("lambda"))

        tokens = telemetry.metric("llm_tokens_used", model="pydoc-topics", operation="query")
        size = telemetry.metric("response_size_bytes", endpoint="/api/query")
    assert (tokens.count, tokens.sum) == (1, answer.usage.prompt_tokens + answer.usage.completion_tokens)
    assert (size.count, size.sum) == (1, len(answer.data))


@pytest.mark.parametrize(
    ("query", "error"),
    [(" ", EmptyQueryError), ("xylophone quokka", NoAnswerError), ("\ud83d lambda", UnicodeError)],
)
async def test_a_failure_is_one_line(query: str, error: type[Exception]) -> None:
    """A query that is refused, or that the agent cannot take, makes one line of an error, with its ids."""
    with capture() as telemetry:
        with pytest.raises(error):
            await Agent(load(), Stores(passages=load())).process_query(body(query))

    (line,) = [log for log in telemetry.logs if log.level == "ERROR"]
    span = telemetry.span("process_query")
    assert (line.event, line.span_id) == ("Function execution failed", span.span_id)
    assert span.attributes["validation.passed"] is (error is not EmptyQueryError)


async def test_an_answer_from_the_cache_costs_nothing() -> None:
    """The second time there is no search and no token; the history has both."""
    shelf = Shelf()
    agent = Agent(load(), Stores(passages=load(), cache=shelf, history=shelf))
    with capture() as telemetry:
        first = await agent.process_query(body("lambda"))
        second = await agent.process_query(body("lambda"))

        assert telemetry.metric("llm_tokens_used").count == 1
        assert telemetry.metric("response_size_bytes").count == 2
    assert (first.data, first.cached, second.data, second.cached) == (first.data, False, first.data, True)
    assert [span.attributes["cache.hit"] for span in telemetry.spans if span.name == "cache_lookup"] == [
        False,
        True,
    ]
    assert len([span for span in telemetry.spans if span.name == "knowledge_search"]) == 1
    assert shelf.told == [("lambda", False), ("lambda", True)]
