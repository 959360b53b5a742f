"""What is instrumented now, who wants it, and what takes it back.

A library is instrumented while at least one runtime wants it. When `otelkit.init` replaces a runtime,
a library that both want stays instrumented all the while: `handover` puts off what the old one gives
up until the new one has said what it wants.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

from otelkit import _guard
from otelkit._arrival import when_imported

if TYPE_CHECKING:
    from otelkit.instrument._library import Library
    from otelkit.settings import Settings

__all__ = ["claim", "handover", "keep", "names", "undo_all"]

_lock = threading.RLock()  # never held while a library is turned on or off: that imports
_wanted: dict[str, _Wanted] = {}
_kept: list[Callable[[], None]] = []
_handing_over = 0


class _Wanted:
    """One library that somebody has wanted to be instrumented, for the rest of the process.

    Its turn is taken by one thread at a time: another one leaves its wish behind, and the first
    carries it out before it leaves.

    Attributes:
        library: The library.
        settings: Those of the last wish.
        claims: Whoever wants it now.
    """

    def __init__(self, library: Library, settings: Settings) -> None:
        self.library = library
        self.settings = settings
        self.claims: set[object] = set()
        self._undo: Callable[[], object] | None = None
        self._made_for: Settings | None = None
        self._here = False
        self._busy = False
        self._cancel: Callable[[], None] | None = None

    @property
    def is_on(self) -> bool:
        """Whether it is instrumented now."""
        return self._undo is not None

    def take(self, library: Library, settings: Settings) -> None:
        """Follow the latest wish."""
        if library is not self.library:
            self.library, self._here, self._cancel = library, False, None
        self.settings = settings

    def wait(self) -> None:
        """Instrument it once the program has imported it, while somebody wants it."""
        if not self.library.modules:
            self._arrive()
        elif self._cancel is None:
            self._cancel = when_imported(self.library.modules[0], self._arrive)

    def wait_no_longer(self) -> None:
        """Nobody wants it any more."""
        cancel, self._cancel = self._cancel, None
        if cancel is not None:
            cancel()

    def _arrive(self) -> None:
        self._here = True
        self.settle()

    def settle(self) -> None:
        """Make what is there follow what is wanted; again does nothing."""
        while True:
            with _lock:
                undo, settings = self._undo, self.settings
                turn = self._turn()
                if self._busy or turn is None:
                    return
                self._busy = True
                self._undo = None
            try:
                if undo is not None:
                    self._turn_off(undo)
                if turn == "on":
                    made = self._turn_on(settings)
                    with _lock:
                        self._undo, self._made_for = made, settings
            finally:
                with _lock:
                    self._busy = False

    def _turn(self) -> Literal["on", "off"] | None:
        """What is to be done: off, on (after off, where it is on by other settings), or nothing."""
        if not self.claims:
            return "off" if self.is_on and not _handing_over else None
        if self.is_on:
            return "on" if self._is_stale() else None
        # What failed is tried again by other settings only.
        return "on" if self._here and self._made_for is not self.settings else None

    def _is_stale(self) -> bool:
        follows, made_for = self.library.follows, self._made_for
        if follows is None:
            return made_for != self.settings
        return any(getattr(made_for, name) != getattr(self.settings, name) for name in follows)

    def _turn_on(self, settings: Settings) -> Callable[[], object] | None:
        try:
            return self.library.turn_on(settings)
        except Exception:
            _guard.say(
                f"instrument={self.library.name!r}: {_guard.current_error()}. The library works on, without "
                f"telemetry of its own; leave it out of instrument= to have this line no more.",
                key=f"instrument:{self.library.name}",
            )
            return None

    def _turn_off(self, undo: Callable[[], object]) -> None:
        self._made_for = None
        try:
            undo()
        except Exception:
            _guard.swallowed("instrument.undo")


def claim(library: Library, settings: Settings) -> Callable[[], None]:
    """Want a library to be instrumented, by these settings from now on.

    Args:
        library: Instrumented at once if the program has imported it, else when it does.
        settings: The latest given are in force.

    Returns:
        What gives the wish up; again does nothing.
    """
    mine = object()
    with _lock:
        wanted = _wanted.get(library.name)
        if wanted is None:
            wanted = _wanted[library.name] = _Wanted(library, settings)
        wanted.take(library, settings)
        wanted.claims.add(mine)
    wanted.wait()
    wanted.settle()

    def give_up() -> None:
        with _lock:
            wanted.claims.discard(mine)
        _sweep()

    return give_up


@contextmanager
def handover() -> Iterator[None]:
    """Inside, nothing is turned off: what is given up may be wanted again before the end."""
    global _handing_over
    with _lock:
        _handing_over += 1
    try:
        yield
    finally:
        with _lock:
            _handing_over -= 1
        _sweep()


def keep(undo: Callable[[], object]) -> Callable[[], None]:
    """Remember what takes one object's instrumentation back, for `undo_all`.

    Returns:
        The same, for once.
    """
    left = [undo]

    def undo_once() -> None:
        if left:
            found = left.pop()
            with _lock:
                if undo_once in _kept:
                    _kept.remove(undo_once)
            with _guard.guard("instrument.undo"):
                found()

    with _lock:
        _kept.append(undo_once)
    return undo_once


def undo_all() -> None:
    """Take everything back, whoever wants it."""
    with _lock:
        for wanted in _wanted.values():
            wanted.claims.clear()
        kept = list(_kept)
    for undo in reversed(kept):
        undo()
    _sweep()


def names() -> tuple[str, ...]:
    """The libraries that are instrumented now, in the order of their names."""
    with _lock:
        return tuple(sorted(name for name, wanted in _wanted.items() if wanted.is_on))


def _sweep() -> None:
    """Turn off what nobody wants, the last one first."""
    with _lock:
        idle = [] if _handing_over else [wanted for wanted in _wanted.values() if not wanted.claims]
    for wanted in reversed(idle):
        wanted.wait_no_longer()
        wanted.settle()


def _after_fork_in_child() -> None:
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
