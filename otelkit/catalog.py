"""The standard instruments as one table; buckets, exposed names and docs derive from it.

Instruments are made lazily, by `instrument`, through the OpenTelemetry API, so they start to work
with `otelkit.init` and follow every later one. A histogram that brings no advice of its own gets
buckets that suit its unit (`default_buckets`): the SDK's own default suits milliseconds only.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Literal, overload

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.metrics import Counter, Histogram, Meter, UpDownCounter

    from otelkit._otel import Gauge

__all__ = [
    "BUCKETS_BY_UNIT",
    "DEFAULT_PREFIX",
    "INSTRUMENTS",
    "Instrument",
    "create",
    "default_buckets",
    "instrument",
    "instruments",
    "row",
]

Kind = Literal["counter", "histogram", "up_down_counter", "gauge"]

DEFAULT_PREFIX = "agent"


@dataclass(frozen=True, slots=True, kw_only=True)
class Instrument:
    """One standard instrument.

    Attributes:
        key: What otelkit calls it, see `instrument`.
        name: Its OpenTelemetry name.
        exposed: Its name on ``/metrics``.
        unit: Its unit in UCUM; never ``1``, which some paths turn into a ``_ratio`` suffix.
        kind: Which instrument it is.
        labels: The attribute keys of its measurements.
        buckets: Upper bounds of a histogram, in its unit.
        meaning: One sentence: its description, and its line in the docs.
    """

    key: str
    name: str
    exposed: str
    unit: str
    kind: Kind
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    meaning: str


_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)

BUCKETS_BY_UNIT: Mapping[str, tuple[float, ...]] = {
    # https://opentelemetry.io/docs/specs/semconv/http/http-metrics/
    "s": _SECONDS,
    "ms": tuple(round(bound * 1000, 6) for bound in _SECONDS),
    # https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-metrics/: 1, 4, 16 ... 64 Mi
    "{token}": tuple(float(4**power) for power in range(14)),
    # 256 B, 1 KiB ... 64 MiB, in steps of four
    "By": tuple(float(4**power) for power in range(4, 14)),
}

INSTRUMENTS: tuple[Instrument, ...] = (
    Instrument(
        key="requests",
        name="agent_requests",
        exposed="agent_requests_total",
        unit="{request}",
        kind="counter",
        labels=("method", "status", "endpoint"),
        meaning="Requests that ended; status is success, error or cancelled.",
    ),
    Instrument(
        key="errors",
        name="agent_errors",
        exposed="agent_errors_total",
        unit="{error}",
        kind="counter",
        labels=("error_type", "method"),
        meaning="Requests that ended with an error; error_type is its class name.",
    ),
    Instrument(
        key="request_duration",
        name="agent_request_duration",
        exposed="agent_request_duration_seconds",
        unit="s",
        kind="histogram",
        labels=("method", "endpoint"),
        buckets=(0.01, 0.05, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0),
        meaning="How long requests took.",
    ),
    Instrument(
        key="llm_tokens_used",
        name="llm_tokens_used",
        exposed="llm_tokens_used",
        unit="{token}",
        kind="histogram",
        labels=("model", "operation"),
        buckets=(100.0, 500.0, 1000.0, 2000.0, 5000.0, 10000.0, 20000.0),
        meaning="Tokens used by each call of a language model, in and out together.",
    ),
    Instrument(
        key="active_connections",
        name="agent_active_connections",
        exposed="agent_active_connections",
        unit="{connection}",
        kind="up_down_counter",
        meaning="Requests that are being worked on now.",
    ),
    Instrument(
        key="queue_size",
        name="agent_queue_size",
        exposed="agent_queue_size",
        unit="{item}",
        kind="gauge",
        labels=("queue_name",),
        meaning="Items that wait in a queue now.",
    ),
    Instrument(
        key="cache_entries",
        name="cache_entries_total",
        exposed="cache_entries_total",
        unit="{entry}",
        kind="gauge",
        meaning="Entries in the cache now.",
    ),
    Instrument(
        key="response_size",
        name="response_size",
        exposed="response_size_bytes",
        unit="By",
        kind="histogram",
        labels=("endpoint",),
        buckets=BUCKETS_BY_UNIT["By"],
        meaning="Size of the responses.",
    ),
)

_BY_KEY = {row.key: row for row in INSTRUMENTS}
_made: dict[tuple[str, str], Any] = {}


def instruments(*, prefix: str = DEFAULT_PREFIX) -> tuple[Instrument, ...]:
    """The table with another prefix.

    Args:
        prefix: Takes the place of ``agent`` in the names that begin with ``agent_``; empty leaves
            the prefix away.
    """
    return tuple(_prefixed(row, prefix) for row in INSTRUMENTS)


def row(key: str, *, prefix: str = DEFAULT_PREFIX) -> Instrument:
    """One row of the table; see `instruments`.

    Raises:
        KeyError: No row has this key.
    """
    return _prefixed(_BY_KEY[key], prefix)


def _prefixed(row: Instrument, prefix: str) -> Instrument:
    old = f"{DEFAULT_PREFIX}_"
    if prefix == DEFAULT_PREFIX or not row.name.startswith(old):
        return row
    new = f"{prefix}_" if prefix else ""
    exposed = re.sub("[^a-zA-Z0-9:]+", "_", new)
    return replace(row, name=new + row.name[len(old) :], exposed=exposed + row.exposed[len(old) :])


@overload
def instrument(key: Literal["requests", "errors"], *, prefix: str | None = ...) -> Counter: ...
@overload
def instrument(
    key: Literal["request_duration", "llm_tokens_used", "response_size"], *, prefix: str | None = ...
) -> Histogram: ...
@overload
def instrument(key: Literal["active_connections"], *, prefix: str | None = ...) -> UpDownCounter: ...
@overload
def instrument(key: Literal["queue_size", "cache_entries"], *, prefix: str | None = ...) -> Gauge: ...
@overload
def instrument(key: str, *, prefix: str | None = ...) -> Any: ...
def instrument(key: str, *, prefix: str | None = None) -> Any:
    """A standard instrument, made at first use and the same one ever after.

    Args:
        key: The ``key`` of its row in `INSTRUMENTS`.
        prefix: See `instruments`; default: the setting ``metric_prefix`` of the running set-up.

    Returns:
        The OpenTelemetry instrument of the global meter provider, scope ``otelkit``.

    Raises:
        KeyError: No row has this key.
    """
    if prefix is None:
        prefix = _running_prefix()
    made = _made.get((key, prefix))
    if made is None:
        from opentelemetry.metrics import get_meter

        # Of two threads that come here at once, both get the first one's instrument.
        made = _made.setdefault((key, prefix), create(row(key, prefix=prefix), get_meter("otelkit")))
    return made


def _running_prefix() -> str:
    """The prefix of the running set-up; the default one while nothing runs."""
    from otelkit.settings import running

    settings = running()
    return DEFAULT_PREFIX if settings is None else settings.metric_prefix


def create(row: Instrument, meter: Meter) -> Any:
    """Make the instrument of one row on ``meter``, with the row's buckets as its advice."""
    kinds: dict[Kind, Any] = {
        "counter": meter.create_counter,
        "histogram": meter.create_histogram,
        "up_down_counter": meter.create_up_down_counter,
        "gauge": meter.create_gauge,
    }
    advice: dict[str, Any] = {}
    if row.kind == "histogram":
        advice["explicit_bucket_boundaries_advisory"] = row.buckets
    return kinds[row.kind](row.name, unit=row.unit, description=row.meaning, **advice)


def default_buckets(name: str, unit: str) -> tuple[float, ...] | None:
    """The buckets of a histogram that is created without advice of its own.

    They are meant to be given to the SDK as the instrument's advice. A View would do the same but
    would also beat the advice of instruments that have some, and exponential aggregation towards
    OTLP where the user asked for it.

    Args:
        name: The instrument's name, in any case.
        unit: The instrument's unit in UCUM.

    Returns:
        The buckets of the standard instrument of this name and unit, else those of the unit, else
        ``None``: the SDK's default.
    """
    for row in INSTRUMENTS:
        if row.buckets and row.unit == unit and row.name == name.lower():
            return row.buckets
    return BUCKETS_BY_UNIT.get(unit)
