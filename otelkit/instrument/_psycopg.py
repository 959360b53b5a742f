"""psycopg 3: statements without their values."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from otelkit.instrument._library import Library
from otelkit.instrument._official import official

if TYPE_CHECKING:
    from otelkit.settings import Settings

__all__ = ["LIBRARY"]


def _options() -> dict[str, Any]:
    from otelkit.instrument._sql.spans import ValuelessProvider

    return {"tracer_provider": ValuelessProvider("postgresql"), "capture_parameters": False}


_official = official("opentelemetry.instrumentation.psycopg:PsycopgInstrumentor", _options)


def _turn_on(settings: Settings) -> Callable[[], object]:
    import psycopg

    from otelkit.instrument._sql.errors import put_psycopg_words

    classes = (psycopg.Connection, psycopg.AsyncConnection)
    found = [vars(owner).get("connect") for owner in classes]
    official_undo = _official(settings)
    ours = [vars(owner).get("connect") for owner in classes]
    words_undo = put_psycopg_words()

    def undo() -> None:
        words_undo()
        # It puts back a method bound to this class: a subclass would connect as the base class.
        own = [vars(owner).get("connect") is one for owner, one in zip(classes, ours, strict=True)]
        official_undo()
        for owner, was_ours, method in zip(classes, own, found, strict=True):
            if was_ours and method is not None:
                setattr(owner, "connect", method)  # noqa: B010 - mypy knows no assignment to a method

    return undo


LIBRARY = Library(
    name="psycopg",
    modules=("psycopg", "opentelemetry.instrumentation.psycopg"),
    pip="psycopg opentelemetry-instrumentation-psycopg",
    turn_on=_turn_on,
    follows=(),
)
