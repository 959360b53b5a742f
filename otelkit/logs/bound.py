"""The fields bound to the present context, by `otelkit.bind` or structlog itself."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["bound_fields"]


def bound_fields() -> dict[str, Any]:
    """A new dict of the bound fields; nothing is bound before structlog is imported."""
    contextvars = sys.modules.get("structlog.contextvars")
    if contextvars is None:
        return {}
    # Every bound key has one variable in this table. Asking those few is cheaper than going through
    # the whole context, as `get_contextvars` does: 0.3 instead of 2 microseconds for each line.
    table: dict[str, Any] | None = getattr(contextvars, "_CONTEXT_VARS", None)
    if table is None:
        return dict(contextvars.get_contextvars())
    if not table:
        return {}
    prefix = len(contextvars.STRUCTLOG_KEY_PREFIX)
    return {
        name[prefix:]: value
        for name, variable in table.copy().items()
        if (value := variable.get(...)) is not ...
    }
