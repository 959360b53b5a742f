"""Telemetry as OTLP: the SDK's data objects straight to the bytes of an export request, and no I/O."""

from otelkit.wire.encoded import Encoded

__all__ = ["Encoded"]
