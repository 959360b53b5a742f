"""Whether somebody else already tells the same: otelkit stands back then, as both would double it.

Asked at every call, so that it does not matter who comes first.
"""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["official_is_on", "redis_measures"]


def official_is_on() -> bool:
    """Whether the application has turned on the official `RedisInstrumentor`, which makes spans."""
    module: Any = sys.modules.get("opentelemetry.instrumentation.redis")
    if module is None:
        return False
    kind = getattr(module, "RedisInstrumentor", None)  # None while it is being imported
    return kind is not None and bool(kind().is_instrumented_by_opentelemetry)


def redis_measures(group: str) -> bool:
    """Whether the application has turned on a group of redis-py's own metrics (7.2 and later).

    Args:
        group: The name of a ``redis.observability.MetricGroup``.
    """
    module: Any = sys.modules.get("redis.observability.providers")
    if module is None:
        return False
    manager = module.get_observability_instance().get_provider_manager()
    if manager is None:
        return False
    groups = sys.modules["redis.observability.config"].MetricGroup
    return manager.config.is_enabled() and groups[group] in manager.config.metric_groups
