"""OTLP over HTTP or gRPC, by the official exporters.

Their own log lines (one per failed try) are kept off the application's log: they are counted, and
the last one is the reason in otelkit's own line.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otelkit import _guard, _otel
from otelkit.errors import ConfigurationError
from otelkit.processors.context import suppress, suppressed

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricExporter

    from otelkit.settings import OtlpTarget

__all__ = ["MetricExit", "RecordExit", "build_exporter", "last_error", "quiet"]

_EXPORTER_LOGGERS = (
    "opentelemetry.exporter.otlp.common.http",
    "opentelemetry.exporter.otlp.proto.http._log_exporter",
    "opentelemetry.exporter.otlp.proto.http.metric_exporter",
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.exporter.otlp.proto.grpc.exporter",
    "opentelemetry.exporter.otlp.proto.grpc._log_exporter",
    "opentelemetry.exporter.otlp.proto.grpc.metric_exporter",
    "opentelemetry.exporter.otlp.proto.grpc.trace_exporter",
    # Where a malformed header is logged, with its value.
    "opentelemetry.util.re",
)


_MAX_REASON = 300


class _Quiet(logging.Filter):
    """Drops what the exporters log from our own threads, and remembers the last of it."""

    def __init__(self) -> None:
        super().__init__()
        self.last = ""

    def filter(self, record: logging.LogRecord) -> bool:
        if not suppressed():
            return True
        if record.levelno >= logging.WARNING and "shutdown" not in str(record.msg).lower():
            self.last = record.getMessage()[:_MAX_REASON]
        return False


_QUIET = _Quiet()


def quiet() -> None:
    """Keep the exporters' log lines of our own threads off the application's log; idempotent."""
    for name in _EXPORTER_LOGGERS:
        logging.getLogger(name).addFilter(_QUIET)


def last_error() -> str:
    """What an exporter last complained of, or an empty text."""
    return _QUIET.last


def build_exporter(signal: str, target: OtlpTarget, **more: Any) -> Any:
    """The official exporter for one signal.

    Args:
        signal: ``traces``, ``metrics`` or ``logs``.
        target: Where and how, resolved.
        **more: Further arguments of that signal's exporter.

    Raises:
        ConfigurationError: A file for TLS cannot be read.
        Exception: Whatever the exporter raises.
    """
    _check_files(target)
    arguments: dict[str, Any] = {
        "endpoint": target.url,
        "headers": dict(target.headers),
        "timeout": target.timeout_s,
        **more,
    }
    if target.protocol == "grpc":
        arguments |= _grpc_arguments(target)
    else:
        arguments |= _http_arguments(target)
    exporter_class = _otel.exporter_class(signal, target.protocol)
    quiet()
    _QUIET.last = ""
    # The exporters read the variables again and log what is wrong with them, secrets included;
    # our settings have said it already.
    with suppress():
        return exporter_class(**{name: value for name, value in arguments.items() if value is not None})


def _http_arguments(target: OtlpTarget) -> dict[str, Any]:
    from opentelemetry.exporter.otlp.proto.http import Compression

    return {
        "certificate_file": target.certificate,
        "client_key_file": target.client_key,
        "client_certificate_file": target.client_certificate,
        "compression": Compression(target.compression) if target.compression else None,
    }


def _grpc_arguments(target: OtlpTarget) -> dict[str, Any]:
    from grpc import Compression, ssl_channel_credentials

    names = {"gzip": Compression.Gzip, "deflate": Compression.Deflate, "none": Compression.NoCompression}
    files = (target.certificate, target.client_key, target.client_certificate)
    credentials = None
    if not target.insecure and any(files):
        credentials = ssl_channel_credentials(*(_read(path) if path else None for path in files))
    return {
        "insecure": target.insecure,
        "credentials": credentials,
        # gRPC metadata keys are lower case by definition.
        "headers": {name.lower(): value for name, value in target.headers.items()} or None,
        "compression": names.get(target.compression or ""),
    }


def _check_files(target: OtlpTarget) -> None:
    """Find now what the exporters would find at each request, or would log and go without."""
    plain = target.insecure if target.protocol == "grpc" else target.url.startswith("http:")
    for name in () if plain else ("certificate", "client_key", "client_certificate"):
        path = getattr(target, name)
        try:
            if path:
                _read(path)
        except OSError as error:
            raise ConfigurationError(
                f"{name}={path} (OTEL_EXPORTER_OTLP_{name.upper()}) cannot be used: "
                f"{_guard.describe(error)}. Nothing is sent over OTLP with it; give a file that can be read."
            ) from error


def _read(path: str) -> bytes:
    return Path(path).read_bytes()


def _nobody(_: object) -> bool:
    return False


@dataclass(slots=True)
class RecordExit:
    """A way out over a `SpanExporter` or `LogRecordExporter`, official or the user's.

    Args:
        name: For messages.
        exporter: Anything with ``export``, ``shutdown`` and perhaps ``force_flush``.
        official: One of the OTLP exporters, whose ``shutdown`` never blocks and ends a retry.
        in_use: Asked at the end: whether another runtime uses the exporter, so that it is flushed
            and stays open.
    """

    name: str
    exporter: Any
    official: bool = False
    in_use: Callable[[object], bool] = _nobody

    def send(self, batch: Sequence[Any]) -> bool:
        """Export ``batch``; whether the exporter reports success."""
        return _succeeded(self.exporter.export(batch))

    def interrupt(self) -> None:
        """End the official exporter's retries; another one's ``shutdown`` might block."""
        if self.official:
            self.exporter.shutdown()

    def close(self) -> None:
        """Shut the exporter down, or only flush it while another runtime uses it."""
        if not self.in_use(self.exporter):
            self.exporter.shutdown()
            return
        force_flush = getattr(self.exporter, "force_flush", None)
        if force_flush is not None:
            force_flush()


@dataclass(slots=True)
class MetricExit:
    """A way out over the official `MetricExporter` for OTLP."""

    name: str
    exporter: MetricExporter

    def send(self, batch: Sequence[Any]) -> bool:
        """Export each collection in ``batch``; whether all were taken."""
        return all(_succeeded(self.exporter.export(data)) for data in batch)

    def interrupt(self) -> None:
        """End the exporter's retries."""
        self.exporter.shutdown()

    def close(self) -> None:
        """Shut the exporter down."""
        self.exporter.shutdown()


def _succeeded(result: object) -> bool:
    """Whether an exporter's answer means success; the three result enums name it alike."""
    return getattr(result, "name", None) == "SUCCESS"
