"""The fields bound to the present context, by `otelkit.bind` or structlog itself."""

from __future__ import annotations

from typing import Any

from structlog import contextvars as _contextvars

__all__ = ["bound_fields"]

# Every bound key has one variable in this table. Asking those few is cheaper than going through
# the whole context, as `get_contextvars` does: 0.3 instead of 2 microseconds for each line.
_TABLE: dict[str, Any] | None = getattr(_contextvars, "_CONTEXT_VARS", None)
_PREFIX = len(_contextvars.STRUCTLOG_KEY_PREFIX)


def bound_fields() -> dict[str, Any]:
    """A new dict of the bound fields."""
    if _TABLE is None:
        return dict(_contextvars.get_contextvars())
    if not _TABLE:
        return {}
    return {
        name[_PREFIX:]: value
        for name, variable in _TABLE.copy().items()
        if (value := variable.get(...)) is not ...
    }
