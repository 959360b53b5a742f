"""Waits for structlog: a program that never imports it does not pay for it.

structlog brings rich and more with it, a sixth of the time of a first `otelkit.init`. So it is not
imported for the program; its hooks are put in when the program imports it.
"""

from __future__ import annotations

import os
import sys
import threading
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from otelkit import _guard

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

__all__ = ["fetch", "is_here", "when_here"]

_NAME = "structlog"


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
            import structlog  # noqa: F401

            # What its hooks and our own loggers need besides.
            from otelkit.logs import naming  # noqa: F401


def is_here() -> bool:
    """Whether structlog is imported, whole."""
    spec = getattr(sys.modules.get(_NAME), "__spec__", None)
    return spec is not None and not getattr(spec, "_initializing", False)


def when_here(callback: Callable[[], None]) -> None:
    """Call ``callback`` when structlog has been imported; once for all that was given before.

    Args:
        callback: Its failures are ours and never the import's.
    """
    for finder in sys.meta_path:
        if isinstance(finder, _Finder):
            finder.callback = callback
            return
    sys.meta_path.insert(0, _Finder(callback))


class _Finder:
    """Finds nothing itself: asks the others for structlog, and is told when it is loaded."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback = callback
        self._local = threading.local()

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of structlog with a loader that calls back; None for every other module."""
        del path, target
        if name != _NAME or getattr(self._local, "asking", False):
            return None
        self._local.asking = True
        try:
            spec = find_spec(name)
        finally:
            self._local.asking = False
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, self)  # type: ignore[assignment]
        return spec

    def loaded(self) -> None:
        """Structlog is there: call back, and look for it no longer."""
        if self in sys.meta_path:
            sys.meta_path.remove(self)
        with _guard.guard("logs.arrival"):
            self.callback()


class _Loader:
    """Loads as the real loader does, then calls back."""

    def __init__(self, loader: Any, finder: _Finder) -> None:
        self._loader = loader
        self._finder = finder

    def create_module(self, spec: ModuleSpec) -> Any:
        """As the real loader."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """As the real loader; from then on the module has that one."""
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._loader.exec_module(module)
        self._finder.loaded()
