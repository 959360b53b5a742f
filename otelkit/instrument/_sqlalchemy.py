"""SQLAlchemy: statements without their values, for engines made after it is turned on."""

from __future__ import annotations

from typing import Any

from otelkit.instrument._library import Library
from otelkit.instrument._official import official

__all__ = ["LIBRARY"]


def _options() -> dict[str, Any]:
    from otelkit.instrument._sql.spans import ValuelessProvider

    return {"tracer_provider": ValuelessProvider(), "enable_commenter": False}


LIBRARY = Library(
    name="sqlalchemy",
    modules=("sqlalchemy", "opentelemetry.instrumentation.sqlalchemy"),
    pip="sqlalchemy opentelemetry-instrumentation-sqlalchemy",
    turn_on=official("opentelemetry.instrumentation.sqlalchemy:SQLAlchemyInstrumentor", _options),
    follows=(),
)
