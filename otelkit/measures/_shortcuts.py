"""Instruments of the caller's module, made at the first call and the same ones ever after."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from opentelemetry import metrics

if TYPE_CHECKING:
    from opentelemetry.metrics import Counter, Histogram

    from otelkit._otel import Gauge

__all__ = ["counter", "gauge", "histogram"]

_MAX_KEPT = 2_000  # the provider knows them all; this only spares the way there

_made: dict[Any, Any] = {}


def counter(name: str, unit: str = "", description: str = "") -> Counter:
    """A counter: what only grows, such as orders placed.

    Args:
        name: Such as ``orders``; ``/metrics`` shows ``orders_total``.
        unit: In UCUM: ``s``, ``By``, or in braces what is counted, ``{order}``.
        description: One sentence.

    Returns:
        The OpenTelemetry instrument of the caller's module; the same object for the same arguments.
        It may be made before `otelkit.init` and follows every later one.
    """
    return _instrument("counter", _caller(), name, unit, description)  # type: ignore[no-any-return]


def gauge(name: str, unit: str = "", description: str = "") -> Gauge:
    """A gauge: a value of now that is set, such as a temperature. Arguments as for `counter`."""
    return _instrument("gauge", _caller(), name, unit, description)  # type: ignore[no-any-return]


def histogram(
    name: str, unit: str = "", description: str = "", buckets: Iterable[float] | None = None
) -> Histogram:
    """A histogram: how values spread, such as durations.

    Args:
        name: See `counter`.
        unit: See `counter`.
        description: See `counter`.
        buckets: Upper bounds in ``unit``; by default those of the unit (see docs/metrics.md). Of
            several calls with one name, the bounds of the first one hold.
    """
    return _instrument("histogram", _caller(), name, unit, description, buckets=buckets)  # type: ignore[no-any-return]


def _instrument(
    kind: str,
    scope: str,
    name: str,
    unit: str,
    description: str,
    buckets: Iterable[float] | None = None,
) -> Any:
    more: dict[str, Any] = {}
    key: Any = None
    found: Any = None
    try:
        if buckets is not None:
            more["explicit_bucket_boundaries_advisory"] = buckets = tuple(buckets)
        key = (kind, scope, name, unit, description, buckets)
        found = _made.get(key)
    except Exception:  # bounds that are no list, a name that cannot be hashed: the provider says so
        key = None
    if found is None:
        found = getattr(metrics.get_meter(scope), f"create_{kind}")(name, unit, description, **more)
        if key is not None and len(_made) < _MAX_KEPT:
            found = _made.setdefault(key, found)
    return found


def _caller() -> str:
    """The module of whoever called the public function that calls this."""
    name = sys._getframe(2).f_globals.get("__name__")
    return name if isinstance(name, str) else "unknown"
