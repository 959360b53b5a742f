import json

import pytest

from process import run
from sink import Sink

PROGRAM = """
import logging, structlog, otelkit
from opentelemetry import trace

runtime = otelkit.init(service_name="shop", service_version="1.2", headers={"x-tenant": "a"})
counter = otelkit.get_meter("shop.orders").create_counter("orders", unit="{order}")
for number in range(250):
    with otelkit.span("order", {"number": number}), trace.get_tracer("lib").start_as_current_span("pay"):
        counter.add(1, {"shop": "north"})
        otelkit.get_logger("shop").info("by otelkit", number=number)
        structlog.get_logger("plain").info("by structlog")
        logging.getLogger("std").info("by %s", "logging")
assert otelkit.shutdown() is True
import json
print(json.dumps({signal: [c.created, c.delivered, c.lost] for signal, c in runtime.stats().items()}))
"""


@pytest.fixture
def sink():
    with Sink() as sink:
        yield sink


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_three_signals_arrive_and_correlate(sink, protocol):
    """Every span, log record and metric point arrives, once, with ids that fit each other."""
    endpoint = sink.http_endpoint if protocol == "http/protobuf" else sink.grpc_endpoint
    ended = run(
        PROGRAM, env={"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}
    )

    assert 0 == ended.code, ended.stderr
    orders = {span.span_id: span for span in sink.spans if span.name == "order"}
    pays = {span.span_id: span for span in sink.spans if span.name == "pay"}
    assert (250, 250) == (len(orders), len(pays))
    assert set(orders) == {span.parent_id for span in pays.values()}
    assert 750 == len(sink.logs)
    for record in sink.logs:
        assert record.trace_id == pays[record.span_id].trace_id
    point = next(point for point in sink.metrics if point.name == "orders")
    assert (250, {"shop": "north"}) == (point.value, point.attributes)


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_counts_match_what_arrived(sink, protocol):
    """The runtime's own counts are exactly what the receiver got."""
    endpoint = sink.http_endpoint if protocol == "http/protobuf" else sink.grpc_endpoint
    ended = run(
        PROGRAM, env={"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_EXPORTER_OTLP_PROTOCOL": protocol}
    )
    counts = json.loads(ended.stdout.splitlines()[-1])

    assert [len(sink.spans)] * 2 + [0] == counts["traces"]
    assert [len(sink.logs)] * 2 + [0] == counts["logs"]
    assert [len(sink.metrics)] * 2 + [0] == counts["metrics"]


def test_lines_on_stdout_carry_the_same_ids(sink):
    """Each JSON line has the ids of the record that was sent for it."""
    ended = run(PROGRAM, env={"OTEL_EXPORTER_OTLP_ENDPOINT": sink.http_endpoint})
    lines = [json.loads(line) for line in ended.stdout.splitlines()[:-1]]

    assert 750 == len(lines)
    assert {(line["trace_id"], line["span_id"]) for line in lines} == {
        (record.trace_id, record.span_id) for record in sink.logs
    }
    assert {"by otelkit", "by structlog", "by logging"} == {line["event"] for line in lines}


def test_resource_and_headers_arrive(sink):
    """Service, version and instance are on every signal, headers on every request."""
    run(PROGRAM, env={"OTEL_EXPORTER_OTLP_ENDPOINT": sink.http_endpoint})
    told = [sink.spans[0].resource, sink.logs[0].resource, sink.metrics[0].resource]

    assert [("shop", "1.2")] * 3 == [(r["service.name"], r["service.version"]) for r in told]
    assert 1 == len({r["service.instance.id"] for r in told})
    assert {"a"} == {request.headers.get("x-tenant") for request in sink.requests}
    assert {"/v1/traces", "/v1/logs", "/v1/metrics"} == {request.path for request in sink.requests}


def test_bad_values_cost_no_neighbour(sink):
    """A lone surrogate, a huge integer or a hostile object in one item loses nothing at all."""
    ended = run(
        """
import otelkit, logging
class Hostile:
    def __str__(self): raise RuntimeError
otelkit.init(service_name="shop")
for bad in ("\\ud83d", 2**80, Hostile(), float("nan"), {"a": {1: object()}}, b"\\xff", None):
    with otelkit.span("good"): pass
    with otelkit.span("bad" + (bad if isinstance(bad, str) else ""), {"value": bad, "k\\ud83d": 1}):
        otelkit.get_logger().info("good")
        otelkit.get_logger().info("bad \\ud83d", value=bad)
        logging.getLogger("x").warning("bad %s", "\\ud83d", extra={"value": bad})
        otelkit.get_meter().create_counter("n").add(1, {"value": bad})
        otelkit.get_meter().create_counter("n").add(2**70)
assert otelkit.shutdown() is True
""",
        env={"OTEL_EXPORTER_OTLP_ENDPOINT": sink.http_endpoint},
    )

    assert 0 == ended.code, ended.stderr
    assert 14 == len(sink.spans)
    assert 21 == len(sink.logs)
    assert {"bad�", "good", "bad"} == {span.name for span in sink.spans}


def test_secrets_never_leave(sink):
    """A password in an attribute, an event, a line, a traceback or a label reaches nobody."""
    ended = run(
        """
import otelkit, logging
otelkit.init(service_name="shop")
log = otelkit.get_logger()
with otelkit.span("connect to postgresql://u:hunter2@db/x", {"db.password": "hunter2"}) as span:
    span.add_event("retry", {"url": "https://u:hunter2@h/p?token=hunter2"})
    log.info("login with Bearer hunter2hunter2hunter2", api_key="hunter2")
    try:
        raise ValueError("postgresql://u:hunter2@db/x refused")
    except ValueError as error:
        span.record_exception(error)
        log.exception("failed")
        logging.getLogger("std").exception("failed too")
    otelkit.get_meter().create_counter("n").add(1, {"password": "hunter2"})
otelkit.shutdown()
""",
        env={"OTEL_EXPORTER_OTLP_ENDPOINT": sink.http_endpoint},
    )

    assert 0 == ended.code, ended.stderr
    told = repr((sink.spans, sink.logs, sink.metrics)) + ended.stdout + ended.stderr
    assert "hunter2" not in told
    assert 3 == len(sink.logs)


def test_root_logger_at_debug_does_not_feed_itself(sink):
    """Exporting makes log lines of its own; they never become records, whatever the level."""
    ended = run(
        """
import logging, otelkit, time
otelkit.init(service_name="shop", log_level="DEBUG")
logging.getLogger().setLevel(logging.DEBUG)
logging.getLogger("urllib3").setLevel(logging.DEBUG)
for _ in range(5):
    logging.getLogger("mine").debug("one")
    otelkit.flush()
otelkit.shutdown()
""",
        env={"OTEL_EXPORTER_OTLP_ENDPOINT": sink.http_endpoint},
    )

    assert 0 == ended.code, ended.stderr
    assert ["mine"] * 5 == [record.scope.name for record in sink.logs]


def test_our_own_requests_make_no_telemetry(sink):
    """With the HTTP client instrumented, neither the sender nor an exporter of yours is seen at work."""
    ended = run(
        """
import logging, otelkit, urllib3
from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

class OverHttp(SpanExporter):
    def export(self, spans):
        logging.getLogger("exporter").warning("exporting")
        urllib3.PoolManager().request("GET", ENDPOINT)
        return SpanExportResult.SUCCESS
    def shutdown(self): pass

import os
ENDPOINT = os.environ["OTEL_EXPORTER_OTLP_ENDPOINT"]
URLLib3Instrumentor().instrument()
otelkit.init(service_name="shop", span_exporters=[OverHttp()], console=False)
for _ in range(3):
    with otelkit.span("mine"): pass
    otelkit.flush()
with otelkit.span("seen"):
    urllib3.PoolManager().request("GET", ENDPOINT)
otelkit.shutdown()
""",
        env={"OTEL_EXPORTER_OTLP_ENDPOINT": sink.http_endpoint},
    )

    assert 0 == ended.code, ended.stderr
    assert ["GET", "mine", "mine", "mine", "seen"] == sorted(span.name for span in sink.spans)
    assert () == sink.logs
