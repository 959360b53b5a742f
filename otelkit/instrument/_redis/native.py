"""redis-py's own metrics (``redis.observability``, 7.2 and later) in place of otelkit's, where asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

from otelkit.instrument._library import importable
from otelkit.instrument._redis.commands import command

__all__ = ["measure"]

_GROUPS = ("COMMAND", "CONNECTION_BASIC", "CONNECTION_ADVANCED", "RESILIENCY")


def measure() -> Callable[[], object]:
    """Let redis-py measure its commands and connections; `stand_back` then keeps otelkit from doing so.

    Does nothing where redis-py has no metrics of its own, or where the application has turned them on.

    Returns:
        What takes it back.
    """
    if not importable("redis.observability"):
        return bool
    config, providers, recorder = (
        importlib.import_module(f"redis.observability.{name}") for name in ("config", "providers", "recorder")
    )
    observability: Any = providers.get_observability_instance()
    if observability.is_enabled():
        return bool
    groups = config.MetricGroup
    wanted: Any = config.OTelConfig(
        metric_groups=[groups[name] for name in _GROUPS if name in groups.__members__],
        hide_pubsub_channel_names=True,
        hide_stream_names=True,
    )
    wanted.include_commands = _Names()
    observability.init(wanted)
    ours = observability.get_provider_manager()

    def undo() -> None:
        if observability.get_provider_manager() is ours:
            observability.shutdown(timeout_millis=0)
            recorder.reset_collector()

    return undo


class _Names:
    """Whether what redis-py takes for a command's name is one: keys may follow it in the same argument."""

    def __contains__(self, name: object) -> bool:
        return name == command(name).name
