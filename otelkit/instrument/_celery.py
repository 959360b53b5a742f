"""Celery: tasks sent and tasks run, in one trace."""

from otelkit.instrument._library import Library
from otelkit.instrument._official import official

__all__ = ["LIBRARY"]

LIBRARY = Library(
    name="celery",
    modules=("celery", "opentelemetry.instrumentation.celery"),
    pip="celery opentelemetry-instrumentation-celery",
    turn_on=official("opentelemetry.instrumentation.celery:CeleryInstrumentor"),
    follows=(),
)
