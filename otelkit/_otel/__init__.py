"""The private and beta parts of OpenTelemetry Python that otelkit uses, all in this one room.

Everything here may change with a minor release of OpenTelemetry. It works with 1.39 to 1.45; the
rest of otelkit imports stable names only. Attributes are resolved at first use, so that the API's
parts cost nothing of the SDK.
"""

from __future__ import annotations

import os
from functools import lru_cache
from inspect import signature
from time import time_ns
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any

from opentelemetry.context import _RUNTIME_CONTEXT as RUNTIME_CONTEXT
from opentelemetry.context import _SUPPRESS_INSTRUMENTATION_KEY as SUPPRESS_INSTRUMENTATION_KEY
from opentelemetry.trace.propagation import _SPAN_KEY as SPAN_KEY

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry._logs import Logger, LoggerProvider, LogRecord, NoOpLogger, SeverityNumber
    from opentelemetry.context import Context
    from opentelemetry.metrics import _Gauge as Gauge
    from opentelemetry.sdk._logs import LoggerProvider as SdkLoggerProvider
    from opentelemetry.sdk._logs import LogRecordProcessor, ReadableLogRecord, ReadWriteLogRecord
    from opentelemetry.sdk._logs.export import LogRecordExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import _Span as SdkSpan

__all__ = [
    "RUNTIME_CONTEXT",
    "SPAN_KEY",
    "SUPPRESS_INSTRUMENTATION_KEY",
    "Gauge",
    "LogRecord",
    "LogRecordExporter",
    "LogRecordProcessor",
    "Logger",
    "LoggerProvider",
    "NoOpLogger",
    "ReadWriteLogRecord",
    "ReadableLogRecord",
    "SdkLoggerProvider",
    "SdkSpan",
    "SeverityNumber",
    "current_context",
    "get_logger",
    "get_logger_provider",
]

_HOMES = {
    # The logs API and SDK are complete but still in `_logs` (beta).
    "LogRecord": ("opentelemetry._logs", "LogRecord"),
    "Logger": ("opentelemetry._logs", "Logger"),
    "LoggerProvider": ("opentelemetry._logs", "LoggerProvider"),
    "NoOpLogger": ("opentelemetry._logs", "NoOpLogger"),
    "SeverityNumber": ("opentelemetry._logs", "SeverityNumber"),
    "ReadableLogRecord": ("opentelemetry.sdk._logs", "ReadableLogRecord"),
    "ReadWriteLogRecord": ("opentelemetry.sdk._logs", "ReadWriteLogRecord"),
    "SdkLoggerProvider": ("opentelemetry.sdk._logs", "LoggerProvider"),
    "LogRecordProcessor": ("opentelemetry.sdk._logs", "LogRecordProcessor"),
    "LogRecordExporter": ("opentelemetry.sdk._logs.export", "LogRecordExporter"),
    # The class of the spans that the SDK's tracer makes; the public `Span` cannot be subclassed alone.
    "SdkSpan": ("opentelemetry.sdk.trace", "_Span"),
    # The synchronous gauge of the metrics API, still under a private name.
    "Gauge": ("opentelemetry.metrics", "_Gauge"),
}


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value = getattr(import_module(home[0]), home[1])
    globals()[name] = value
    return value


# The context of the moment. A C function where the runtime context holds a context variable (the only
# implementation there is): it is asked several times for each span, log record and measurement.
current_context: Callable[[], Context] = getattr(
    getattr(RUNTIME_CONTEXT, "_current_context", None), "get", RUNTIME_CONTEXT.get_current
)


def get_logger(name: str, version: str | None = None) -> Logger:
    """An OTel logger of the global logger provider."""
    from opentelemetry._logs import get_logger as api_get_logger

    return api_get_logger(name, version or "")


def get_logger_provider() -> LoggerProvider:
    """The global logger provider (a proxy while nobody has set one)."""
    from opentelemetry._logs import get_logger_provider as api_get_logger_provider

    return api_get_logger_provider()


def load_sdk() -> None:
    """Import the SDK's tracing; its import raises when a limit variable is malformed."""
    from importlib import import_module

    try:
        import_module("opentelemetry.sdk.trace")
    except ValueError:
        hidden = {name: os.environ.pop(name) for name in list(os.environ) if _is_limit(name)}
        try:
            import_module("opentelemetry.sdk.trace")
        finally:
            os.environ.update(hidden)


def _is_limit(name: str) -> bool:
    return name.startswith("OTEL_") and name.endswith("_LIMIT")


def start_span_of(tracer: Any, span_class: type[Any]) -> Callable[..., Any]:
    """`start_span` of the SDK's tracer, but making spans of ``span_class``, a subclass of `SdkSpan`.

    The tracer names the class in a global of its module: this is the same function with another
    global. Giving a finished span its class afterwards would cost as much again as our own methods
    do. Where the SDK's function no longer looks like that, it is returned, and makes its own spans.
    """
    start = tracer.start_span
    function = getattr(start, "__func__", None)
    if not isinstance(function, FunctionType) or "_Span" not in function.__code__.co_names:
        return start  # type: ignore[no-any-return]
    return MethodType(_with_span_class(function, span_class), tracer)  # type: ignore[arg-type]


