"""A process in which no instrumentation has asked yet which conventions to follow."""

from __future__ import annotations

from contextlib import contextmanager

from opentelemetry.instrumentation._semconv import _OpenTelemetrySemanticConventionStability as Stability


@contextmanager
def conventions_read_anew():
    """Inside, the first one asks; afterwards all is as before."""
    before = Stability._initialized, dict(Stability._OTEL_SEMCONV_STABILITY_SIGNAL_MAPPING)
    Stability._initialized = False
    Stability._OTEL_SEMCONV_STABILITY_SIGNAL_MAPPING = {}
    try:
        yield
    finally:
        Stability._initialized, Stability._OTEL_SEMCONV_STABILITY_SIGNAL_MAPPING = before
