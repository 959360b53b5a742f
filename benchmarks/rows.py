"""The table of what is measured: which tasks, in which process, how often, and the aim."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["ROWS", "SIDES", "STARTUPS", "Row", "Startup"]

SIDES = ("otelkit", "plain")


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A task that is repeated in a running process.

    Attributes:
        key: Its name in the two sides' code.
        title: Its name in the table.
        group: Rows of one group share a process for each side; they stand together.
        calls: How often it is done in one round.
        aim: The ratio that is not to be exceeded.
        limit_s: A time that is not to be exceeded, in place of the ratio.
        rounds: The number of rounds as a share of the usual one; for what takes long.
    """

    key: str
    title: str
    group: str
    calls: int
    aim: float = 1.0
    limit_s: float | None = None
    rounds: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Startup:
    """Something that a fresh process does once.

    Attributes:
        title: Its name in the table.
        aim: The ratio that is not to be exceeded.
        programs: The program of each side; it ends by ``os._exit`` when it is done.
    """

    title: str
    aim: float
    programs: dict[str, str]


ROWS = (
    Row(key="span", title="otelkit.span with 3 attributes", group="spans", calls=1_500),
    Row(key="span_switch", title="start_as_current_span, 3 attributes", group="spans", calls=1_500),
    Row(key="span_nested", title="3 nested spans with 2 events", group="spans", calls=400),
    Row(key="span_unsampled", title="span that is not sampled", group="unsampled", calls=4_000),
    Row(key="log_structlog", title="structlog line and its record", group="logs", calls=800),
    Row(key="log_structlog_api", title="the same, record by the bare API", group="logs", calls=800),
    Row(key="log_stdlib", title="logging line and its record", group="logs", calls=800),
    Row(key="counter", title="counter.add with 2 attributes", group="metrics", calls=3_000),
    Row(key="histogram", title="histogram.record with 2 attributes", group="metrics", calls=3_000),
    # Beside one bare span; a span, three SDK instruments and a JSON line are 4.9 of them.
    Row(key="monitor_sync", title="monitored call / a bare span", group="monitored", calls=500, aim=4.9),
    Row(key="monitor_sync_no_log", title="the same without its line", group="monitored", calls=800, aim=4.9),
    Row(
        key="monitor_async", title="monitored coroutine / a bare span", group="monitored", calls=500, aim=4.9
    ),
    Row(
        key="monitor_async_no_log",
        title="the coroutine without its line",
        group="monitored",
        calls=800,
        aim=4.9,
    ),
    Row(
        key="monitor_by_hand",
        title="coroutine / prometheus_client, structlog",
        group="monitored",
        calls=500,
        aim=4.9,  # it makes no span, no record and no ids
    ),
    Row(key="encode_spans", title="encode 512 spans", group="encode", calls=4, aim=0.2),
    Row(key="encode_logs", title="encode 512 log records", group="encode", calls=4, aim=0.2),
    Row(key="memory", title="a fresh in-memory runtime", group="memory", calls=10, limit_s=0.002),
    Row(key="scrape", title="scrape of 10,000 series", group="scrape", calls=1, rounds=0.4),
)

# The lists let the garbage collector have a look at what was loaded, as it would sooner or later.
_EXIT = "\nfound = [[] for _ in range(20_000)]\nimport os; os._exit(0)"

_INIT = "import otelkit\notelkit.init(service_name='bench', endpoint='http://127.0.0.1:9')"

_LINE = "\nimport structlog\nstructlog.get_logger().warning('a first line')"

# The documentation's own way to have the same parts.
_PLAIN_INIT = """
import logging
import warnings

import structlog
from opentelemetry import metrics, trace
from opentelemetry._logs import set_logger_provider
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import (
    OsResourceDetector, ProcessResourceDetector, Resource, get_aggregated_resources
)
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

warnings.simplefilter("ignore")  # about the handler, which is being moved to an instrumentation
where = "http://127.0.0.1:9"
resource = get_aggregated_resources(
    [ProcessResourceDetector(), OsResourceDetector()], Resource.create({"service.name": "bench"})
)
traces = TracerProvider(resource=resource)
traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=where + "/v1/traces")))
trace.set_tracer_provider(traces)
pushed = PeriodicExportingMetricReader(OTLPMetricExporter(endpoint=where + "/v1/metrics"))
metrics.set_meter_provider(
    MeterProvider(metric_readers=[pushed, PrometheusMetricReader()], resource=resource)
)
logs = LoggerProvider(resource=resource)
logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter(endpoint=where + "/v1/logs")))
set_logger_provider(logs)
logging.basicConfig(handlers=[logging.StreamHandler(), LoggingHandler(logger_provider=logs)])
structlog.configure(
    processors=[
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso"),
        structlog.processors.format_exc_info,
        structlog.processors.JSONRenderer(),
    ]
)
"""

STARTUPS = (
    Startup(
        title="import of otelkit",
        aim=1.0,
        programs={"otelkit": "import otelkit" + _EXIT, "plain": "import opentelemetry.sdk.trace" + _EXIT},
    ),
    Startup(
        title="import and init, against the same parts",
        aim=1.1,
        programs={"otelkit": _INIT + _EXIT, "plain": _PLAIN_INIT + _EXIT},
    ),
    Startup(
        title="the same, and a first structlog line",
        aim=1.1,
        programs={"otelkit": _INIT + _LINE + _EXIT, "plain": _PLAIN_INIT + _LINE + _EXIT},
    ),
)
