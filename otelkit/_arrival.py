"""Waits for a library: a program that never imports it does not pay for it.

To import every library that is installed would cost a program seconds that it does not use, so each
one is met when the program has imported it.
"""

from __future__ import annotations

import sys
import threading
from contextlib import redirect_stdout
from importlib import import_module
from importlib.util import find_spec
from io import StringIO
from typing import TYPE_CHECKING, Any

from otelkit import _guard

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType

__all__ = ["import_quietly", "when_imported"]


def import_quietly(module: str) -> ModuleType:
    """Import a module that asks stdout, when it is imported, whether it is a terminal: also a closed one.

    Args:
        module: A top-level one: a part of it may be left of an import that has failed.
    """
    try:
        return import_module(module)
    except Exception:
        with redirect_stdout(StringIO()):
            return import_module(module)


def when_imported(module: str, callback: Callable[[], None]) -> Callable[[], None]:
    """Call ``callback`` once ``module`` is imported: now where it is, else right after its import.

    Args:
        module: Its full name.
        callback: Called once, in the thread that imports. Its failures are ours, never the import's.

    Returns:
        What makes it wait no longer.
    """
    one = _Once(callback)
    _FINDER.waiting.setdefault(module, []).append(one)
    if _FINDER not in sys.meta_path:
        sys.meta_path.insert(0, _FINDER)
    if module in sys.modules and not _FINDER.loading(module):
        _FINDER.arrived(module)  # looked at after it was put on the list: no import comes in between
    return one.cancel


class _Once:
    """A callback that is called once at the most."""

    def __init__(self, callback: Callable[[], None]) -> None:
        self._callback: list[Callable[[], None]] = [callback]

    def call(self) -> None:
        try:
            callback = self._callback.pop()
        except IndexError:  # called by another thread, or cancelled
            return
        with _guard.guard("arrival"):
            callback()

    def cancel(self) -> None:
        self._callback.clear()


class _Finder:
    """Finds nothing itself: asks the others for what is waited for, and is told when it is loaded."""

    def __init__(self) -> None:
        self.waiting: dict[str, list[_Once]] = {}
        self._loading: set[str] = set()
        self._local = threading.local()

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """The spec of a module that is waited for, with a loader that tells; None for every other."""
        del path, target
        if name not in self.waiting or getattr(self._local, "asking", None) == name:
            return None
        self._local.asking = name
        try:
            spec = find_spec(name)
        finally:
            self._local.asking = None
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader, self)  # type: ignore[assignment]
        return spec

    def loading(self, name: str) -> bool:
        """Whether a module is being executed now by a loader that will tell."""
        return name in self._loading

    def begin(self, name: str) -> None:
        """A module is about to be executed."""
        self._loading.add(name)

    def end(self, name: str, *, loaded: bool) -> None:
        """It has been executed, or that has failed and may be tried again."""
        self._loading.discard(name)
        if loaded:
            self.arrived(name)

    def arrived(self, name: str) -> None:
        """A module is there: call back, and look for it no longer."""
        for one in self.waiting.pop(name, ()):
            one.call()
        if not self.waiting and self in sys.meta_path:
            sys.meta_path.remove(self)


_FINDER = _Finder()


class _Loader:
    """Loads as the real loader does, then tells; anything else that is asked of it is the real one's."""

    def __init__(self, loader: Any, finder: _Finder) -> None:
        self._loader = loader
        self._finder = finder

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: ModuleSpec) -> Any:
        """As the real loader."""
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """As the real loader; from then on the module has that one."""
        name = module.__name__
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        module.__loader__ = self._loader
        self._finder.begin(name)
        loaded = False
        try:
            self._loader.exec_module(module)
            loaded = True
        finally:
            self._finder.end(name, loaded=loaded)
