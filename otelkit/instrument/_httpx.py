"""Requests made with httpx."""

from otelkit.instrument._library import Library
from otelkit.instrument._official import official

__all__ = ["LIBRARY"]

LIBRARY = Library(
    name="httpx",
    modules=("httpx", "opentelemetry.instrumentation.httpx"),
    pip="httpx opentelemetry-instrumentation-httpx",
    turn_on=official("opentelemetry.instrumentation.httpx:HTTPXClientInstrumentor"),
    follows=(),
)
