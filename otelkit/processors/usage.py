"""How many tokens a language model used, read from whatever its client returned.

OpenAI, Anthropic, Gemini, Bedrock and LangChain each have their own words for it, as objects or as
dicts. Nothing is called, iterated or awaited: a stream stays unread. What is no count is not there.

Input tokens include the cached ones and output tokens those of reasoning, also where a provider
counts them apart. Source: OpenTelemetry GenAI semantic conventions, ``gen_ai.usage.input_tokens``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from numbers import Integral
from typing import Any

from otelkit.processors.plain import safe_str

__all__ = ["MAX_NAME", "Usage", "count", "field", "joined", "model_of", "text", "usage_of"]

MAX_NAME = 200
"""Characters of a model's name at most."""

_MOST = 10**12  # tokens; what is above is no count of one call

_HOMES = (
    ("usage",),
    ("usage_metadata",),
    ("usageMetadata",),
    ("response_metadata", "token_usage"),
    ("response_metadata", "usage"),
    ("llm_output", "token_usage"),
    # Events of streams: Anthropic's message_start, the last ones of OpenAI's Responses and of Bedrock.
    ("message", "usage"),
    ("response", "usage"),
    ("metadata", "usage"),
)
_MODELS = (
    ("model",),
    ("model_name",),
    ("model_version",),
    ("modelVersion",),
    ("response_metadata", "model_name"),
    ("response_metadata", "model"),
    ("llm_output", "model_name"),
    ("message", "model"),
    ("response", "model"),
)
_INPUT = ("prompt_tokens", "prompt_token_count", "promptTokenCount")
# Anthropic and Bedrock: without what was read from a cache or written to it, which they count apart.
_INPUT_APART = ("input_tokens", "inputTokens")
_OUTPUT = (
    "output_tokens",
    "completion_tokens",
    "candidates_token_count",
    "candidatesTokenCount",
    "outputTokens",
)
_TOTAL = ("total_tokens", "total_token_count", "totalTokenCount", "totalTokens")
_CACHED = (
    ("prompt_tokens_details", "cached_tokens"),
    ("input_tokens_details", "cached_tokens"),
    ("input_token_details", "cache_read"),
    ("cached_content_token_count",),
    ("cachedContentTokenCount",),
    ("prompt_cache_hit_tokens",),
)
_CACHE_READ = ("cache_read_input_tokens", "cacheReadInputTokens")
_CACHE_WRITTEN = ("cache_creation_input_tokens", "cacheWriteInputTokens")
# Gemini: neither in the count of the candidates nor in that of the prompt.
_THOUGHTS = ("thoughts_token_count", "thoughtsTokenCount")
_TOOLS = ("tool_use_prompt_token_count", "toolUsePromptTokenCount")


@dataclass(frozen=True, slots=True)
class Usage:
    """What one call of a language model used, in tokens; None is what was not said.

    Attributes:
        input_tokens: All of the prompt, with what came from a cache.
        output_tokens: All of the answer, with the reasoning.
        total_tokens: As the provider says; else the sum of what is known.
        model: The model that answered, `MAX_NAME` characters at most.
        cached_tokens: How many of the input tokens came from a cache.
    """

    input_tokens: int | None
    output_tokens: int | None
    total_tokens: int | None
    model: str | None
    cached_tokens: int | None = None


def usage_of(result: Any) -> Usage | None:
    """The usage in a result of any shape; None where there is none.

    Args:
        result: What the client of a model returned, or one chunk of a stream: an object or a dict.
            Its properties are read here and now; one that raises counts as absent
            (``KeyboardInterrupt`` and its like pass).
    """
    for home in _HOMES:
        found = _follow(result, home)
        if found is not None:
            usage = _parsed(found, result)
            if usage is not None:
                return usage
    return None


def model_of(result: Any) -> str | None:
    """The name of the model that made a result; None where it is not said. See `usage_of`."""
    return next((name for path in _MODELS if (name := text(_follow(result, path))) is not None), None)


def joined(one: Usage, other: Usage) -> Usage:
    """What two chunks of a stream say together: counts only grow, and each may tell its part."""
    given = _larger(one.input_tokens, other.input_tokens)
    output = _larger(one.output_tokens, other.output_tokens)
    total = _larger(_larger(one.total_tokens, other.total_tokens), _sum(given, output))
    cached = _larger(one.cached_tokens, other.cached_tokens)
    return Usage(given, output, total, other.model or one.model, cached)


def _larger(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return one if other is None else other
    return max(one, other)


def _parsed(found: Any, result: Any) -> Usage | None:
    given, output, total = _first(found, _INPUT), _first(found, _OUTPUT), _first(found, _TOTAL)
    read = _first(found, _CACHE_READ)
    if given is None:
        given = _sum(_first(found, _INPUT_APART), read, _first(found, _CACHE_WRITTEN))
    given = _sum(given, _first(found, _TOOLS))
    output = _sum(output, _first(found, _THOUGHTS))
    if total is None:
        total = _sum(given, output)
    if total is None:
        return None
    if read is None:
        read = next((n for path in _CACHED if (n := count(_follow(found, path))) is not None), None)
    return Usage(given, output, total, model_of(result), read)


def _sum(*counts: int | None) -> int | None:
    known = [number for number in counts if number is not None]
    return sum(known) if known else None


def _first(thing: Any, names: tuple[str, ...]) -> int | None:
    for name in names:
        number = count(field(thing, name))
        if number is not None:
            return number
    return None


def _follow(thing: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        if thing is None:
            return None
        thing = field(thing, name)
    return thing


def field(thing: Any, name: str) -> Any:
    """The item of a mapping or the attribute of anything else; None where it is missing or raises."""
    kind: Any = type(thing)
    try:
        if not _is_mapping(kind):
            return getattr(thing, name, None)
        return dict.get(thing, name) if isinstance(thing, dict) else thing.get(name)
    except Exception:
        return None


@lru_cache(maxsize=256)
def _is_mapping(kind: type) -> bool:
    """By the type, as a mock can pretend to be an instance of any class; asked once, as it is slow."""
    return issubclass(kind, Mapping)


def count(value: Any) -> int | None:
    """A number of tokens; None for whatever is none: text, bools, NaN, what is negative or absurd."""
    kind = type(value)
    try:
        if kind is float:
            number = int(value) if math.isfinite(value) and value == int(value) else -1
        elif kind is not bool and issubclass(kind, Integral):
            number = int(value)
        else:
            return None
        return number if 0 <= number <= _MOST else None
    except Exception:
        return None


def text(value: Any) -> str | None:
    """A name: text, or an enum's text, `MAX_NAME` characters at most; None for whatever is none."""
    try:
        if issubclass(type(value), Enum):
            value = value.value
    except Exception:
        return None
    if not issubclass(type(value), str):
        return None
    return safe_str(str.__str__(value)[:MAX_NAME]) or None
