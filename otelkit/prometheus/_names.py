"""The name that a metric has on the page, by the official exporter's rules.

Source: https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/
"""

from __future__ import annotations

from otelkit._otel import prometheus as official

__all__ = ["exposed_name", "family_name", "plain_unit", "unit_suffix"]


def family_name(name: str, unit: str, *, counter: bool) -> str:
    """The family's name: with the unit as a suffix, and for a counter without ``_total``.

    Args:
        name: The OpenTelemetry name; colons, which belong to recording rules, are replaced.
        unit: Its unit in UCUM.
        counter: Whether it is a monotonic sum.
    """
    family = official.metric_name(name.replace(":", "_"))
    if counter:
        family = family.removesuffix("_total").rstrip("_")
    suffix = unit_suffix(unit)
    if suffix and not family.endswith(f"_{suffix}"):
        family = f"{family}_{suffix}"
    return official.metric_name(family) or "unnamed"


def exposed_name(name: str, unit: str, kind: str) -> str:
    """The name of a metric's samples: `family_name`, and ``_total`` for a counter.

    Args:
        name: The OpenTelemetry name.
        unit: Its unit in UCUM.
        kind: ``counter``, ``up_down_counter``, ``gauge`` or ``histogram``.
    """
    counter = kind == "counter"
    family = family_name(name, unit, counter=counter)
    return f"{family}_total" if counter else family


def unit_suffix(unit: str) -> str:
    """What a unit adds to a name: ``seconds`` for ``s``, nothing for ``{request}`` and ``1``."""
    return official.unit_suffix(plain_unit(unit))


def plain_unit(unit: str) -> str:
    """The unit without colons, which the exporter would let into names."""
    return unit.replace(":", "_")
