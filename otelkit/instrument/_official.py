"""The official instrumentation of a library, turned on with otelkit's defaults and off again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

from otelkit.instrument._conventions import stable_conventions

if TYPE_CHECKING:
    from otelkit.instrument._library import TurnOn
    from otelkit.settings import Settings

__all__ = ["nothing", "official"]


def official(target: str, options: Callable[[], Mapping[str, Any]] | None = None) -> TurnOn:
    """What turns an official instrumentation on.

    Args:
        target: Its class, as an entry point has it: ``package.module:Class``.
        options: Gives the arguments of its ``instrument``; called when it is turned on.

    Returns:
        For `Library.turn_on`. One that the user has turned on already stays as it is, with the
        user's arguments, and is not turned off: what takes that back is `nothing`.
    """

    def turn_on(settings: Settings) -> Callable[[], object]:
        del settings  # the official ones have none of them
        module, _, name = target.partition(":")
        instrumentor = getattr(import_module(module), name)()
        if getattr(instrumentor, "is_instrumented_by_opentelemetry", False):
            return nothing
        stable_conventions()
        given = {} if options is None else options()
        try:
            instrumentor.instrument(raise_exception_on_conflict=True, **given)
        except Exception:
            _take_back(instrumentor)
            raise

        def undo() -> None:
            if getattr(instrumentor, "is_instrumented_by_opentelemetry", True):
                try:
                    instrumentor.uninstrument()
                finally:  # where that fails half-way, it would pass for turned on by the user
                    instrumentor._is_instrumented_by_opentelemetry = False

        return undo

    return turn_on


def _take_back(instrumentor: Any) -> None:
    """Undo what an `instrument` that failed half-way has done; it calls itself not instrumented."""
    try:
        instrumentor._uninstrument()
    except Exception:  # the half that was never done
        return


def nothing() -> None:
    """What takes back an instrumentation that is the user's: nothing."""
