"""SQLAlchemy: statements without their values, for engines made after it is turned on."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from otelkit import _guard
from otelkit.instrument._library import Library
from otelkit.instrument._official import nothing, official

if TYPE_CHECKING:
    from otelkit.settings import Settings

__all__ = ["LIBRARY"]


def _options() -> dict[str, Any]:
    # It takes `create_engine` from the module that the official one is about to wrap: imported later,
    # an asynchronous engine would be wrapped twice.
    import sqlalchemy.ext.asyncio  # noqa: F401

    from otelkit.instrument._sql.spans import ValuelessProvider

    return {"tracer_provider": ValuelessProvider(), "enable_commenter": False}


_official = official("opentelemetry.instrumentation.sqlalchemy:SQLAlchemyInstrumentor", _options)


def _turn_on(settings: Settings) -> Callable[[], object]:
    from opentelemetry.instrumentation.utils import unwrap
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    from otelkit.instrument._sql.errors import put_sqlalchemy_words

    official_undo = _official(settings)
    if official_undo is nothing:
        return nothing
    unwrap(Engine, "connect")  # a span for each connection borrowed from the pool
    # Listeners of the class are called before those of an engine, of which the official one ends the span.
    event.listen(Engine, "handle_error", _tell)
    words_undo = put_sqlalchemy_words()

    def undo() -> None:
        words_undo()
        event.remove(Engine, "handle_error", _tell)
        official_undo()

    return undo


def _tell(context: Any) -> None:
    """Tell a failed statement's span what failed; the official one has a message for it only."""
    with _guard.guard("instrument.sqlalchemy"):
        span = getattr(context.execution_context, "_otel_span", None)
        if span is not None:
            span.record_exception(context.original_exception)


LIBRARY = Library(
    name="sqlalchemy",
    modules=("sqlalchemy", "opentelemetry.instrumentation.sqlalchemy"),
    pip="sqlalchemy opentelemetry-instrumentation-sqlalchemy",
    turn_on=_turn_on,
    follows=(),
)
