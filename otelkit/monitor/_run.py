"""The counts of monitored calls in one run of telemetry, read by its meters whenever they collect.

A counter of the SDK costs half a span at each call. Here a call adds to plain numbers, and an observed
instrument of each run's own meter reads them: the same series, at a hundredth of the price, there from
the beginning at zero. `otelkit.readings` looks them up as they are, see `otelkit.pipeline.metrics.Tally`.
A run's numbers are its own: another `otelkit.init`, a capture in a test or a fork's child begins with none.

A number is changed without a lock, see `otelkit.delivery.queue.Memory`; a lock could be held by the very
thread in which the garbage collector closes a monitored generator.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from opentelemetry.metrics import Observation

from otelkit import _switch, catalog
from otelkit._switch.cardinality import DEFAULT_LIMIT, Cardinality
from otelkit.monitor._registry import endpoints

if TYPE_CHECKING:
    from otelkit.monitor._registry import Monitored
    from otelkit.pipeline.metrics import Metrics, Tally

__all__ = ["SCOPE", "STATUSES", "Active", "Cell", "Run", "present"]

SCOPE = "otelkit.monitor"
STATUSES = ("success", "error", "cancelled")


class Cell:
    """One series of a counter."""

    __slots__ = ("attributes", "count")

    def __init__(self, attributes: Any) -> None:
        self.attributes = attributes
        self.count = 0


class _Counter:
    """A counter's series in one run."""

    kind = "counter"

    def __init__(self, row: catalog.Instrument, limit: int) -> None:
        self.name, self.unit = row.name, row.unit
        self._sets = Cardinality(row.name, limit)
        self._cells: dict[frozenset[tuple[str, Any]], Cell] = {}

    def cell(self, **attributes: str) -> Cell:
        """The series of these attributes, at zero where it is new; or the overflow."""
        pairs = frozenset(attributes.items())
        found = self._cells.get(pairs)
        if found is None:
            admitted = self._sets.admit(pairs, attributes) or {}
            found = self._cells.setdefault(frozenset(admitted.items()), Cell(admitted))
        return found

    def series(self) -> Sequence[tuple[Mapping[str, Any], float]]:
        return [(cell.attributes, cell.count) for cell in tuple(self._cells.values())]


class Active:
    """How many calls are under way, in one run.

    Attributes:
        begun, ended: How many calls have.
    """

    kind = "up_down_counter"

    def __init__(self, row: catalog.Instrument) -> None:
        self.name, self.unit = row.name, row.unit
        self.begun = 0
        self.ended = 0

    def series(self) -> Sequence[tuple[Mapping[str, Any], float]]:
        ended = self.ended  # first: a call that begins and ends meanwhile must not make it negative
        return [({}, self.begun - ended)] if self.begun or endpoints() else []


class Run:
    """The counts of one run.

    Attributes:
        prefix: The first part of the instruments' names.
        requests, errors, active: What is counted.
    """

    __slots__ = ("active", "errors", "prefix", "requests")

    def __init__(self, *, prefix: str, limit: int) -> None:
        self.prefix = prefix
        self.requests = _Counter(catalog.row("requests", prefix=prefix), limit)
        self.errors = _Counter(catalog.row("errors", prefix=prefix), limit)
        self.active = Active(catalog.row("active_connections", prefix=prefix))

    def expect(self, row: Monitored) -> None:
        """Let the series of a monitored function exist, at zero: `rate` sees no first error otherwise."""
        for status in STATUSES:
            self.requests.cell(method=row.method, status=status, endpoint=row.endpoint)
        for error in row.errors:
            self.errors.cell(error_type=error, method=row.method)

    def publish(self, metrics: Metrics) -> None:
        """Let these meters, and the readings, see the counts from now on."""
        meter = metrics.get_meter(SCOPE)
        for key, tally in (
            ("requests", self.requests),
            ("errors", self.errors),
            ("active_connections", self.active),
        ):
            metrics.tallies[SCOPE, tally.name] = tally  # before a collection can find the instrument
            create = getattr(meter, f"create_observable_{tally.kind}")
            meaning = catalog.row(key, prefix=self.prefix).meaning
            create(tally.name, [partial(_observe, tally)], tally.unit, meaning)


def _observe(tally: Tally, _options: Any) -> Sequence[Observation]:
    return [Observation(number, attributes) for attributes, number in tally.series()]


_present = Run(prefix=catalog.DEFAULT_PREFIX, limit=DEFAULT_LIMIT)


def present() -> Run:
    """The run that calls are counted in now."""
    return _present


def _turned(target: _switch.Target) -> None:
    global _present
    metrics = target.metrics
    run: Run | None = None if metrics is None else metrics.rooms.get(SCOPE)
    if run is None:
        if metrics is None or target.disabled(SCOPE):
            run = Run(prefix=catalog.DEFAULT_PREFIX, limit=DEFAULT_LIMIT)
        else:
            run = Run(prefix=metrics.prefix, limit=metrics.cardinality_limit)
            metrics.rooms[SCOPE] = run
            run.publish(metrics)
        for row in endpoints():
            run.expect(row)
    _present = run


_switch.follow(_turned)
