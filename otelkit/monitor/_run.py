"""The counts of monitored calls in one run of telemetry, read by its meters whenever they collect.

A counter of the SDK costs half a span at each call. Here a call adds to plain numbers, and an observed
instrument of each run's own meter reads them: the same series, at a hundredth of the price, there from
the beginning at zero. A run's numbers are its own: another `otelkit.init`, a capture in a test or a
fork's child begins with none.

A number is changed without a lock, see `otelkit.delivery.queue.Memory`; a lock could be held by the very
thread in which the garbage collector closes a monitored generator.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from opentelemetry.metrics import Observation

from otelkit import _switch, catalog
from otelkit._switch.cardinality import DEFAULT_LIMIT, Cardinality
from otelkit.monitor._registry import endpoints

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter

    from otelkit.monitor._registry import Monitored

__all__ = ["SCOPE", "STATUSES", "Cell", "Run", "present"]

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

    def __init__(self, name: str, limit: int) -> None:
        self._sets = Cardinality(name, limit)
        self._cells: dict[frozenset[tuple[str, Any]], Cell] = {}

    def cell(self, **attributes: str) -> Cell:
        """The series of these attributes, at zero where it is new; or the overflow."""
        pairs = frozenset(attributes.items())
        found = self._cells.get(pairs)
        if found is None:
            admitted = self._sets.admit(pairs, attributes) or {}
            found = self._cells.setdefault(frozenset(admitted.items()), Cell(admitted))
        return found

    def observe(self, _options: Any) -> Iterable[Observation]:
        """Each series as it is now."""
        return [Observation(cell.count, cell.attributes) for cell in tuple(self._cells.values())]


class Run:
    """The counts of one run.

    Attributes:
        prefix: The first part of the instruments' names.
        requests, errors: The counters.
        begun, ended: How many calls have.
    """

    __slots__ = ("begun", "ended", "errors", "prefix", "requests")

    def __init__(self, *, prefix: str, limit: int) -> None:
        self.prefix = prefix
        self.requests = _Counter(catalog.row("requests", prefix=prefix).name, limit)
        self.errors = _Counter(catalog.row("errors", prefix=prefix).name, limit)
        self.begun = 0
        self.ended = 0

    def expect(self, row: Monitored) -> None:
        """Let the series of a monitored function exist, at zero: `rate` sees no first error otherwise."""
        for status in STATUSES:
            self.requests.cell(method=row.method, status=status, endpoint=row.endpoint)
        for error in row.errors:
            self.errors.cell(error_type=error, method=row.method)

    def publish(self, meter: Meter) -> None:
        """Let ``meter`` read the counts from now on."""
        for key, counter in (("requests", self.requests), ("errors", self.errors)):
            row = catalog.row(key, prefix=self.prefix)
            meter.create_observable_counter(row.name, [counter.observe], row.unit, row.meaning)
        row = catalog.row("active_connections", prefix=self.prefix)
        meter.create_observable_up_down_counter(row.name, [self._active], row.unit, row.meaning)

    def _active(self, _options: Any) -> Iterator[Observation]:
        ended = self.ended  # first: a call that begins and ends meanwhile must not make it negative
        if self.begun or endpoints():
            yield Observation(self.begun - ended)


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
            run.publish(metrics.get_meter(SCOPE))
        for row in endpoints():
            run.expect(row)
    _present = run


_switch.follow(_turned)
