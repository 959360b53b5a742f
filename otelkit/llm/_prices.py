"""What tokens cost, by a table that the user gives; there are no prices of our own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from otelkit import _guard
from otelkit.processors.plain import safe_str

__all__ = ["Price", "Prices", "cost", "prices_of"]

_WILDCARDS = frozenset("*?[]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Price:
    """What a model's tokens cost, in USD per million.

    Attributes:
        input: Of the prompt, with what is written to a cache.
        output: Of the answer, with the reasoning.
        cached: Of the part of the prompt that came from a cache; None: as ``input``.
    """

    input: float
    output: float
    cached: float | None = None


@dataclass(frozen=True, slots=True)
class Prices:
    """A price table whose most specific pattern stands first."""

    rows: tuple[tuple[str, Price], ...] = ()

    def of(self, *models: str | None) -> Price | None:
        """The price of the first of these models that the table knows."""
        names = [model.lower() for model in models if model is not None]
        for name in names:
            exact = [price for pattern, price in self.rows if pattern == name]
            found = exact or [price for pattern, price in self.rows if fnmatchcase(name, pattern)]
            if found:
                return found[0]
        return None


def prices_of(table: Mapping[str, Any]) -> Prices:
    """The table of `otelkit.llm.configure`; a row that cannot be used is named and left out.

    Args:
        table: Patterns of model names, as `fnmatch` has them in any case, with a `Price` each, or
            with a mapping of a price's fields. Of several that match, the one with the most
            characters besides wildcards wins; of equal ones the first.
    """
    rows = []
    for pattern, given in dict(table).items():
        price = _price(given)
        if price is None or not issubclass(type(pattern), str):
            shown = repr(safe_str(pattern))
            _guard.say(
                f"the price of {shown} is no Price of numbers >= 0 and is left out. Give "
                "otelkit.llm.Price(input=..., output=...) in USD per million tokens.",
                key=f"llm.price:{shown}",
            )
        else:
            rows.append((str.lower(pattern), price))
    return Prices(tuple(sorted(rows, key=lambda row: -_literals(row[0]))))


def cost(price: Price, input_tokens: int, output_tokens: int, cached_tokens: int) -> float:
    """What a call costs, in USD.

    Args:
        price: Of its model.
        input_tokens: With the cached ones.
        output_tokens: Of the answer.
        cached_tokens: Those of the input that came from a cache.
    """
    cached = min(cached_tokens, input_tokens)
    dear = (input_tokens - cached) * price.input + output_tokens * price.output
    return (dear + cached * (price.input if price.cached is None else price.cached)) / 1_000_000


def _price(given: Any) -> Price | None:
    try:
        found = given if isinstance(given, Price) else Price(**given)
        numbers = [float(found.input), float(found.output)]
        numbers.append(numbers[0] if found.cached is None else float(found.cached))
    except Exception:
        return None
    if all(math.isfinite(number) and number >= 0 for number in numbers):
        return Price(input=numbers[0], output=numbers[1], cached=numbers[2])
    return None


def _literals(pattern: str) -> int:
    return sum(character not in _WILDCARDS for character in pattern)
