"""Instruments that follow the switch and never raise.

A synchronous instrument binds to the present meter at its first use after a turn, so that a turn
costs nothing for the instruments that are not used. Its method is then set on the object itself.
"""

from __future__ import annotations

import math
import numbers
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from threading import get_ident
from typing import Any

from opentelemetry import metrics

from otelkit import _guard, _otel
from otelkit._otel import reentry
from otelkit._switch.cardinality import DEFAULT_LIMIT, Cardinality
from otelkit.processors.context import current
from otelkit.processors.limits import metric_attributes
from otelkit.processors.plain import class_name

__all__ = [
    "Counter",
    "Gauge",
    "Histogram",
    "ObservableCounter",
    "ObservableGauge",
    "ObservableUpDownCounter",
    "UpDownCounter",
]

Record = Callable[..., None]
_MAX_BALANCES = 2_000
# What the SDK takes without a line in the application's log, and what is equal to itself, as NaN is not.
_SCALARS = frozenset({str, bool, int})


def _nothing(amount: Any, attributes: Any = None, context: Any = None) -> None:
    """What an instrument without a meter does."""


def _guarded(record: Record, name: str, limit: int) -> Record:
    """``record`` that takes any attributes and any number, and never raises.

    Args:
        record: The method of the SDK's instrument.
        name: The instrument's.
        limit: How many attribute sets it may have.
    """
    sets = Cardinality(name, limit)
    known = sets.known
    busy, postponed = reentry.BUSY, reentry.POSTPONED

    def safe(amount: Any, attributes: Any = None, context: Any = None) -> None:
        thread = get_ident()  # `reentry.marked` written out: this is in the way of every measurement
        if thread in busy:
            reentry.postpone(partial(safe, amount, attributes, current() if context is None else context))
            return
        try:
            busy.add(thread)
            if attributes:
                for key, value in attributes.items():
                    if type(value) not in _SCALARS or type(key) is not str or not key:
                        attributes = metric_attributes(attributes)
                        break
                pairs = frozenset(attributes.items())
                if pairs not in known:
                    attributes = sets.admit(pairs, attributes)
            record(amount, attributes, current() if context is None else context)
        except Exception:
            _record_repaired(record, sets, name, amount, attributes, context)
        finally:
            busy.discard(thread)
            if postponed:
                reentry.make_up()

    return safe


def _record_repaired(
    record: Record, sets: Cardinality, name: str, amount: Any, attributes: Any, context: Any
) -> None:
    """The second try, with attributes that can be hashed and a plain number."""
    number = _number(amount)
    if number is None:
        _guard.say(
            f"the instrument {name} was given {class_name(type(amount))} as a value, which is no finite "
            "number; the measurement is left out.",
            key=f"instrument:{name}:value",
        )
        return
    try:
        record(number, _admitted(sets, metric_attributes(attributes)), context)
    except Exception:
        _guard.swallowed("instrument.record")


def _admitted(sets: Cardinality, attributes: Any) -> Any:
    """Plain attributes, or those of the overflow."""
    pairs = frozenset(attributes.items()) if attributes else None
    return attributes if pairs is None or pairs in sets.known else sets.admit(pairs, attributes)


def _number(amount: Any) -> float | int | None:
    """A plain finite number, or None."""
    try:
        if isinstance(amount, numbers.Integral):
            number: float | int = int(amount)
            return number if abs(number) < 2**63 else float(number)
        number = float(amount) if not isinstance(amount, (str, bytes)) else math.nan
    except Exception:
        return None
    return number if math.isfinite(number) else None


