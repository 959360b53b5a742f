"""What a reading is, and which series it is about: the values that cross the border of this room."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from otelkit import _guard

__all__ = ["NOTHING", "Reading", "Selection", "Series", "Where", "accepting", "merged"]

Where = Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Reading:
    """What the process knows of itself over one window.

    Attributes:
        value: The answer; None when there were no events to answer from.
        coverage: The part of the window that was observed, 0 to 1; below 1 while the process (or the
            use of readings in it) is younger than the window.
        events: How many events the answer stands on; for `last`, how many series.
    """

    value: float | None
    coverage: float
    events: float


NOTHING = Reading(None, 0.0, 0.0)


@dataclass(frozen=True, slots=True)
class Series:
    """Which series of the process are meant; all that match are summed, over all scopes.

    Attributes:
        name: A metric's OpenTelemetry name or its name on ``/metrics``, as ``agent_requests`` and
            ``agent_requests_total``; of a histogram also the latter with ``_count`` or ``_sum``.
        where: What attributes must be: a value, a collection of values, or a function of the value
            that says whether it will do. A missing attribute is None. None takes all series.
        le: Of a histogram: only observations up to this bound, which must be one of its bounds.
    """

    name: str
    where: Where | None = None
    le: float | None = None


Selection = str | Series | Sequence[str | Series]


def merged(name: str | Series, where: Where | None) -> Series:
    """One `Series` with its own conditions and those of ``where``; both hold."""
    series = name if isinstance(name, Series) else Series(name)
    if not where:
        return series
    own = series.where or {}
    both = {key: _both(own[key], wanted) if key in own else wanted for key, wanted in where.items()}
    return Series(series.name, {**own, **both}, series.le)


def _both(one: object, other: object) -> Callable[[object], bool]:
    return lambda value: _meets(value, one) and _meets(value, other)


def accepting(where: Where | None) -> Callable[[Mapping[str, Any]], bool]:
    """Whether attributes meet the conditions; see `Series.where`."""
    conditions = list((where or {}).items())

    def accepts(attributes: Mapping[str, Any]) -> bool:
        for key, wanted in conditions:  # noqa: SIM110 - half the time, for thousands of series
            if not _meets(attributes.get(key), wanted):
                return False
        return True

    return accepts


def _meets(value: object, wanted: object) -> bool:
    if type(wanted) is str:
        return value == wanted
    if callable(wanted):
        try:
            return bool(wanted(value))
        except Exception:
            _guard.say(
                f"readings: a function in where= raised {_guard.current_error()}; the series is left out.",
                key=f"readings.where:{wanted!r}",
            )
            return False
    if isinstance(wanted, (list, tuple, set, frozenset)):
        return any(value == one for one in wanted) or value == wanted
    return value == wanted
