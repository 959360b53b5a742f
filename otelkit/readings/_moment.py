"""One reading's look at everything it needs: each series once, so that a part never exceeds its whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from operator import sub
from typing import TYPE_CHECKING, Any, NamedTuple

from otelkit.processors.metricmerge import rebin
from otelkit.readings._names import Found, find
from otelkit.readings._reading import Series, Where, accepting
from otelkit.readings._timeline import Snapshot, Window, unpack

if TYPE_CHECKING:
    from otelkit.readings._history import History
    from otelkit.readings._streams import Stream

__all__ = ["Level", "Moment", "Total"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Total:
    """How much the series of a selection have risen in a window.

    Attributes:
        amount: Together.
        per_s: Each over the seconds that it was observed.
        events: How many events that are.
        coverage: The least of their windows' coverages.
        series: How many series there are.
    """

    amount: float
    per_s: float
    events: float
    coverage: float
    series: int


@dataclass(slots=True)
class Level:
    """What the series of a selection are now.

    Attributes:
        value: Together.
        coverage: 1 when all are of now, 0 when one is older than two snapshots.
        series: How many series there are.
    """

    value: float = 0.0
    coverage: float = 1.0
    series: int = 0


class _Risen(NamedTuple):
    found: Found
    elapsed_s: float
    row: list[Any]
    series: int


class Moment:
    """A look at a history.

    Args:
        history: Whose.
        prefix: The prefix of the standard instruments.
    """

    def __init__(self, history: History, *, prefix: str) -> None:
        self._history = history
        self._prefix = prefix
        self._now = history.now()
        self._streams = history.streams
        self._looked_up: dict[Stream, Sequence[Any]] = {}

    def total(self, series: Series, window_s: float) -> Total:
        """How much the series have risen."""
        risen, coverage = self._risen(series, window_s)
        return Total(
            amount=sum(one.found.amount(one.row) for one in risen),
            per_s=sum(one.found.amount(one.row) / one.elapsed_s for one in risen),
            events=sum(one.found.events(one.row) for one in risen),
            coverage=coverage,
            series=sum(one.series for one in risen),
        )

    def buckets(self, series: Series, window_s: float) -> tuple[Sequence[float], list[float], float]:
        """The bounds that all histograms of the selection share, the counts over them, the coverage."""
        risen, coverage = self._risen(series, window_s)
        parts = [(one.found.stream.bounds, one.row[1:]) for one in risen if one.found.stream.bounds]
        if not parts:
            return (), [0.0], coverage
        shared = tuple(bound for bound in parts[0][0] if all(bound in bounds for bounds, _ in parts))
        counts = [0.0] * (len(shared) + 1)
        for bounds, row in parts:
            counts = [a + b for a, b in zip(counts, rebin(row, bounds, shared))]
        return shared, counts, coverage

    def level(self, series: Series) -> Level:
        """What the series are now, added up."""
        level = Level()
        for found in find(series, self._streams, prefix=self._prefix):
            rows = _rows(self._flat(found.stream), _chosen(found.stream, series.where), found.stream.width)
            known = [row for row in rows if None not in row]
            level.value += sum(map(found.amount, known))
            level.series += len(known)
            if known and not self._history.is_fresh(found.stream, now=self._now):
                level.coverage = 0.0
        return level

    def coverage(self, window_s: float) -> float:
        """The part of a window that was observed, whatever the series."""
        window = self._window(None, window_s)
        return 0.0 if window is None else window.coverage

    def _window(self, stream: Stream | None, window_s: float) -> Window | None:
        return self._history.window(stream, window_s, now=self._now)

    def _risen(self, series: Series, window_s: float) -> tuple[list[_Risen], float]:
        """What the series' streams have risen by, and the least coverage of their windows."""
        risen, coverages = [], []
        for found in find(series, self._streams, prefix=self._prefix):
            if not found.stream.totals:
                continue
            window = self._window(found.stream, window_s)
            coverages.append(0.0 if window is None else window.coverage)
            rose = None if window is None else self._rose(found.stream, window, series.where)
            if window is not None and rose is not None:
                risen.append(_Risen(found, window.elapsed_s, *rose))
        return risen, min(coverages) if coverages else self.coverage(window_s)

    def _rose(self, stream: Stream, window: Window, where: Where | None) -> tuple[list[float], int] | None:
        """By how much a stream's series have risen, added up, and how many they are."""
        chosen, width = _chosen(stream, where), stream.width
        if not chosen:
            return None
        end = self._flat(stream) if window.end is None else _kept(window.end, stream)
        start = _kept(window.base, stream)
        start += stream.born(len(start) // width)
        if where:
            end = [number for row in _rows(end, chosen, width) for number in row]
            start = [number for row in _rows(start, chosen, width) for number in row]
        rose = [sum(map(sub, end[place::width], start[place::width])) for place in range(width)]
        return rose, len(chosen)

    def _flat(self, stream: Stream) -> Sequence[Any]:
        if stream not in self._looked_up:
            self._looked_up[stream] = stream.flat()
        return self._looked_up[stream]


def _chosen(stream: Stream, where: Where | None) -> Sequence[int]:
    attributes = stream.attributes()
    if not where:
        return range(len(attributes))
    accepts = accepting(where)
    return [index for index, one in enumerate(attributes) if accepts(one)]


def _rows(flat: Sequence[Any], chosen: Iterable[int], width: int) -> Iterable[Sequence[Any]]:
    """The chosen rows, as far as there are any."""
    rows = (flat[index * width : (index + 1) * width] for index in chosen)
    return (row for row in rows if row)


def _kept(snapshot: Snapshot, stream: Stream) -> list[float]:
    if stream.number is None or stream.number >= len(snapshot.rows):
        return []
    return unpack(snapshot.rows[stream.number])
