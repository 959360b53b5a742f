"""Tokens and model in results of any shape."""

from __future__ import annotations

import asyncio
import enum
import math
from collections import UserDict, defaultdict
from types import MappingProxyType, SimpleNamespace
from unittest.mock import MagicMock, Mock

import pytest

from otelkit.processors.usage import MAX_NAME, Usage, count, model_of, usage_of


def made(**fields):
    return SimpleNamespace(**fields)


SHAPES = {
    "mission": (made(usage=made(total_tokens=30), model="m"), Usage(None, None, 30, "m")),
    "openai chat": (
        made(
            model="gpt-x",
            usage=made(
                prompt_tokens=10,
                completion_tokens=5,
                total_tokens=15,
                prompt_tokens_details=made(cached_tokens=4),
            ),
        ),
        Usage(10, 5, 15, "gpt-x", 4),
    ),
    "openai responses": (
        made(model="gpt-x", usage=made(input_tokens=10, output_tokens=5, total_tokens=15)),
        Usage(10, 5, 15, "gpt-x"),
    ),
    "openai event": (
        made(response=made(model="gpt-x", usage=made(input_tokens=1, output_tokens=2))),
        Usage(1, 2, 3, "gpt-x"),
    ),
    "openai embeddings": (
        {"model": "e", "usage": {"prompt_tokens": 8, "total_tokens": 8}},
        Usage(8, None, 8, "e"),
    ),
    "anthropic": (
        made(model="claude-x", usage=made(input_tokens=10, output_tokens=5)),
        Usage(10, 5, 15, "claude-x"),
    ),
    "anthropic cache": (
        made(usage=made(input_tokens=10, cache_read_input_tokens=100, cache_creation_input_tokens=7,
                        output_tokens=5)),
        Usage(117, 5, 122, None, 100),
    ),
    "litellm": (
        {"usage": {"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 1010,
                   "cache_read_input_tokens": 900, "cache_creation_input_tokens": 50}},
        Usage(1000, 10, 1010, None, 900),
    ),
    "deepseek": (
        {"usage": {"prompt_tokens": 10, "completion_tokens": 5, "prompt_cache_hit_tokens": 4}},
        Usage(10, 5, 15, None, 4),
    ),
    "bedrock cache": (
        {"usage": {"inputTokens": 3, "outputTokens": 4, "cacheReadInputTokens": 5, "totalTokens": 12}},
        Usage(8, 4, 12, None, 5),
    ),
    "anthropic start": (
        made(message=made(model="claude-x", usage=made(input_tokens=25, output_tokens=1))),
        Usage(25, 1, 26, "claude-x"),
    ),
    "gemini": (
        made(
            model_version="gemini-x",
            usage_metadata=made(
                prompt_token_count=10,
                candidates_token_count=5,
                thoughts_token_count=3,
                total_token_count=18,
                cached_content_token_count=2,
            ),
        ),
        Usage(10, 8, 18, "gemini-x", 2),
    ),
    "gemini rest": (
        {"modelVersion": "g", "usageMetadata": {"promptTokenCount": 1, "candidatesTokenCount": 2,
                                                "totalTokenCount": 3}},
        Usage(1, 2, 3, "g"),
    ),
    "gemini tools": (
        made(usage_metadata=made(prompt_token_count=10, tool_use_prompt_token_count=2,
                                 candidates_token_count=5, total_token_count=17)),
        Usage(12, 5, 17, None),
    ),
    "bedrock event": (
        {"metadata": {"usage": {"inputTokens": 3, "outputTokens": 4, "totalTokens": 7}}},
        Usage(3, 4, 7, None),
    ),
    "bedrock": (
        {"usage": {"inputTokens": 3, "outputTokens": 4, "totalTokens": 7}},
        Usage(3, 4, 7, None),
    ),
    "langchain": (
        made(
            usage_metadata={"input_tokens": 3, "output_tokens": 4, "total_tokens": 7,
                            "input_token_details": {"cache_read": 1}},
            response_metadata={"model_name": "gpt-x"},
        ),
        Usage(3, 4, 7, "gpt-x", 1),
    ),
    "langchain old": (
        made(response_metadata={"token_usage": {"prompt_tokens": 1, "completion_tokens": 2}, "model": "m"}),
        Usage(1, 2, 3, "m"),
    ),
    "mapping": (
        MappingProxyType({"usage": UserDict(prompt_tokens=1), "model_name": "m"}),
        Usage(1, None, 1, "m"),
    ),
    "floats": (made(usage={"input_tokens": 3.0, "output_tokens": 4.5}), Usage(3, None, 3, None)),
    "zero": (made(usage=made(total_tokens=0)), Usage(None, None, 0, None)),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_usage_is_read(shape):
    """Each provider's own words are understood, as objects and as dicts."""
    result, expected = SHAPES[shape]

    assert expected == usage_of(result)


class Raises:
    @property
    def usage(self):
        raise RuntimeError("not loaded")

    @property
    def model(self):
        raise ValueError


class AnswersItself:
    def __getattr__(self, name):
        return self


class AnswersOne:
    def __getattr__(self, name):
        return 1


@pytest.mark.parametrize(
    "result",
    [
        None, 3, "text", b"", object(), [], {}, made(), made(usage=None), made(usage=7), made(usage={}),
        made(usage=[1]), {"usage": "12"}, Raises(), AnswersItself(), AnswersOne(), Mock(), MagicMock(),
        Mock(spec=int), made(usage=Mock(spec=int)), int, made(usage=made(total_tokens=Mock(spec=int))),
        (n for n in range(3)),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_nothing_is_made_of_nothing(result):
    """Where no usage stands there is none; mocks that answer everything yield no nonsense."""
    assert usage_of(result) is None


@pytest.mark.parametrize(
    "number", ["12", b"1", -1, True, False, math.nan, math.inf, 1.5, 10**13, 10**1000, None, [1], 1j]
)
def test_what_is_no_count_is_ignored(number):
    """Text, bools, negative, broken and absurd numbers are no tokens; the others still count."""
    assert count(number) is None
    assert Usage(None, 4, 4, None) == usage_of(made(usage=made(input_tokens=number, output_tokens=4)))


def test_numbers_of_other_kinds_count():
    """Subclasses of int and whole floats are counts."""

    class Tokens(enum.IntEnum):
        FEW = 3

    assert (3, 12, 0) == (count(Tokens.FEW), count(12.0), count(0))


def test_model_names_are_bounded_text():
    """A model's name is text, an enum's text among it, of bounded length; nothing else is one."""

    class Model(enum.Enum):
        X = "gpt-x"

    class Text(str):
        __slots__ = ()

        def __str__(self):
            raise RuntimeError

    assert "gpt-x" == model_of(made(model=Model.X))
    assert MAX_NAME == len(model_of(made(model="m" * 10**6)))
    assert ("m", str) == (model_of(made(model=Text("m"))), type(model_of(made(model=Text("m")))))
    for odd in (["gpt"], {"a": 1}, Mock(), 3, "", None, b"gpt"):
        assert "next" == model_of(made(model=odd, model_name="next"))


def test_nothing_is_consumed_or_called():
    """A stream stays unread, a method uncalled, a lazy mapping unfilled, a coroutine unawaited."""
    read = []
    stream = (read.append(n) for n in range(3))
    lazy = defaultdict(lambda: read.append("filled"))

    async def call():
        return made(usage=1)

    waiting = call()
    assert [None] * 4 == [usage_of(each) for each in (stream, lazy, waiting, made(usage=read.append))]
    assert [] == read
    waiting.close()


def test_keyboard_interrupt_passes():
    """What is not an error of the result is not swallowed."""

    class Interrupted:
        @property
        def usage(self):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        usage_of(Interrupted())


def test_cancellation_passes():
    """A cancellation that a property lets out passes too."""

    class Cancelled:
        @property
        def usage(self):
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        usage_of(Cancelled())
