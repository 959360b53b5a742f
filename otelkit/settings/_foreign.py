"""The standard variables that are no settings of otelkit: who reads them, or that nobody does."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["FOREIGN", "Foreign"]


class Foreign(NamedTuple):
    """A variable, whether it has an effect in a process that uses otelkit, and what it is for."""

    name: str
    effect: bool
    help: str


_EXPORTERS = "for the official OTLP exporters, which are not used here"
_HTTP_HEADERS = "read by HTTP instrumentations"
_CONFIGURATOR = "disabled_scopes does this here"
_PROVIDER = "otelkit registers its own provider"
_ZERO_CODE = "for the opentelemetry-instrument command"

FOREIGN: tuple[Foreign, ...] = (
    Foreign("OTEL_SEMCONV_STABILITY_OPT_IN", True, "conventions of instrumentations, read once by the first"),
    Foreign("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_REQUEST", True, _HTTP_HEADERS),
    Foreign("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_CLIENT_RESPONSE", True, _HTTP_HEADERS),
    Foreign("OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SANITIZE_FIELDS", True, _HTTP_HEADERS),
    Foreign("OTEL_PYTHON_INSTRUMENTATION_HTTP_CAPTURE_ALL_METHODS", True, "read by HTTP instrumentations"),
    Foreign("OTEL_PYTHON_CONTEXT", True, "read by the OpenTelemetry API at import"),
    Foreign("OTEL_PYTHON_SDK_INTERNAL_METRICS_ENABLED", True, "read by the SDK and its exporters"),
    Foreign("OTEL_PYTHON_EXPORTER_OTLP_GRPC_RETRYABLE_ERROR_CODES", False, _EXPORTERS),
    *(
        Foreign(f"OTEL_PYTHON_EXPORTER_OTLP_{protocol}_{signal}CREDENTIAL_PROVIDER", False, _EXPORTERS)
        for protocol in ("HTTP", "GRPC")
        for signal in ("", "TRACES_", "METRICS_", "LOGS_")
    ),
    Foreign("OTEL_CONFIG_FILE", False, "a declarative configuration is not read"),
    Foreign("OTEL_LOG_LEVEL", False, "no part of the Python SDK reads it; see OTELKIT_LOG_LEVEL"),
    Foreign("OTEL_BSP_EXPORT_TIMEOUT", False, "the SDK ignores it too; see OTEL_EXPORTER_OTLP_TIMEOUT"),
    Foreign("OTEL_BLRP_EXPORT_TIMEOUT", False, "the SDK ignores it too; see OTEL_EXPORTER_OTLP_TIMEOUT"),
    Foreign("OTEL_EXPORTER_ZIPKIN_ENDPOINT", False, "there is no Zipkin exporter here"),
    Foreign("OTEL_EXPORTER_ZIPKIN_TIMEOUT", False, "there is no Zipkin exporter here"),
    Foreign("OTEL_PYTHON_TRACER_CONFIGURATOR", False, _CONFIGURATOR),
    Foreign("OTEL_PYTHON_METER_CONFIGURATOR", False, _CONFIGURATOR),
    Foreign("OTEL_PYTHON_LOGGER_CONFIGURATOR", False, _CONFIGURATOR),
    Foreign("OTEL_PYTHON_TRACER_PROVIDER", False, _PROVIDER),
    Foreign("OTEL_PYTHON_METER_PROVIDER", False, _PROVIDER),
    Foreign("OTEL_PYTHON_LOGGER_PROVIDER", False, _PROVIDER),
    Foreign("OTEL_PYTHON_LOGGING_AUTO_INSTRUMENTATION_ENABLED", False, "log_setup does this here"),
    Foreign("OTEL_PYTHON_CONFIGURATOR", False, _ZERO_CODE),
    Foreign("OTEL_PYTHON_DISTRO", False, _ZERO_CODE),
    Foreign("OTEL_PYTHON_DISABLED_INSTRUMENTATIONS", False, _ZERO_CODE),
    Foreign("OTEL_PYTHON_AUTO_INSTRUMENTATION_EXPERIMENTAL_GEVENT_PATCH", False, _ZERO_CODE),
)