class _Synchronous:
    """Binds its one method (`verb`) to the present meter at first use.

    Args:
        name, unit, description: As given to the API.
        lock: The switch's; binding and turning exclude each other.
        buckets: A histogram's bounds.
    """

    verb = "add"
    factory = ""

    def __init__(
        self, name: str, unit: str, description: str, *, lock: Any, buckets: Sequence[float] | None = None
    ) -> None:
        self.name = name
        self.unit = unit
        self.description = description
        self._lock = lock
        self._buckets = buckets
        self._meter: metrics.Meter | None = None
        self._limit = DEFAULT_LIMIT

    def turn(self, meter: metrics.Meter | None, *, limit: int = DEFAULT_LIMIT) -> None:
        """Forget the former meter, and the attribute sets it had; now there may be ``limit`` of them."""
        self._meter = meter
        self._limit = limit
        setattr(self, self.verb, _nothing if meter is None else self._first)

    def _first(self, amount: Any, attributes: Any = None, context: Any = None) -> None:
        if get_ident() in reentry.BUSY:
            reentry.postpone(partial(self._first, amount, attributes, context))
            return
        with reentry.marked():
            record = self._bind()
        record(amount, attributes, context)

    def _bind(self) -> Record:
        with self._lock:
            record = _nothing
            if self._meter is not None:
                record = _guarded(self._real(self._meter), self.name, self._limit)
            setattr(self, self.verb, record)
            return record

    def _real(self, meter: metrics.Meter) -> Record:
        """The SDK instrument's method; a no-op, said once, where the SDK refuses the instrument."""
        more = {"explicit_bucket_boundaries_advisory": self._buckets} if self._buckets else {}
        try:
            instrument = getattr(meter, self.factory)(self.name, self.unit, self.description, **more)
        except Exception:
            _guard.say(
                f"the instrument {self.name!r} cannot be made: {_guard.current_error()}. "
                "Its measurements are left out.",
                key=f"instrument:{self.name}",
            )
            return _nothing
        record: Record = getattr(instrument, self.verb)
        return record


class Counter(_Synchronous, metrics.Counter):
    """A counter behind the switch."""

    factory = "create_counter"

    def add(self, amount: Any, attributes: Any = None, context: Any = None) -> None:
        """Add to the counter (set on the object by `turn`)."""


class Histogram(_Synchronous, metrics.Histogram):
    """A histogram behind the switch."""

    verb = "record"
    factory = "create_histogram"

    def record(self, amount: Any, attributes: Any = None, context: Any = None) -> None:
        """Record a value (set on the object by `turn`)."""


class Gauge(_Synchronous, _otel.Gauge):
    """A gauge behind the switch."""

    verb = "set"
    factory = "create_gauge"

    def set(self, amount: Any, attributes: Any = None, context: Any = None) -> None:
        """Set the value (set on the object by `turn`)."""


class UpDownCounter(_Synchronous, metrics.UpDownCounter):
    """An up-down counter behind the switch: the -1 of a +1 goes to the meter that got the +1."""

    factory = "create_up_down_counter"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._balances: dict[Any, float] = {}
        self._owed: dict[Any, list[tuple[Record, float]]] = {}
        self._record: Record = _nothing

    def add(self, amount: Any, attributes: Any = None, context: Any = None) -> None:
        """Add to the counter (set on the object by `turn`)."""

    def turn(self, meter: metrics.Meter | None, *, limit: int = DEFAULT_LIMIT) -> None:
        """Keep what is still up on the former meter; its way down leads there."""
        for key, balance in self._balances.items():
            if balance > 0 and self._record is not _nothing:
                self._owed.setdefault(key, []).append((self._record, balance))
        self._balances = {}
        self._record = _nothing
        super().turn(meter, limit=limit)
        if self._owed:
            self.add = self._first  # type: ignore[method-assign]

    def _bind(self) -> Record:
        with self._lock:
            self._record = super()._bind()
            self.add = self._balanced  # type: ignore[method-assign]
            return self._balanced

    def _balanced(self, amount: Any, attributes: Any = None, context: Any = None) -> None:
        record = self._record
        try:
            key = frozenset(attributes.items()) if attributes else None
            with self._lock:
                if amount < 0 and self._owed and key in self._owed:
                    record, amount = self._pay_back(key, amount, attributes, context)
                if amount and (key in self._balances or len(self._balances) < _MAX_BALANCES):
                    self._balances[key] = self._balances.get(key, 0) + amount
        except Exception:  # cannot be hashed or is no number: not followed across a turn
            record(amount, attributes, context)
            return
        if amount:
            record(amount, attributes, context)

    def _pay_back(self, key: Any, amount: Any, attributes: Any, context: Any) -> tuple[Record, Any]:
        """Send a decrease to the meters that are still up; returns what is left for the present one."""
        owed = self._owed[key]
        while owed and amount < 0:
            record, balance = owed[0]
            part = min(balance, -amount)
            record(-part, attributes, context)
            amount += part
            if balance > part:
                owed[0] = (record, balance - part)
            else:
                owed.pop(0)
        if not owed:
            del self._owed[key]
        return self._record, amount


