"""The metrics of a call: names, units, attributes and buckets of the GenAI semantic conventions.

Source: https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/. The cost has no convention
yet; it is a counter of its own. `llm_tokens_used` is the standard instrument of `otelkit.catalog`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from opentelemetry import metrics

from otelkit import _guard, catalog
from otelkit.llm._configured import present
from otelkit.llm._prices import cost
from otelkit.processors.plain import safe_str
from otelkit.processors.usage import MAX_NAME, Usage, count, text

__all__ = [
    "SCOPE",
    "Asked",
    "name_of",
    "record_duration",
    "record_first_chunk",
    "record_tokens",
    "record_usage",
]

SCOPE = "otelkit.llm"

_BOUNDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What is known of a call before it is made; names are text already."""

    operation: str
    model: str
    provider: str | None = None
    address: str | None = None
    port: int | None = None

    def attributes(self, **more: Any) -> dict[str, Any]:
        """The attributes of spans and metrics, without those that are None."""
        named = {
            "gen_ai.operation.name": self.operation,
            "gen_ai.provider.name": self.provider,
            "gen_ai.request.model": self.model,
            "server.address": self.address,
            "server.port": self.port,
            **{name.replace("__", "."): value for name, value in more.items()},
        }
        return {name: value for name, value in named.items() if value is not None}


def name_of(value: Any) -> str:
    """Any value as the name of a model or an operation, bounded; ``unknown`` for none."""
    found = text(value)
    if found is not None:
        return found
    return "unknown" if value is None or issubclass(type(value), str) else safe_str(value)[:MAX_NAME]


@cache
def _tokens() -> metrics.Histogram:
    return metrics.get_meter(SCOPE).create_histogram(
        "gen_ai.client.token.usage",
        unit="{token}",
        description="Number of input and output tokens used.",
        explicit_bucket_boundaries_advisory=catalog.BUCKETS_BY_UNIT["{token}"],
    )


@cache
def _duration() -> metrics.Histogram:
    return metrics.get_meter(SCOPE).create_histogram(
        "gen_ai.client.operation.duration",
        unit="s",
        description="GenAI operation duration.",
        explicit_bucket_boundaries_advisory=_BOUNDS,
    )


@cache
def _first_chunk() -> metrics.Histogram:
    return metrics.get_meter(SCOPE).create_histogram(
        "gen_ai.client.operation.time_to_first_chunk",
        unit="s",
        description="Time from the request to the first chunk of a streamed answer.",
        explicit_bucket_boundaries_advisory=_BOUNDS,
    )


@cache
def _cost() -> metrics.Counter:
    return metrics.get_meter(SCOPE).create_counter(
        "otelkit.llm.cost",
        unit="{USD}",  # UCUM has no currencies; what is in braces is a note, which no suffix is made of
        description="What calls of language models cost, by the prices that were given.",
    )


def record_tokens(
    model: str,
    operation: str,
    input_tokens: int | None,
    output_tokens: int | None,
    *,
    provider: str | None = None,
    response_model: str | None = None,
    cached_tokens: int | None = None,
    total_tokens: int | None = None,
) -> None:
    """Measure the tokens of one call; `track` does it by itself.

    One observation of the total in ``llm_tokens_used{model, operation}``, one of each kind in
    ``gen_ai.client.token.usage``, and the cost, where the price is known (`configure`). Never raises;
    what is no number of tokens is left out, and named once.

    Args:
        model: The model that was asked for.
        operation: Such as ``chat``, ``embeddings``, ``text_completion``, ``generate_content``.
        input_tokens: Of the prompt, with the cached ones; None if unknown.
        output_tokens: Of the answer, with the reasoning; None if unknown.
        provider: As the conventions name it: ``openai``, ``anthropic``, ``gcp.gemini`` ...
        response_model: The model that answered, where it is another name.
        cached_tokens: Those of the input that came from a cache.
        total_tokens: Default: the sum.
    """
    try:
        given = (input_tokens, output_tokens, cached_tokens, total_tokens)
        tokens = [count(number) for number in given]
        if any(value is not None and number is None for value, number in zip(given, tokens)):
            _guard.say(
                "record_tokens was given what is no number of tokens; it is left out. Give integers >= 0.",
                key="llm.tokens",
            )
        known = [number for number in tokens[:2] if number is not None]
        total = tokens[3] if tokens[3] is not None else sum(known) if known else None
        asked = Asked(operation=name_of(operation), model=name_of(model), provider=text(provider))
        record_usage(asked, Usage(tokens[0], tokens[1], total, text(response_model), tokens[2]))
    except Exception:
        _guard.swallowed("llm.record_tokens")


def record_usage(asked: Asked, usage: Usage) -> float | None:
    """Measure the tokens and the cost of one call.

    Returns:
        The cost in USD; None where it is not known.
    """
    if usage.total_tokens is None:
        return None
    label = usage.model or asked.model
    catalog.instrument("llm_tokens_used").record(
        usage.total_tokens, {"model": label, "operation": asked.operation}
    )
    labels = asked.attributes(gen_ai__response__model=usage.model)
    for kind, number in (("input", usage.input_tokens), ("output", usage.output_tokens)):
        if number is not None:
            _tokens().record(number, {**labels, "gen_ai.token.type": kind})
    amount = _amount(asked, usage)
    if amount is not None:
        _cost().add(amount, labels)
    return amount


def _amount(asked: Asked, usage: Usage) -> float | None:
    prices = present().prices
    if not prices.rows or (usage.input_tokens is None and usage.output_tokens is None):
        return None
    price = prices.of(usage.model, asked.model)
    if price is None:
        name = usage.model or asked.model
        _guard.say(
            f"no price matches the model {name!r}; its calls have no cost. Add a pattern for it to "
            "otelkit.llm.configure(prices=...).",
            key=f"llm.cost:{name}",
        )
        return None
    return cost(price, usage.input_tokens or 0, usage.output_tokens or 0, usage.cached_tokens or 0)


def record_duration(asked: Asked, seconds: float, *, model: str | None, error_type: str | None) -> None:
    """Measure how long a call took."""
    _duration().record(seconds, asked.attributes(gen_ai__response__model=model, error__type=error_type))


def record_first_chunk(asked: Asked, seconds: float, *, model: str | None) -> None:
    """Measure how long the first chunk of a stream took."""
    _first_chunk().record(seconds, asked.attributes(gen_ai__response__model=model))
