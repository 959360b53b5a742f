"""`Settings`: every choice as one frozen value. Its fields are the one table of settings.

A field's row says how it is parsed, the variables it is read from in the order of precedence
(``OTEL_*`` first), its default and its help; its name is the argument of `resolve` and the key in
``[tool.otelkit]``. Resolution, checks, `describe` and the documentation are derived from it.
"""

from __future__ import annotations

import dataclasses
import os
import sys
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from otelkit.errors import ConfigurationError
from otelkit.settings import _lists, _otlp, _pairs, _parse, _url
from otelkit.settings._checks import RATIO_SAMPLERS, make_usable
from otelkit.settings._problems import shown, unused
from otelkit.settings._row import Row, attribute, millis, rows_of, setting

if TYPE_CHECKING:
    import re

__all__ = ["ROWS", "ROWS_BY_NAME", "Settings"]

_SAMPLERS = (*RATIO_SAMPLERS, "parentbased_always_on", "parentbased_always_off", "always_on", "always_off")
_OTLP = ("otlp", "otlp_proto_http", "otlp_proto_grpc", "console")
HistogramAggregation = Literal["explicit_bucket_histogram", "base2_exponential_bucket_histogram"]

# Probes, metrics and API descriptions: asked for all the time, and of no interest in a trace.
PROBE_PATHS = (
    "/health", "/health/*", "/healthz", "/livez", "/readyz", "/startupz", "/live", "/ready", "/ping",
    "/metrics", "/docs", "/docs/*", "/redoc", "/openapi.json", "/favicon.ico",
)  # fmt: skip

_COUNT = _parse.integer(low=0)
_SIZE = _parse.integer(low=1)
_SECONDS = _parse.number(low=0, above=True, unit=" (seconds)")


def _unknown_service() -> str:
    name = os.path.basename(sys.executable or "")  # noqa: PTH119 - Path costs more than all the rest
    return f"unknown_service:{name}" if name else "unknown_service"