class _Observable:
    """An observed instrument: its callbacks are asked by whichever meter is present."""

    factory = ""

    def __init__(self, name: str, unit: str, description: str, *, lock: Any) -> None:
        self.name = name
        self.unit = unit
        self.description = description
        self._lock = lock
        self._sources: tuple[Callable[[Any], Iterable[Any]], ...] = ()
        self._sets = Cardinality(name, DEFAULT_LIMIT)

    def add_callbacks(self, callbacks: Sequence[Any]) -> None:
        """Ask these too; a second registration of the same instrument adds to the first."""
        self._sources = (*self._sources, *(_asked(callback) for callback in callbacks))

    def turn(self, meter: metrics.Meter | None, *, limit: int = DEFAULT_LIMIT) -> None:
        """Register with ``meter``; the former one asks no longer. There may be ``limit`` attribute sets."""
        self._meter = meter
        self._sets = Cardinality(self.name, limit)
        if meter is None:
            return
        try:
            getattr(meter, self.factory)(self.name, [_While(self, meter)], self.unit, self.description)
        except Exception:
            _guard.say(
                f"the instrument {self.name!r} cannot be made: {_guard.current_error()}.",
                key=f"instrument:{self.name}",
            )

    def observe(self, options: Any) -> list[Any]:
        """Ask every callback; one that fails or answers nonsense costs only its own answer."""
        found = []
        for source in self._sources:
            try:
                for observation in source(options) or ():
                    number = _number(observation.value)
                    if number is not None:
                        attributes = _admitted(self._sets, metric_attributes(observation.attributes))
                        found.append(metrics.Observation(number, attributes))
            except BaseException as error:
                if not _guard.ends_here(error):
                    raise
                _guard.say(
                    f"a callback of the instrument {self.name} failed: {_guard.current_error()}.",
                    key=f"callback:{self.name}",
                    every_s=60.0,
                )
        return found


class _While:
    """Answers a meter while it is the present one, and later repeats its last answer.

    So no run sees another run's data, and the last collection of a run still has its series.
    """

    def __init__(self, observable: _Observable, meter: metrics.Meter) -> None:
        self._observable = observable
        self._meter = meter
        self._last: list[Any] = []

    def __call__(self, options: Any) -> Iterable[Any]:
        if self._observable._meter is self._meter:
            self._last = self._observable.observe(options)
        return self._last


def _asked(callback: Any) -> Callable[[Any], Iterable[Any]]:
    """A callback as a function: the API also takes generators, which are advanced once first."""
    if not hasattr(callback, "send"):
        return callback  # type: ignore[no-any-return]
    started: list[bool] = []

    def ask(options: Any) -> Iterable[Any]:
        if not started:
            started.append(True)
            next(callback)
        try:
            return callback.send(options)  # type: ignore[no-any-return]
        except StopIteration:
            return ()

    return ask


class ObservableCounter(_Observable, metrics.ObservableCounter):
    """An observed counter behind the switch."""

    factory = "create_observable_counter"


class ObservableUpDownCounter(_Observable, metrics.ObservableUpDownCounter):
    """An observed up-down counter behind the switch."""

    factory = "create_observable_up_down_counter"


class ObservableGauge(_Observable, metrics.ObservableGauge):
    """An observed gauge behind the switch."""

    factory = "create_observable_gauge"