def give_attributes(span: Any, attributes: Mapping[str, Any]) -> None:
    """Put attributes that are clean, and within all limits, into a span that has none yet."""
    span._attributes._dict.update(attributes)


@lru_cache(maxsize=8)
def _with_span_class(function: FunctionType, span_class: Any) -> FunctionType:
    names = {**function.__globals__, "_Span": span_class}
    made = FunctionType(
        function.__code__, names, function.__name__, function.__defaults__, function.__closure__
    )
    made.__kwdefaults__ = function.__kwdefaults__
    return made


def make_record(**fields: Any) -> LogRecord:
    """A log record of the API's fields; one given without a time is stamped with the present one."""
    exception = fields.pop("exception", None)
    record: Any = (globals().get("LogRecord") or __getattr__("LogRecord"))(**fields)
    if record.observed_timestamp is None:
        record.observed_timestamp = time_ns()
    if exception is not None:
        record.exception = exception
    return record  # type: ignore[no-any-return]


def sampler(name: str, argument: str | None) -> Any:
    """The sampler without a ratio of that name, as `OTEL_TRACES_SAMPLER` has it.

    Raises:
        LookupError: No installed package offers it.
    """
    from opentelemetry.sdk.trace import sampling

    known = sampling._KNOWN_SAMPLERS
    if name in known:
        return known[name]
    from importlib.metadata import entry_points

    for entry in entry_points(group="opentelemetry_traces_sampler", name=name):
        return entry.load()(argument)
    raise LookupError(f"no installed package offers a sampler named {name!r}")


def span_limits(
    *,
    attributes: int | None,
    events: int | None,
    links: int | None,
    event_attributes: int | None,
    link_attributes: int | None,
    length: int | None,
) -> Any:
    """The SDK's span limits; None is no limit. Given whole, as the SDK raises for a malformed variable."""
    from opentelemetry.sdk.trace import SpanLimits

    def limit(value: int | None) -> int:
        return SpanLimits.UNSET if value is None else value

    return SpanLimits(
        max_attributes=limit(attributes),
        max_events=limit(events),
        max_links=limit(links),
        max_span_attributes=limit(attributes),
        max_event_attributes=limit(event_attributes),
        max_link_attributes=limit(link_attributes),
        max_attribute_length=limit(length),
        max_span_attribute_length=limit(length),
    )


def logger_provider(resource: Resource, *, attributes: int | None, length: int | None) -> SdkLoggerProvider:
    """The SDK's logger provider, with these limits of a record where its version takes them."""
    from opentelemetry.sdk import _logs

    more: dict[str, Any] = {}
    if "log_record_limits" in signature(_logs.LoggerProvider).parameters:
        more["log_record_limits"] = _logs.LogRecordLimits(
            max_attributes=attributes, max_attribute_length=length
        )
    return _logs.LoggerProvider(resource=resource, shutdown_on_exit=False, **more)


def scope_of(logger: Any) -> Any:
    """The instrumentation scope of the SDK's logger."""
    return logger._instrumentation_scope


def id_generator(name: str) -> Any:
    """The id generator of that name, as `OTEL_PYTHON_ID_GENERATOR` has it.

    Raises:
        LookupError: No installed package offers it.
    """
    if name == "random":
        from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

        return RandomIdGenerator()
    from importlib.metadata import entry_points

    for entry in entry_points(group="opentelemetry_id_generator", name=name):
        return entry.load()()
    raise LookupError(f"no installed package offers an id generator named {name!r}")


def register_provider(signal: str, provider: Any) -> Any:
    """Register the global provider of a signal.

    Returns:
        None, or the provider that somebody else registered before and that stays.
    """
    from opentelemetry import _logs, metrics, trace

    homes: dict[str, tuple[Any, str, Callable[[Any], None]]] = {
        "traces": (trace, "_TRACER_PROVIDER", trace.set_tracer_provider),
        "metrics": (metrics._internal, "_METER_PROVIDER", metrics.set_meter_provider),
        "logs": (_logs._internal, "_LOGGER_PROVIDER", _logs.set_logger_provider),
    }
    home, variable, register = homes[signal]
    if getattr(home, variable) is None:
        register(provider)
    present = getattr(home, variable)
    return None if present is provider else present


def named_exporter(signal: str, name: str) -> Any:
    """The exporter that an installed package offers under ``name``.

    Raises:
        LookupError: No installed package offers it.
    """
    from importlib.metadata import entry_points

    group = f"opentelemetry_{signal}_exporter"
    for entry in entry_points(group=group, name=name):
        return entry.load()()
    raise LookupError(f"no installed package offers an exporter of that name (entry points {group})")
