"""The questions that can be put to a history; `otelkit.readings` puts them to the present one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from otelkit import _guard
from otelkit.catalog import DEFAULT_PREFIX
from otelkit.processors.context import suppress
from otelkit.readings._check import Use, check_series
from otelkit.readings._moment import Moment, Total
from otelkit.readings._quantile import bucket_quantile
from otelkit.readings._reading import NOTHING, Reading, Selection, Series, Where, merged

if TYPE_CHECKING:
    from otelkit.readings._history import History

__all__ = ["Windows"]


class Windows:
    """Readings of one history, from any thread and coroutine: they wait for nothing and never raise.

    Args:
        history: What was counted.
        prefix: The first part of the names of the standard instruments.
    """

    def __init__(self, history: History, *, prefix: str = DEFAULT_PREFIX) -> None:
        self._history = history
        self._prefix = prefix

    def refresh(self) -> None:
        """Take a snapshot now; runs callbacks. See `otelkit.readings.refresh`."""
        with _guard.guard("readings.refresh"), suppress():
            self._history.count()
            self._history.observe()

    def check(self, name: str | Series, *, use: Use = "rate", where: Where | None = None) -> None:
        """See `otelkit.readings.check`."""
        check_series(merged(name, where), use, seen=self._history.streams, prefix=self._prefix)

    def rate(self, name: str | Series, window_s: float, *, where: Where | None = None) -> Reading:
        """See `otelkit.readings.rate`."""

        def answer(moment: Moment) -> Reading:
            total = moment.total(merged(name, where), window_s)
            return _reading(total, total.per_s)

        return self._ask("rate", window_s, answer)

    def increase(self, name: str | Series, window_s: float, *, where: Where | None = None) -> Reading:
        """See `otelkit.readings.increase`."""

        def answer(moment: Moment) -> Reading:
            total = moment.total(merged(name, where), window_s)
            return _reading(total, total.amount)

        return self._ask("increase", window_s, answer)

    def ratio(
        self, bad: Selection, total: Selection, window_s: float, *, where: Where | None = None
    ) -> Reading:
        """See `otelkit.readings.ratio`."""

        def answer(moment: Moment) -> Reading:
            part = _added(moment, bad, window_s, where)
            whole = _added(moment, total, window_s, where)
            value = part.amount / whole.amount if whole.amount else None
            return Reading(value, min(part.coverage, whole.coverage), whole.events)

        return self._ask("ratio", window_s, answer)

    def quantile(
        self, name: str | Series, q: float, window_s: float, *, where: Where | None = None
    ) -> Reading:
        """See `otelkit.readings.quantile`."""

        def answer(moment: Moment) -> Reading:
            bounds, counts, coverage = moment.buckets(merged(name, where), window_s)
            return Reading(bucket_quantile(q, bounds, counts), coverage, sum(counts))

        if not _is_number(q) or not 0 <= q <= 1:
            _refuse(f"quantile: q={q!r} is no number from 0 to 1")
            return NOTHING
        return self._ask("quantile", window_s, answer)

    def last(self, name: str | Series, *, where: Where | None = None) -> Reading:
        """See `otelkit.readings.last`."""

        def answer(moment: Moment) -> Reading:
            level = moment.level(merged(name, where))
            return Reading(level.value, level.coverage, level.series) if level.series else NOTHING

        return self._ask("last", 1.0, answer)

    def _ask(self, question: str, window_s: float, answer: Callable[[Moment], Reading]) -> Reading:
        if not _is_number(window_s) or not 0 < window_s < math.inf:
            _refuse(f"{question}: window_s={window_s!r} is no positive number of seconds")
            return NOTHING
        try:
            return answer(Moment(self._history, prefix=self._prefix))
        except Exception:
            _guard.swallowed(f"readings.{question}")
            return NOTHING


def _added(moment: Moment, selection: Selection, window_s: float, where: Where | None) -> Total:
    parts = [selection] if isinstance(selection, (str, Series)) else selection
    totals = [moment.total(merged(part, where), window_s) for part in parts]
    return Total(
        amount=sum(total.amount for total in totals),
        per_s=sum(total.per_s for total in totals),
        events=sum(total.events for total in totals),
        coverage=min((total.coverage for total in totals), default=0.0),
        series=sum(total.series for total in totals),
    )


def _reading(total: Total, value: float) -> Reading:
    return Reading(value if total.series else None, total.coverage, total.events)


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _refuse(what: str) -> None:
    _guard.say(f"otelkit.readings.{what}; the reading is empty.", key=f"readings:{what}")
