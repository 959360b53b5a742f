"""The process's metrics as numbers: what is looked up at any time, and what is told now and then.

A row holds the numbers of one series: one for a counter or a gauge; for a histogram the sum of its
observations and then a count for each bucket.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from otelkit._otel import metrics as sdk_metrics
from otelkit.prometheus._names import exposed_name

if TYPE_CHECKING:
    from otelkit.pipeline.metrics import Tally

__all__ = ["Live", "Stream", "Tallied", "Told"]

Row = Sequence[float]


class Stream(ABC):
    """One metric of one scope. Series are numbered in the order in which they appeared.

    Attributes:
        name: Its OpenTelemetry name, in small letters.
        exposed: Its name on ``/metrics``.
        kind: ``counter``, ``up_down_counter``, ``gauge`` or ``histogram``.
        bounds: A histogram's upper bounds.
        width: How many numbers a row has.
        number: Its place in the snapshots; None for what is not kept: only totals are.
    """

    def __init__(self, *, name: str, unit: str, kind: str, bounds: Sequence[float] = ()) -> None:
        self.name = name.lower()
        self.exposed = exposed_name(name, unit, kind)
        self.kind = kind
        self.bounds = tuple(bounds)
        self.width = len(bounds) + 2 if kind == "histogram" else 1
        self.number: int | None = None

    @property
    def totals(self) -> bool:
        """Whether its numbers only rise, so that a window over them has a meaning."""
        return self.kind in {"counter", "histogram"}

    @abstractmethod
    def attributes(self) -> Sequence[Mapping[str, Any]]:
        """The attributes of each series."""

    @abstractmethod
    def flat(self) -> Sequence[Any]:
        """The rows of all series as they are now, one after the other; None for what has no value.

        There may be more of them, or fewer, than `attributes` said a moment ago.
        """

    @abstractmethod
    def born(self, first: int) -> Sequence[float]:
        """The rows with which the series from ``first`` on appeared, one after the other.

        When a series appears inside a window, that is what it had before.
        """


class Live(Stream):
    """A stream of the SDK's that is looked up where the SDK counts; never blocks on a collection.

    Its series begin at zero, as the process has counted each of their events.
    """

    def __init__(self, found: sdk_metrics.MetricStream) -> None:
        super().__init__(name=found.name, unit=found.unit, kind=found.kind, bounds=found.bounds)
        self._key = found.key
        # Replaced together, so that any thread sees as many series as attributes.
        self._present: tuple[Sequence[Any], Sequence[Mapping[str, Any]]] = ((), ())

    def attributes(self) -> Sequence[Mapping[str, Any]]:
        return self._found()[1]

    def flat(self) -> Sequence[Any]:
        series = self._found()[0]
        if self.kind == "histogram":
            return sdk_metrics.histograms_so_far(series, self.width - 1)
        return sdk_metrics.last_values(series) if self.kind == "gauge" else sdk_metrics.sums_so_far(series)

    def born(self, first: int) -> Sequence[float]:
        return [0.0] * (self.width * (len(self._present[0]) - first))

    def _found(self) -> tuple[Sequence[Any], Sequence[Mapping[str, Any]]]:
        if sdk_metrics.series_count(self._key) != len(self._present[0]):
            series = sdk_metrics.series_of(self._key)
            self._present = series, [sdk_metrics.series_attributes(one) for one in series]
        return self._present


class Tallied(Stream):
    """A stream of numbers that the process keeps itself, looked up there; its series begin at zero."""

    def __init__(self, tally: Tally) -> None:
        super().__init__(name=tally.name, unit=tally.unit, kind=tally.kind)
        self._tally = tally

    def attributes(self) -> Sequence[Mapping[str, Any]]:
        return [attributes for attributes, _ in self._tally.series()]

    def flat(self) -> Sequence[Any]:
        return [number for _, number in self._tally.series()]

    def born(self, first: int) -> Sequence[float]:
        return [0.0] * (len(self._tally.series()) - first)


class Told(Stream):
    """A stream whose values come with each round: observed by callbacks, or collected.

    Where it came from nobody knows: a series counts from the value with which it appeared, and one
    that falls, or starts again, was reset and counts on from there, as in Prometheus.
    """

    def __init__(self, *, name: str, unit: str, kind: str, bounds: Sequence[float] = ()) -> None:
        super().__init__(name=name, unit=unit, kind=kind, bounds=bounds)
        self._attributes: list[Mapping[str, Any]] = []
        self._numbers: dict[Any, int] = {}
        self._last: list[tuple[Row | None, int]] = []
        self._born: list[Row] = []
        self._reached: list[Row] = []
        self._offsets: list[Row] = []

    def tell(self, identity: Any, attributes: Mapping[str, Any], row: Row | None, start: int = 0) -> None:
        """One series of this round. By one thread at a time.

        Args:
            identity: The same for the same series.
            attributes: Its attributes.
            row: Its numbers; None when the round had none.
            start: Since when it counts; another one is a reset.
        """
        index = self._numbers.get(identity)
        if index is None:
            if row is not None:
                self._numbers[identity] = len(self._born)
                self._offsets.append((0.0,) * self.width)
                self._born.append(row)
                self._last.append((row, start))
                self._reached.append(row)
                self._attributes.append(attributes)  # last: a reader counts these
            return
        if row is None:
            start = self._last[index][1]
        elif self.totals:
            if self._was_reset(index, row, start):
                self._offsets[index] = self._reached[index]
            self._reached[index] = [a + b for a, b in zip(row, self._offsets[index])]
        self._last[index] = (row, start)

    def end_round(self, told: Collection[Any]) -> None:
        """Say which series the round has told; the others have no value now."""
        for identity in self._numbers:
            if identity not in told:
                self.tell(identity, {}, None)

    def _was_reset(self, index: int, row: Row, start: int) -> bool:
        counted = [a - b for a, b in zip(self._reached[index], self._offsets[index])]
        # A histogram's sum falls with each negative observation; its counts do not.
        skip = 1 if self.kind == "histogram" else 0
        return start != self._last[index][1] or any(a < b for a, b in zip(row[skip:], counted[skip:]))

    def attributes(self) -> Sequence[Mapping[str, Any]]:
        return self._attributes[:]

    def flat(self) -> Sequence[Any]:
        count = len(self._attributes)
        if self.totals:
            return [number for row in self._reached[:count] for number in row]
        return [None if row is None else row[0] for row, _ in self._last[:count]]

    def born(self, first: int) -> Sequence[float]:
        return [number for row in self._born[first:] for number in row]
