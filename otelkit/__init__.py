"""Telemetry for Python services: one call, three signals, all through OpenTelemetry.

::

    import otelkit

    otelkit.init(service_name="shop")

    with otelkit.span("checkout", {"cart.items": 3}):
        otelkit.get_logger().info("order placed", order="A-17")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"

__all__ = [
    "ConfigurationError",
    "Runtime",
    "Settings",
    "aflush",
    "bind",
    "counter",
    "flush",
    "gauge",
    "get_logger",
    "get_meter",
    "get_tracer",
    "histogram",
    "init",
    "monitor_performance",
    "observe_cache",
    "observe_queue",
    "shutdown",
    "span",
    "span_id",
    "suppress",
    "trace_id",
    "unbind",
]

if TYPE_CHECKING:
    from otelkit import catalog as catalog
    from otelkit import correlation as correlation
    from otelkit import errors as errors
    from otelkit import instrument as instrument
    from otelkit import llm as llm
    from otelkit import logs as logs
    from otelkit import measures as measures
    from otelkit import monitor as monitor
    from otelkit import process as process
    from otelkit import prometheus as prometheus
    from otelkit import readings as readings
    from otelkit import runtime as runtime
    from otelkit import settings as settings
    from otelkit import testing as testing
    from otelkit._api import (
        aflush,
        flush,
        get_meter,
        get_tracer,
        init,
        shutdown,
        span,
        span_id,
        trace_id,
    )
    from otelkit.correlation import bind, unbind
    from otelkit.errors import ConfigurationError
    from otelkit.logs import get_logger
    from otelkit.measures import counter, gauge, histogram, observe_cache, observe_queue
    from otelkit.monitor import monitor_performance
    from otelkit.processors.context import suppress
    from otelkit.runtime import Runtime
    from otelkit.settings import Settings
else:
    # Each name is loaded at its first use: importing otelkit costs almost nothing.
    _HOMES = {
        "ConfigurationError": "errors",
        "Runtime": "runtime",
        "Settings": "settings",
        "bind": "correlation",
        "counter": "measures",
        "gauge": "measures",
        "get_logger": "logs",
        "histogram": "measures",
        "monitor_performance": "monitor",
        "observe_cache": "measures",
        "observe_queue": "measures",
        "suppress": "processors.context",
        "unbind": "correlation",
    }
    _ROOMS = frozenset(
        {
            "catalog",
            "correlation",
            "errors",
            "instrument",
            "llm",
            "logs",
            "measures",
            "monitor",
            "process",
            "prometheus",
            "readings",
            "runtime",
            "settings",
            "testing",
        }
    )

    def __getattr__(name: str) -> object:
        from importlib import import_module

        if name in _ROOMS:
            return import_module(f"otelkit.{name}")
        if name not in __all__:
            raise AttributeError(f"module 'otelkit' has no attribute {name!r}")
        value = getattr(import_module(f"otelkit.{_HOMES.get(name, '_api')}"), name)
        globals()[name] = value
        return value

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__, *_ROOMS})
