"""The seam between `otelkit.instrument` and its files: one library, one file, one `Library` in it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otelkit.settings import Settings

__all__ = ["Library", "TurnOn", "importable"]

TurnOn = Callable[["Settings"], Callable[[], object]]
"""Instruments the library for the whole process and returns what takes that back.

Called with the modules of `Library.modules` importable, by one thread at a time, never twice without
the undoing in between. May raise: it is said in one line, and the library stays as it was.
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Library:
    """A library that can be instrumented.

    Attributes:
        name: What ``init(instrument=[...])`` calls it.
        modules: What must be importable: the library itself first, whose import is waited for, then
            its instrumentation. None: it is instrumented at once.
        pip: What to install where something is missing, as ``pip install`` takes it.
        turn_on: Instruments it.
        follows: The settings that `turn_on` reads. When a second `otelkit.init` wants the library too
            and none of these has changed, it stays as it is, with all that it knows (pools, say);
            else it is turned off and on. None: whichever setting has changed.
    """

    name: str
    modules: tuple[str, ...]
    pip: str
    turn_on: TurnOn
    follows: tuple[str, ...] | None = None

    @property
    def installed(self) -> bool:
        """Whether the library itself can be imported."""
        return not self.modules or importable(self.modules[0])

    @property
    def missing(self) -> tuple[str, ...]:
        """The modules that cannot be imported."""
        return tuple(module for module in self.modules if not importable(module))


def importable(module: str) -> bool:
    """Whether a module can be found; imports its parent packages at the most."""
    try:
        return find_spec(module) is not None
    except (ImportError, ValueError):
        return False
