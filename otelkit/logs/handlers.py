"""Whose handler is it: a test's, a server's by default, OpenTelemetry's own."""

from __future__ import annotations

import logging
import weakref

from otelkit import _otel
from otelkit.logs.running import LOCAL

__all__ = ["is_bystander", "is_server_default", "quieten_doubles", "unquieten"]

_homes: dict[type, str] = {}
_quietened: weakref.WeakSet[logging.Handler] = weakref.WeakSet()


def _home(handler: logging.Handler) -> str:
    kind = type(handler)
    home = _homes.get(kind)
    if home is None:
        # A subclass of OpenTelemetry's handler exports as well as the handler itself.
        modules = [base.__module__ for base in kind.__mro__]
        ours_too = any(m.startswith("opentelemetry.") for m in modules)
        home = _homes[kind] = "opentelemetry" if ours_too else kind.__module__.partition(".")[0]
    return home


def is_bystander(handler: logging.Handler) -> bool:
    """Whether a handler says nothing about the application's own configuration, and is left alone.

    True for pytest's captures, a `NullHandler` and OpenTelemetry's handler.
    """
    return _home(handler) in ("_pytest", "opentelemetry") or type(handler) is logging.NullHandler


def is_server_default(handler: logging.Handler) -> bool:
    """Whether uvicorn or gunicorn configured this handler by themselves."""
    formatter = handler.formatter
    home = type(formatter).__module__ if formatter is not None else ""
    return home == "uvicorn.logging" or bool(getattr(handler, "_gunicorn", False))


def quieten_doubles(logger: logging.Logger) -> None:
    """Keep OpenTelemetry's own handlers from exporting what was exported already.

    Args:
        logger: The logger that calls its handlers; they are looked at anew each time, as they may
            have been configured since.
    """
    one: logging.Logger | None = logger
    while one is not None:
        for handler in one.handlers:
            if _home(handler) == "opentelemetry" and handler not in _quietened and _exports_to_us(handler):
                handler.addFilter(_not_seen)
                _quietened.add(handler)
        one = one.parent if one.propagate else None


def unquieten() -> None:
    """Let OpenTelemetry's own handlers export again."""
    for handler in list(_quietened):
        handler.removeFilter(_not_seen)
    _quietened.clear()


def _exports_to_us(handler: logging.Handler) -> bool:
    provider = getattr(handler, "_logger_provider", None)
    return provider is None or provider is _otel.get_logger_provider()


def _not_seen(record: logging.LogRecord) -> bool:
    seen = LOCAL.seen
    return seen is None or seen[0] is not record
