"""The metrics that the host keeps with prometheus_client itself, for the same page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otelkit import _guard
from otelkit._otel import prometheus as official

if TYPE_CHECKING:
    from prometheus_client import Metric as Family

__all__ = ["bridged_families", "host_families"]


def host_families() -> list[Family]:
    """What the collectors of prometheus_client's global registry collect.

    A collector that raises is left out and named once on stderr; the others are not affected.
    """
    return [family for one in _collectors() if not _is_bridge(one) for family in _collect(one)]


def bridged_families() -> list[Family]:
    """What official OpenTelemetry readers in the global registry show: often the same meters."""
    return [family for one in _collectors() if _is_bridge(one) for family in _collect(one)]


def _collectors() -> list[Any]:
    from prometheus_client import REGISTRY

    return official.collectors(REGISTRY)


def _is_bridge(collector: object) -> bool:
    return official.is_bridge(collector)


def _collect(collector: Any) -> list[Family]:
    try:
        return list(collector.collect())
    except Exception as error:
        name = type(collector).__qualname__
        _guard.say(
            f"the prometheus_client collector {name} raised {_guard.describe(error)}; its metrics "
            "are left off /metrics while it does, the others are served.",
            key=f"prometheus.host:{name}",
        )
        return []
