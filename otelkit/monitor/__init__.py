"""The service measures itself: rate, errors and duration of the functions that matter.

`monitor_performance` decorates them; `endpoints` lists them, for health checks, alerts and SLOs that
name a method or an endpoint.
"""

from __future__ import annotations

from otelkit.monitor._decorate import monitor_performance
from otelkit.monitor._registry import Monitored, endpoints

__all__ = ["Monitored", "endpoints", "monitor_performance"]
