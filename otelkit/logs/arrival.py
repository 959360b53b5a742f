"""Waits for structlog: a program that never imports it does not pay for it.

structlog brings rich and more with it, a sixth of the time of a first `otelkit.init`. So it is not
imported for the program; its hooks are put in when the program imports it.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable

from otelkit._arrival import import_quietly, when_imported

__all__ = ["fetch", "is_here", "when_here"]

_NAME = "structlog"
_forget_earlier: Callable[[], object] = bool

# Held while otelkit itself imports structlog, and at each fork: a child that is forked in the middle
# of an import could never finish it.
_importing = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_importing.acquire, after_in_parent=_importing.release, after_in_child=_importing.release
    )


def fetch() -> None:
    """Import structlog now; a fork by another thread waits for it."""
    if not is_here():
        with _importing:
            import_quietly("structlog")

            # What its hooks and our own loggers need besides.
            from otelkit.logs import naming  # noqa: F401


def is_here() -> bool:
    """Whether structlog is imported, whole."""
    spec = getattr(sys.modules.get(_NAME), "__spec__", None)
    return spec is not None and not getattr(spec, "_initializing", False)


def when_here(callback: Callable[[], None]) -> None:
    """Call ``callback`` when structlog has been imported, in place of one that was given before."""
    global _forget_earlier
    _forget_earlier()
    _forget_earlier = when_imported(_NAME, callback)
