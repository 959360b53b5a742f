"""Requests made with requests."""

from otelkit.instrument._library import Library
from otelkit.instrument._official import official

__all__ = ["LIBRARY"]

LIBRARY = Library(
    name="requests",
    modules=("requests", "opentelemetry.instrumentation.requests"),
    pip="requests opentelemetry-instrumentation-requests",
    turn_on=official("opentelemetry.instrumentation.requests:RequestsInstrumentor"),
    follows=(),
)
