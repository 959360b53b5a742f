"""The meter provider whose target can be turned, and its meters."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from opentelemetry import metrics

from otelkit import _guard, catalog
from otelkit._switch import instruments as kinds
from otelkit._switch.base import SwitchProvider
from otelkit._switch.cardinality import DEFAULT_LIMIT
from otelkit.processors.plain import safe_str

__all__ = ["SwitchMeter", "SwitchMeterProvider"]

_MAX_UNIT = 63


class SwitchMeter(metrics.Meter):
    """A meter of one scope; each instrument is one object for the life of the process."""

    def __init__(self, scope: tuple[Any, ...], lock: Any) -> None:
        super().__init__(str(scope[0]), scope[1], scope[2])
        self.scope = scope
        self._switch_lock = lock
        self._instruments: dict[tuple[Any, ...], Any] = {}
        self._meter: metrics.Meter | None = None
        self._limit = DEFAULT_LIMIT

    def turn(self, meter: metrics.Meter | None, *, limit: int = DEFAULT_LIMIT) -> None:
        """Let every instrument work on ``meter``, with ``limit`` attribute sets; None turns them off."""
        self._meter = meter
        self._limit = limit
        for instrument in self._instruments.values():
            instrument.turn(meter, limit=limit)

    def _instrument(self, kind: type[Any], name: Any, unit: Any, description: Any, **more: Any) -> Any:
        name, description = _text(name), _text(description)
        unit = _unit(name, _text(unit))
        key = (kind, name.lower(), unit, description)
        with self._switch_lock:
            found = self._instruments.get(key)
            if found is None:
                found = kind(name, unit, description, lock=self._switch_lock, **more)
                found.turn(self._meter, limit=self._limit)
                self._instruments[key] = found
            return found

    def _observable(
        self, kind: type[Any], name: Any, callbacks: Sequence[Any] | None, unit: Any, description: Any
    ) -> Any:
        observable = self._instrument(kind, name, unit, description)
        try:
            observable.add_callbacks(tuple(callbacks or ()))
        except Exception:
            _guard.say(
                f"the callbacks of the instrument {observable.name!r} are no list of functions; "
                "they are not asked.",
                key=f"callbacks:{observable.name}",
            )
        return observable

    def create_counter(self, name: str, unit: str = "", description: str = "") -> metrics.Counter:
        """A counter; see `opentelemetry.metrics.Meter.create_counter`."""
        return self._instrument(kinds.Counter, name, unit, description)  # type: ignore[no-any-return]

    def create_up_down_counter(
        self, name: str, unit: str = "", description: str = ""
    ) -> metrics.UpDownCounter:
        """An up-down counter; see `opentelemetry.metrics.Meter.create_up_down_counter`."""
        return self._instrument(kinds.UpDownCounter, name, unit, description)  # type: ignore[no-any-return]

    def create_histogram(
        self,
        name: str,
        unit: str = "",
        description: str = "",
        *,
        explicit_bucket_boundaries_advisory: Sequence[float] | None = None,
    ) -> metrics.Histogram:
        """A histogram; without an advice of its own it gets the buckets that suit its unit."""
        bounds = _bounds(name, explicit_bucket_boundaries_advisory)
        if bounds is None:
            bounds = catalog.default_buckets(_text(name), _text(unit))
        return self._instrument(kinds.Histogram, name, unit, description, buckets=bounds)  # type: ignore[no-any-return]

    def create_gauge(self, name: str, unit: str = "", description: str = "") -> Any:
        """A gauge; see `opentelemetry.metrics.Meter.create_gauge`."""
        return self._instrument(kinds.Gauge, name, unit, description)

    def create_observable_counter(
        self, name: str, callbacks: Sequence[Any] | None = None, unit: str = "", description: str = ""
    ) -> metrics.ObservableCounter:
        """An observed counter; see `opentelemetry.metrics.Meter.create_observable_counter`."""
        return self._observable(kinds.ObservableCounter, name, callbacks, unit, description)  # type: ignore[no-any-return]

    def create_observable_up_down_counter(
        self, name: str, callbacks: Sequence[Any] | None = None, unit: str = "", description: str = ""
    ) -> metrics.ObservableUpDownCounter:
        """An observed up-down counter."""
        return self._observable(kinds.ObservableUpDownCounter, name, callbacks, unit, description)  # type: ignore[no-any-return]

    def create_observable_gauge(
        self, name: str, callbacks: Sequence[Any] | None = None, unit: str = "", description: str = ""
    ) -> metrics.ObservableGauge:
        """An observed gauge."""
        return self._observable(kinds.ObservableGauge, name, callbacks, unit, description)  # type: ignore[no-any-return]


def _bounds(name: object, advice: Sequence[float] | None) -> Sequence[float] | None:
    """An advice as rising finite floats, as everybody downstream needs them; None without a usable one."""
    if advice is None:
        return None
    try:
        return sorted({bound for bound in map(float, advice) if math.isfinite(bound)})
    except Exception:  # also what the bounds themselves raise when they are asked
        shown = _text(name)
        _guard.say(
            f"the histogram {shown!r} was given bucket bounds that are no numbers: {_guard.current_error()}. "
            "The bounds of its unit are used.",
            key=f"bounds:{shown}",
        )
        return None


class SwitchMeterProvider(SwitchProvider[SwitchMeter], metrics.MeterProvider):
    """Registered with OpenTelemetry once."""

    source_name = "metrics"

    def get_meter(
        self, name: str, version: str | None = None, schema_url: str | None = None, attributes: Any = None
    ) -> metrics.Meter:
        """A meter of the given scope, now and after every later turn."""
        return self.proxy(name, version, schema_url, attributes)

    @property
    def resource(self) -> Any:
        """The resource of the present runtime."""
        return None if self.source is None else self.source.resource

    def follow(self, foreign: Any) -> bool:
        """Measurements of somebody else's provider stay there: its readers cannot be shared."""
        del foreign
        return False

    def after_fork_in_child(self) -> None:
        """A fresh lock for the provider and all its meters."""
        super().after_fork_in_child()
        for meter in self._proxies.values():
            meter._switch_lock = self._lock
            for instrument in meter._instruments.values():
                instrument._lock = self._lock

    def _make(self, scope: tuple[Any, ...]) -> SwitchMeter:
        return SwitchMeter(scope, self._lock)

    def _turn_one(self, proxy: SwitchMeter, target: Any) -> None:
        if target.metrics is None or target.disabled(proxy.scope[0]):
            proxy.turn(None)
        else:
            proxy.turn(target.metrics.get_meter(*proxy.scope), limit=target.metrics.cardinality_limit)

    def _add_to(self, source: Any, processor: Any) -> None:
        """Meter providers have no processors."""


def _text(part: Any) -> str:
    if part is None:
        return ""
    return part if type(part) is str else safe_str(part)


def _unit(name: str, unit: str) -> str:
    """A unit that the SDK takes; it would refuse the whole instrument for another one.

    Source: OpenTelemetry specification, "Instrument unit".
    """
    if len(unit) <= _MAX_UNIT and unit.isascii():
        return unit
    _guard.say(
        f"the unit of the instrument {name!r} is left out: it must be at most {_MAX_UNIT} ASCII characters.",
        key=f"unit:{name}",
    )
    return ""
