"""How many attribute sets one instrument may have, for every instrument of the process.

A label with user ids makes a series of each user, which are kept, collected and sent for ever. From
the limit on, new attribute sets are measured as one: sums stay exact, the label is named once.

Source: OpenTelemetry specification, "Metrics SDK", "Cardinality limits".
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from otelkit import _guard

__all__ = ["DEFAULT_LIMIT", "OVERFLOW", "Cardinality"]

DEFAULT_LIMIT = 2_000
OVERFLOW: Mapping[str, Any] = {"otel.metric.overflow": True}


class Cardinality:
    """The attribute sets that one instrument has had in one run.

    Two threads that bring the last two sets at one moment may exceed the limit by one; a lock at each
    measurement would cost more than that.

    Attributes:
        known: Each set as a frozen set of pairs.

    Args:
        name: The instrument's.
        limit: How many sets are kept apart.
    """

    __slots__ = ("_limit", "_name", "_said", "known")

    def __init__(self, name: str, limit: int) -> None:
        self._name = name
        self._limit = limit
        self._said = False
        self.known: set[frozenset[tuple[str, Any]]] = set()

    def admit(
        self, pairs: frozenset[tuple[str, Any]], attributes: Mapping[str, Any] | None
    ) -> Mapping[str, Any] | None:
        """The attributes under which a set that is not `known` is measured."""
        if len(self.known) < self._limit:
            self.known.add(pairs)
            return attributes
        if not self._said:
            self._said = True
            self._say()
        return OVERFLOW

    def _say(self) -> None:
        _guard.say(
            f"the instrument {self._name} has more than {self._limit} attribute sets{self._worst()}. "
            "What is new is measured as one series, otel.metric.overflow=true; sums stay exact. "
            "Give the attribute fewer values, or raise cardinality_limit.",
            key=f"cardinality:{self._name}",
        )

    def _worst(self) -> str:
        values = defaultdict(set)
        for pairs in tuple(self.known):  # another thread may add its last one
            for key, value in pairs:
                values[key].add(value)
        if not values:
            return ""
        key = max(values, key=lambda each: len(values[each]))
        return f"; {key!r} alone has {len(values[key])} values"