def _empty() -> Mapping[str, Any]:
    return _pairs.EMPTY


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Settings:
    """Every choice of otelkit, resolved and checked.

    `otelkit.settings.resolve` makes one from arguments, environment and pyproject.toml. Made
    directly, ``Settings(service_name="shop", sample_ratio=0.1)``, it holds what is given and
    defaults, and reads nothing. Either way each value is checked: one that cannot be used is
    replaced by its default and named in ``problems``; with ``strict=True`` it is an error.

    Two settings are equal when they describe the same running configuration: ``origins``,
    ``problems`` and ``advice`` do not count. User objects compare by their own equality.
    ``repr`` shows no secrets. Times are in seconds, lengths in characters.

    Raises:
        ConfigurationError: With ``strict=True``, when any value cannot be used.
    """

    # A table reads best when one row stays together.
    # fmt: off
    service_name: str = setting(
        _parse.text, None, "OTEL_SERVICE_NAME", attribute("service.name"), "OTELKIT_SERVICE_NAME",
        factory=_unknown_service,
        help="name of the service, in every signal",
    )
    service_version: str | None = setting(
        _parse.text, None, attribute("service.version"), "OTELKIT_SERVICE_VERSION",
        help="version of the service; None = detected", unset="detected",
    )
    environment: str | None = setting(
        _parse.text, "development", attribute("deployment.environment.name"),
        attribute("deployment.environment"), "OTELKIT_ENVIRONMENT", "ENVIRONMENT",
        help="deployment environment, such as production",
    )
    resource_attributes: Mapping[str, Any] = setting(
        _pairs.attributes, None, "OTEL_RESOURCE_ATTRIBUTES", factory=_empty, merge=True, secret=True,
        show=_pairs.show_attributes,
        help="further attributes of the resource",
    )
    resource_detectors: tuple[str, ...] = setting(
        _lists.names, (), "OTEL_EXPERIMENTAL_RESOURCE_DETECTORS",
        help="resource detectors to run besides the default ones",
    )

    endpoint: str | None = setting(
        _url.endpoint, None, "OTEL_EXPORTER_OTLP_ENDPOINT", show=_url.mask, unset="localhost",
        help="base address of the OTLP receiver; None = the default port on localhost",
    )
    protocol: Literal["http/protobuf", "grpc"] = setting(
        _parse.choice("http/protobuf", "grpc"), "http/protobuf", "OTEL_EXPORTER_OTLP_PROTOCOL",
        help="OTLP over HTTP or over gRPC",
    )
    headers: Mapping[str, str] = setting(
        _pairs.headers, None, "OTEL_EXPORTER_OTLP_HEADERS", factory=_empty, secret=True,
        show=_pairs.show_headers,
        help="headers of each OTLP request",
    )
    export_timeout_s: float = setting(
        _SECONDS, 10.0, "OTEL_EXPORTER_OTLP_TIMEOUT",
        help="seconds for one OTLP request",
    )
    compression: Literal["none", "gzip", "deflate"] = setting(
        _parse.choice("none", "gzip", "deflate"), "gzip", "OTEL_EXPORTER_OTLP_COMPRESSION",
        help="compression of OTLP requests",
    )
    certificate: str | None = setting(
        _parse.text, None, "OTEL_EXPORTER_OTLP_CERTIFICATE",
        help="file with the certificates to trust",
    )
    client_key: str | None = setting(
        _parse.text, None, "OTEL_EXPORTER_OTLP_CLIENT_KEY",
        help="file with the client's private key",
    )
    client_certificate: str | None = setting(
        _parse.text, None, "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
        help="file with the client's certificate",
    )
    insecure: bool | None = setting(
        _parse.otel_boolean, None, "OTEL_EXPORTER_OTLP_INSECURE", unset="by the scheme",
        help="gRPC without TLS where the address does not begin with https",
    )

    traces_exporters: tuple[str, ...] = setting(
        _lists.entry_points("opentelemetry_traces_exporter", *_OTLP), ("otlp",), "OTEL_TRACES_EXPORTER",
        help="ways out for spans; empty = none",
    )
    metrics_exporters: tuple[str, ...] = setting(
        _lists.entry_points("opentelemetry_metrics_exporter", *_OTLP, "prometheus"), ("otlp",),
        "OTEL_METRICS_EXPORTER",
        help="ways out for metrics; empty = none",
    )
    logs_exporters: tuple[str, ...] = setting(
        _lists.entry_points("opentelemetry_logs_exporter", *_OTLP), ("otlp",), "OTEL_LOGS_EXPORTER",
        help="ways out for log records; empty = none",
    )

    sampler: str = setting(
        _lists.entry_point("opentelemetry_traces_sampler", *_SAMPLERS), "parentbased_traceidratio",
        "OTEL_TRACES_SAMPLER",
        help="which traces are kept",
    )
    sampler_arg: str | None = setting(
        _parse.text, None, "OTEL_TRACES_SAMPLER_ARG",
        help="argument of the sampler",
    )
    sample_ratio: float | None = setting(
        _parse.number(low=0, high=1), 1.0, "OTELKIT_SAMPLE_RATIO", unset="by the sampler",
        help="share of traces that is kept, 0 to 1; None = the sampler has no ratio",
    )
    propagators: tuple[str, ...] = setting(
        _lists.entry_points("opentelemetry_propagator", "tracecontext", "baggage"),
        ("tracecontext", "baggage"), "OTEL_PROPAGATORS",
        help="how context travels between services; empty = not at all",
    )
    id_generator: str = setting(
        _lists.entry_point("opentelemetry_id_generator", "random"), "random", "OTEL_PYTHON_ID_GENERATOR",
        help="what makes trace and span ids",
    )
    baggage_keys: tuple[str, ...] = setting(
        _lists.names, (), "OTELKIT_BAGGAGE_KEYS",
        help="baggage entries that are copied to spans",
    )
    span_processors: tuple[Any, ...] = setting(
        _lists.objects("on_start", "on_end", "shutdown", what="span processor"), (), in_file=False,
        show=_lists.show_objects,
        help="your own span processors; they see spans before redaction",
    )
    span_exporters: tuple[Any, ...] = setting(
        _lists.objects("export", "shutdown", what="span exporter"), (), in_file=False,
        show=_lists.show_objects,
        help="your own span exporters",
    )
    span_queue_size: int | None = setting(
        _SIZE, None, "OTEL_BSP_MAX_QUEUE_SIZE", unset="by queue_max_bytes",
        help="spans that wait to be packed at most",
    )
    span_batch_size: int = setting(
        _SIZE, 512, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
        help="spans in one export at most",
    )
    span_delay_s: float = setting(
        _SECONDS, 1.0, millis("OTEL_BSP_SCHEDULE_DELAY"),
        help="seconds between two exports of spans",
    )

    log_level: int = setting(
        _parse.log_level, 20, "OTELKIT_LOG_LEVEL", show=_parse.show_level,
        help="lowest level that is logged, by name or number",
    )
    log_format: Literal["json", "console"] | None = setting(
        _parse.choice("json", "console", none="auto"), None, "OTELKIT_LOG_FORMAT", unset="by the terminal",
        help="log lines as JSON or for people; None = by the terminal",
    )
    log_setup: Literal["auto", "configure", "attach", "off"] = setting(
        _parse.choice("auto", "configure", "attach", "off"), "auto", "OTELKIT_LOG_SETUP",
        help="who owns the log lines on stdout",
    )
    log_exporters: tuple[Any, ...] = setting(
        _lists.objects("export", "shutdown", what="log exporter"), (), in_file=False,
        show=_lists.show_objects,
        help="your own log record exporters",
    )
    log_queue_size: int | None = setting(
        _SIZE, None, "OTEL_BLRP_MAX_QUEUE_SIZE", unset="by queue_max_bytes",
        help="log records that wait to be packed at most",
    )
    log_batch_size: int = setting(
        _SIZE, 512, "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE",
        help="log records in one export at most",
    )
    log_delay_s: float = setting(
        _SECONDS, 1.0, millis("OTEL_BLRP_SCHEDULE_DELAY"),
        help="seconds between two exports of log records",
    )
    console: bool | None = setting(
        _parse.switch, None, "OTELKIT_CONSOLE", unset="by the terminal",
        help="the live view of spans; None = on a terminal",
    )

    prometheus_port: int | None = setting(
        _parse.integer(low=0, high=65_535), None, "OTEL_EXPORTER_PROMETHEUS_PORT",
        help="port of the /metrics server; 0 = any free one, None = no server", unset="no server",
    )
    prometheus_host: str = setting(
        _parse.text, "127.0.0.1", "OTEL_EXPORTER_PROMETHEUS_HOST",
        help="address the /metrics server listens on",
    )
    metric_interval_s: float = setting(
        _SECONDS, 60.0, millis("OTEL_METRIC_EXPORT_INTERVAL"),
        help="seconds between two exports of metrics",
    )
    metric_timeout_s: float = setting(
        _SECONDS, 30.0, millis("OTEL_METRIC_EXPORT_TIMEOUT"),
        help="seconds for one export of metrics",
    )
    metric_temporality: Literal["cumulative", "delta", "lowmemory"] = setting(
        _parse.choice("cumulative", "delta", "lowmemory"), "cumulative",
        "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
        help="temporality of metrics over OTLP",
    )
    histogram_aggregation: HistogramAggregation = setting(
        _parse.choice("explicit_bucket_histogram", "base2_exponential_bucket_histogram"),
        "explicit_bucket_histogram", "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
        help="histograms over OTLP",
    )
    exemplar_filter: Literal["trace_based", "always_on", "always_off"] = setting(
        _parse.choice("trace_based", "always_on", "always_off"), "trace_based",
        "OTEL_METRICS_EXEMPLAR_FILTER",
        help="which measurements become exemplars",
    )
    metric_prefix: str = setting(
        _parse.word(r"[A-Za-z][A-Za-z0-9_]*", "must be letters, digits and underscores, a letter first"),
        "agent", "OTELKIT_METRIC_PREFIX",
        help="first part of the names of the standard instruments",
    )
    cardinality_limit: int = setting(
        _SIZE, 2_000, "OTELKIT_CARDINALITY_LIMIT",
        help="attribute sets of one instrument; what is measured beyond them goes into one overflow point",
    )
    process_metrics: bool = setting(
        _parse.boolean, True, "OTELKIT_PROCESS_METRICS",
        help="CPU, memory, threads, garbage collection and event loop lag of this process",
    )
    readings_interval_s: float = setting(
        _SECONDS, 10.0, "OTELKIT_READINGS_INTERVAL_S",
        help="seconds between two snapshots of the process's own metrics, for otelkit.readings",
    )
    readings_max_bytes: int = setting(
        _SIZE, 16 << 20, "OTELKIT_READINGS_MAX_BYTES",
        help="bytes of memory for these snapshots, about; the oldest go first",
    )
    metric_readers: tuple[Any, ...] = setting(
        _lists.objects("collect", "shutdown", what="metric reader"), (), in_file=False,
        show=_lists.show_objects,
        help="your own metric readers",
    )

    redact: bool | tuple[str | re.Pattern[str], ...] | Callable[[str, object], object] = setting(
        _lists.redact, True, "OTELKIT_REDACT", show=_lists.show_redact,
        help="hide secrets; a list adds key names and /patterns/ of values, false switches it off",
    )
    instrument: bool | str | tuple[str, ...] = setting(
        _lists.instrument, "auto", "OTELKIT_INSTRUMENT",
        help="libraries to instrument; auto = those installed",
    )
    http_excluded_paths: tuple[str, ...] = setting(
        _lists.names, PROBE_PATHS, "OTELKIT_HTTP_EXCLUDED_PATHS",
        help="paths whose requests make neither spans nor metrics; a * stands for anything",
    )
    http_request_headers: tuple[str, ...] = setting(
        _lists.names, (), "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST",
        help="request headers that become span attributes",
    )
    http_response_headers: tuple[str, ...] = setting(
        _lists.names, (), "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_RESPONSE",
        help="response headers that become span attributes",
    )
    http_operation_spans: bool = setting(
        _parse.boolean, False, "OTELKIT_HTTP_OPERATION_SPANS",
        help="spans inside a FastAPI request: dependencies, endpoint, serialization",
    )
    redis_metrics: str = setting(
        _parse.choice("otelkit", "redis-py"), "otelkit", "OTELKIT_REDIS_METRICS",
        help="who measures redis; redis-py = its own metrics, in versions that have them",
    )
    max_children_per_span: int = setting(
        _SIZE, 1_000, "OTELKIT_MAX_CHILDREN_PER_SPAN",
        help="spans that one span may start; the rest is one event with their number",
    )
    disabled_scopes: tuple[str, ...] = setting(
        _lists.names, (), "OTELKIT_DISABLED_SCOPES",
        help="scopes, with wildcards, that produce nothing",
    )
    record_command_args: bool = setting(
        _parse.boolean, False, "OTELKIT_RECORD_COMMAND_ARGS",
        help="record the command line; it may hold secrets",
    )
    max_attribute_length: int = setting(
        _COUNT, 32_768, "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        help="characters of one attribute value at most",
    )
    span_attribute_length: int = setting(
        _COUNT, 32_768, "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        help="the same on spans; by default as max_attribute_length",
    )
    log_attribute_length: int = setting(
        _COUNT, 32_768, "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT",
        help="the same on log records; by default as max_attribute_length",
    )
    span_attribute_limit: int = setting(
        _COUNT, 128, "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT",
        help="attributes of a span",
    )
    span_event_limit: int = setting(
        _COUNT, 128, "OTEL_SPAN_EVENT_COUNT_LIMIT",
        help="events of a span",
    )
    span_link_limit: int = setting(
        _COUNT, 128, "OTEL_SPAN_LINK_COUNT_LIMIT",
        help="links of a span",
    )
    event_attribute_limit: int = setting(
        _COUNT, 128, "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT",
        help="attributes of an event",
    )
    link_attribute_limit: int = setting(
        _COUNT, 128, "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT",
        help="attributes of a link",
    )
    log_attribute_limit: int = setting(
        _COUNT, 128, "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT", "OTEL_ATTRIBUTE_COUNT_LIMIT",
        help="attributes of a log record",
    )

    queue_max_bytes: int = setting(
        _SIZE, 32 << 20, "OTELKIT_QUEUE_MAX_BYTES",
        help="bytes of memory for what waits, all signals together",
    )
    on_full: Literal["help", "drop"] = setting(
        _parse.choice("help", "drop"), "help", "OTELKIT_ON_FULL",
        help="when that is used up: the caller packs one batch itself, or its item is dropped and counted",
    )
    spool: Literal["always", "on_failure", "off"] | None = setting(
        _parse.choice("always", "on_failure", "off", none="auto"), None, "OTELKIT_SPOOL",
        unset="always with an endpoint",
        help="keep what is not delivered yet on disk; None = always with an endpoint, off without one",
    )
    spool_dir: str | None = setting(
        _parse.text, None, "OTELKIT_SPOOL_DIR", unset="in the user's state folder",
        help="folder of the spool; None = otelkit/spool in XDG_STATE_HOME",
    )
    spool_max_bytes: int = setting(
        _parse.integer(low=1 << 16, high=2**63 - 1), 256 << 20, "OTELKIT_SPOOL_MAX_BYTES",
        help="bytes of the spool's folder at most; the oldest files go first",
    )
    spool_max_age_s: float = setting(
        _SECONDS, 86_400.0, "OTELKIT_SPOOL_MAX_AGE_S",
        help="seconds that a file stays in the spool at most",
    )
    spool_fsync: Literal["none", "batch"] = setting(
        _parse.choice("none", "batch"), "none", "OTELKIT_SPOOL_FSYNC",
        help="wait for the disk at each write (batch), to survive a power failure too",
    )
    flush_on_os_exit: bool = setting(
        _parse.boolean, False, "OTELKIT_FLUSH_ON_OS_EXIT",
        help="end telemetry before os._exit, which runs no exit handlers",
    )
    shutdown_timeout_s: float = setting(
        _parse.number(low=0, unit=" (seconds)"), 2.0, "OTELKIT_SHUTDOWN_TIMEOUT_S",
        help="seconds that the end of the process may take",
    )
    strict: bool = setting(
        _parse.boolean, False, "OTELKIT_STRICT",
        help="a value that cannot be used is an error",
    )
    sdk_disabled: bool = setting(
        _parse.otel_boolean, False, "OTEL_SDK_DISABLED",
        help="make and export no telemetry",
    )

    # fmt: on

    signal_overrides: Mapping[str, _otlp.OtlpOverride] = dataclasses.field(default_factory=_empty)
    """What the per-signal OTLP variables say; read it through `otlp`."""
    origins: Mapping[str, str] = dataclasses.field(default_factory=_empty, compare=False)
    """Setting to ``"argument"``, ``"variable OTEL_X"``, ``"file"`` or ``"default"``."""
    problems: tuple[str, ...] = dataclasses.field(default=(), compare=False)
    """One line for each value that cannot be used: setting, origin, value, remedy, what is used."""
    advice: tuple[str, ...] = dataclasses.field(default=(), compare=False)
    """One line for each value that is used but probably not meant so; never an error."""

    def __post_init__(self) -> None:
        """Check every value, so that a `Settings` is always usable."""
        make_usable(self, ROWS)
        if self.strict and self.problems:
            raise ConfigurationError("\n".join(map(unused, self.problems)))

    def __hash__(self) -> int:
        """Equal settings have equal hashes; most of the fields are left out."""
        return hash((self.service_name, self.environment, self.endpoint, self.sample_ratio))

    def __repr__(self) -> str:
        """What was given, without secrets."""
        given = (row for row in ROWS if self.origins[row.name] != "default")
        return f"Settings({', '.join(f'{row.name}={shown(row, getattr(self, row.name))}' for row in given)})"

    def endpoint_for(self, signal: _otlp.Signal) -> str | None:
        """The OTLP address that was given for ``signal``, or for all of them; None: it is a guess."""
        return _otlp.override(self, signal).endpoint or self.endpoint

    def otlp(self, signal: _otlp.Signal) -> _otlp.OtlpTarget:
        """Where and how ``signal`` ("traces", "metrics" or "logs") goes over OTLP.

        For HTTP the base address gets ``/v1/<signal>``; an address from a per-signal variable is
        used as it is. Items of a per-signal variable stand in place of the general ones, unless
        the general one is an argument.

        Source: OpenTelemetry specification, "OpenTelemetry Protocol Exporter", "Endpoint URLs
        for OTLP/HTTP".
        """
        return _otlp.target(self, signal)


ROWS: tuple[Row, ...] = rows_of(dataclasses.fields(Settings))
ROWS_BY_NAME: Mapping[str, Row] = {row.name: row for row in ROWS}
