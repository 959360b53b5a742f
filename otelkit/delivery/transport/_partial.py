"""What a receiver that took a request says about it: partial success."""

from __future__ import annotations

import importlib
from typing import Any

__all__ = ["partial_success"]

_RESPONSES = {
    "traces": ("trace", "ExportTraceServiceResponse", "rejected_spans"),
    "logs": ("logs", "ExportLogsServiceResponse", "rejected_log_records"),
    "metrics": ("metrics", "ExportMetricsServiceResponse", "rejected_data_points"),
}


def partial_success(signal: str, body: bytes, *, json: bool = False) -> tuple[int, str]:
    """How many items were rejected, and the message; ``(0, "")`` also for a body nobody can read.

    Source: OpenTelemetry Protocol Specification, "Partial Success".

    Args:
        signal: ``traces``, ``logs`` or ``metrics``.
        body: The response.
        json: Whether it is in JSON.
    """
    if not body:
        return 0, ""
    package, name, field = _RESPONSES[signal]
    module: Any = importlib.import_module(f"opentelemetry.proto.collector.{package}.v1.{package}_service_pb2")
    response = getattr(module, name)()
    try:
        if json:
            from google.protobuf import json_format  # type: ignore[import-untyped]

            json_format.Parse(body, response, ignore_unknown_fields=True)
        else:
            response.ParseFromString(body)
    except Exception:
        return 0, ""
    partial = response.partial_success
    return max(getattr(partial, field), 0), partial.error_message
