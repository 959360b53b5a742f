"""Official instrumentations where they are one per process: their conventions, their process metrics."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "conventions_in_force",
    "process_of",
    "read_conventions",
    "renew_process",
    "system_metrics",
    "system_metrics_in_use",
]


def conventions_in_force() -> dict[str, str] | None:
    """The mode of the conventions for ``http`` and ``database``; None while nobody has asked.

    A mode is ``default`` (the old ones), the signal's own name (the stable ones) or ``.../dup``.
    """
    from opentelemetry.instrumentation import _semconv

    stability = _semconv._OpenTelemetrySemanticConventionStability
    if not stability._initialized:
        return None
    kinds = _semconv._OpenTelemetryStabilitySignalType
    signals = {"http": kinds.HTTP, "database": kinds.DATABASE}
    return {
        name: str(stability._get_opentelemetry_stability_opt_in_mode(signal).value)
        for name, signal in signals.items()
    }


def read_conventions() -> None:
    """Make the instrumentations read ``OTEL_SEMCONV_STABILITY_OPT_IN`` now, once and for all."""
    from opentelemetry.instrumentation import _semconv

    _semconv._OpenTelemetrySemanticConventionStability._initialize()  # type: ignore[no-untyped-call]


def system_metrics(config: Mapping[str, Any], provider: Any) -> Any:
    """Make the official process metrics on ``provider``'s meters; returns what they read from.

    An instrumentor of our own class, so that the official one stays free for others to turn on. Its
    `instrument` is passed by: it would also settle the HTTP conventions of the whole process.

    Raises:
        ImportError: The official package, or psutil, is not installed.
    """
    from opentelemetry.instrumentation.system_metrics import SystemMetricsInstrumentor

    class OwnMetrics(SystemMetricsInstrumentor):  # type: ignore[misc, unused-ignore]
        _instance = None

    made = OwnMetrics(config=dict(config))
    made._instrument(meter_provider=provider)
    return made


def system_metrics_in_use() -> bool:
    """Whether somebody turned on the official system metrics themselves."""
    from opentelemetry.instrumentation.system_metrics import SystemMetricsInstrumentor

    return bool(getattr(SystemMetricsInstrumentor._instance, "_is_instrumented_by_opentelemetry", False))


def process_of(made: Any) -> Any:
    """The psutil process that `system_metrics` read from."""
    return made._proc


def renew_process(made: Any) -> None:
    """Let them read the present process, in a fork's child."""
    made._proc = type(made._proc)(os.getpid())
