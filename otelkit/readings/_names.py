"""Which streams a name means: as OpenTelemetry has it, or as it stands on ``/metrics``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from otelkit import _guard
from otelkit.catalog import DEFAULT_PREFIX, INSTRUMENTS, instruments

if TYPE_CHECKING:
    from otelkit.readings._reading import Series
    from otelkit.readings._streams import Row, Stream

__all__ = ["Found", "find"]


@dataclass(frozen=True, slots=True)
class Found:
    """A stream that a name means.

    Attributes:
        stream: The stream.
        amount: The number that is meant in a row of it.
        events: How many events a row stands for.
    """

    stream: Stream
    amount: Callable[[Row], float]
    events: Callable[[Row], float]


def find(series: Series, streams: Sequence[Stream], *, prefix: str = DEFAULT_PREFIX) -> list[Found]:
    """The streams that ``series`` names, of whatever attributes.

    Args:
        series: What is meant. An OpenTelemetry name goes before an exposed one. The standard
            instruments answer to their name with the default prefix, too.
        streams: What there is.
        prefix: The prefix of the standard instruments.
    """
    name = series.name.lower()
    for wanted in dict.fromkeys((name, _prefixed(name, prefix))):
        found = [stream for stream in streams if stream.name == wanted]
        found = found or [stream for stream in streams if stream.exposed.lower() == wanted]
        if found:
            return [one for stream in found for one in _counts(stream, series)]
        for suffix, amount in (("_count", _count), ("_sum", _first)):
            base = wanted.removesuffix(suffix)
            if base != wanted:
                found = [s for s in streams if s.kind == "histogram" and s.exposed.lower() == base]
                if found:
                    return [Found(stream, amount, _count) for stream in found]
    return []


def _counts(stream: Stream, series: Series) -> Iterable[Found]:
    if stream.kind != "histogram":
        if series.le is None:
            yield Found(stream, _first, _first)
        return
    if series.le is None:
        yield Found(stream, _count, _count)
    elif series.le in stream.bounds:
        upto = stream.bounds.index(series.le) + 2
        yield Found(stream, lambda row: sum(row[1:upto]), _count)
    else:
        _guard.say(
            f"readings: {series.name!r} has no bucket le={series.le}; its bounds are "
            f"{', '.join(map(str, stream.bounds))}. Choose one of them.",
            key=f"readings.le:{series.name}:{series.le}",
        )


def _first(row: Row) -> float:
    return row[0]


def _count(row: Row) -> float:
    return sum(row[1:])


def _prefixed(name: str, prefix: str) -> str:
    """The name with the prefix of the setting, if it is that of a standard instrument without."""
    for usual, present in zip(INSTRUMENTS, instruments(prefix=prefix)):
        for old, new in ((usual.name, present.name), (usual.exposed, present.exposed)):
            if name == old or name in {f"{old}_count", f"{old}_sum"}:
                return new.lower() + name[len(old) :]
    return name
