"""Whether a reading can be answered: for what is configured once and read for ever, as alerts are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from difflib import get_close_matches
from typing import Literal

from otelkit import _switch
from otelkit.catalog import DEFAULT_PREFIX, Instrument, instruments
from otelkit.errors import ConfigurationError
from otelkit.readings._names import find
from otelkit.readings._reading import Series
from otelkit.readings._streams import Stream, Told

__all__ = ["Use", "check_series"]

Use = Literal["rate", "quantile", "last"]

_KINDS: dict[str, tuple[str, ...]] = {
    "rate": ("counter", "histogram"),
    "quantile": ("histogram",),
    "last": ("counter", "histogram", "gauge", "up_down_counter"),
}


def check_series(
    series: Series, use: Use, *, seen: Sequence[Stream] = (), prefix: str = DEFAULT_PREFIX
) -> None:
    """Raise if no instrument can answer; see `otelkit.readings.check`.

    Args:
        series: What is going to be read.
        use: How.
        seen: The streams that have been measured.
        prefix: The prefix of the standard instruments.
    """
    standard = instruments(prefix=prefix)
    known = [*seen, *_made(), *map(_standard_stream, standard)]
    found = [one.stream for one in find(replace(series, le=None), known, prefix=prefix)]
    if not found:
        names = sorted({name for stream in known for name in (stream.name, stream.exposed)})
        close = get_close_matches(series.name, names, n=3) or names[:10]
        raise ConfigurationError(
            f"no metric of this process is named {series.name!r}. Give the name of an instrument, as "
            f"OpenTelemetry or /metrics has it, made before this check. Near: {', '.join(close)}."
        )
    _check_kind(series, use, found)
    _check_bound(series, found)
    _check_labels(series, found, standard)


def _check_kind(series: Series, use: Use, found: Sequence[Stream]) -> None:
    if not any(stream.kind in _KINDS[use] for stream in found):
        kind = found[0].kind.replace("_", " ")
        raise ConfigurationError(
            f"{series.name!r} is of the kind {kind}, which has no {use}. "
            f"Name a {' or '.join(_KINDS[use])}, or read this one with "
            f"{'rate, increase, ratio or last' if kind == 'counter' else 'last'}."
        )


def _check_bound(series: Series, found: Sequence[Stream]) -> None:
    if series.le is None:
        return
    bounds = sorted({bound for stream in found for bound in stream.bounds})
    if any(stream.kind != "histogram" for stream in found) or (bounds and series.le not in bounds):
        has = f"its bounds are {', '.join(map(str, bounds))}" if bounds else "it is no histogram"
        raise ConfigurationError(f"{series.name!r} was given le={series.le}, but {has}. Choose one of them.")


def _check_labels(series: Series, found: Sequence[Stream], standard: Sequence[Instrument]) -> None:
    names = {stream.name for stream in found}
    for row in standard:
        wrong = sorted(set(series.where or ()) - set(row.labels))
        if row.name in names and wrong:
            raise ConfigurationError(
                f"{series.name!r} has no label {wrong[0]!r}; "
                f"it has {', '.join(row.labels) or 'none'}. Correct where=."
            )


def _standard_stream(row: Instrument) -> Stream:
    return Told(name=row.name, unit=row.unit, kind=row.kind, bounds=row.buckets)


def _made() -> list[Stream]:
    """The instruments that were made, measured or not."""
    meters = list(_switch.METRICS._proxies.values())
    made = [instrument for meter in meters for instrument in list(meter._instruments.values())]
    return [
        Told(
            name=one.name,
            unit=one.unit,
            kind=one.factory.removeprefix("create_").removeprefix("observable_"),
            bounds=getattr(one, "_buckets", None) or (),
        )
        for one in made
    ]
