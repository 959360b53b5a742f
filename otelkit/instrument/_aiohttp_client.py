"""Requests made with aiohttp's client."""

from otelkit.instrument._library import Library
from otelkit.instrument._official import official

__all__ = ["LIBRARY"]

LIBRARY = Library(
    name="aiohttp-client",
    modules=("aiohttp", "opentelemetry.instrumentation.aiohttp_client"),
    pip="aiohttp opentelemetry-instrumentation-aiohttp-client",
    turn_on=official("opentelemetry.instrumentation.aiohttp_client:AioHttpClientInstrumentor"),
    follows=(),
)
