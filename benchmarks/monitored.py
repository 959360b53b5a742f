"""A monitored function on both sides, and the decorator that one writes with prometheus_client."""

from __future__ import annotations

import asyncio
import functools
import logging
import sys
import time
from collections.abc import Callable
from typing import Any

__all__ = ["async_task", "bare_span_tasks", "by_hand", "sync_task"]

LABELS = {"method": "query", "endpoint": "/api/query"}
_DURATIONS = (0.01, 0.05, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0)


def sync_task(decorate: Callable[[Any], Any]) -> Callable[[int], None]:
    """Calls of a plain function that returns at once."""

    @decorate
    def query(text):
        return text

    def task(calls):
        for number in range(calls):
            query(number)

    return task


def async_task(decorate: Callable[[Any], Any]) -> Callable[[int], None]:
    """The same of a coroutine function."""

    @decorate
    async def query(text):
        return text

    async def all_of(calls):
        for number in range(calls):
            await query(number)

    return lambda calls: asyncio.run(all_of(calls))


def bare_span_tasks(tracer: Any) -> dict[str, Callable[[int], None]]:
    """One span with the two labels around the same functions, and nothing else."""

    def in_a_span(function):
        def wrapper(text):
            with tracer.start_as_current_span("query", attributes=LABELS):
                return function(text)

        return wrapper

    def in_a_span_async(function):
        async def wrapper(text):
            with tracer.start_as_current_span("query", attributes=LABELS):
                return await function(text)

        return wrapper

    plain, waited = sync_task(in_a_span), async_task(in_a_span_async)
    return {
        "monitor_sync": plain,
        "monitor_sync_no_log": plain,
        "monitor_async": waited,
        "monitor_async_no_log": waited,
        "monitor_by_hand": async_task(by_hand()),
    }


def by_hand() -> Callable[[Any], Any]:
    """RED by prometheus_client and a line by structlog: no span, no ids, no OTLP.

    The same measurements as `otelkit.monitor_performance` makes.
    """
    import structlog
    from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

    registry = CollectorRegistry()
    requests = Counter("agent_requests_total", "-", ["method", "status", "endpoint"], registry=registry)
    durations = Histogram(
        "agent_request_duration_seconds", "-", ["method", "endpoint"], buckets=_DURATIONS, registry=registry
    )
    active = Gauge("agent_active_connections", "-", registry=registry)
    logger = structlog.wrap_logger(
        structlog.PrintLogger(sys.stdout),
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.add_log_level,
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            structlog.processors.UnicodeDecoder(),
            structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        cache_logger_on_first_use=True,
    )

    def decorate(function):
        @functools.wraps(function)
        async def wrapper(*args, **kwargs):
            began = time.monotonic()
            active.inc()
            try:
                return await function(*args, **kwargs)
            finally:
                duration = time.monotonic() - began
                durations.labels(**LABELS).observe(duration)
                requests.labels(status="success", **LABELS).inc()
                active.dec()
                logger.info(
                    "Function executed", function="query", duration=duration, status="success", **LABELS
                )

        return wrapper

    return decorate
