"""The sink tells the truth about what official exporters send, and misbehaves on command."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.client import HTTPConnection
from typing import Any

import grpc
import pytest
from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter as GrpcLogExporter
from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter as GrpcMetricExporter
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter as GrpcSpanExporter
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter as HttpLogExporter
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter as HttpMetricExporter
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter as HttpSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SpanMessage
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.trace import SpanKind, StatusCode

from sink import Behaviour, Sink

RESOURCE = Resource({"service.name": "shop"})
BODY = ExportTraceServiceRequest(
    resource_spans=[ResourceSpans(scope_spans=[ScopeSpans(spans=[SpanMessage(name="order")])])]
).SerializeToString()


def exporters(sink: Sink, protocol: str) -> tuple[Any, Any, Any]:
    if protocol == "grpc":
        address = sink.grpc_endpoint
        return (
            GrpcSpanExporter(endpoint=address, insecure=True),
            GrpcLogExporter(endpoint=address, insecure=True),
            GrpcMetricExporter(endpoint=address, insecure=True),
        )
    base, gzip = sink.http_endpoint, Compression.Gzip
    return (
        HttpSpanExporter(endpoint=f"{base}/v1/traces", compression=gzip),
        HttpLogExporter(endpoint=f"{base}/v1/logs", compression=gzip),
        HttpMetricExporter(endpoint=f"{base}/v1/metrics", compression=gzip),
    )


@contextmanager
def producing(sink: Sink, protocol: str) -> Iterator[tuple[TracerProvider, LoggerProvider, MeterProvider]]:
    spans, logs, metrics = exporters(sink, protocol)
    tracers = TracerProvider(resource=RESOURCE)
    tracers.add_span_processor(SimpleSpanProcessor(spans))
    loggers = LoggerProvider(resource=RESOURCE)
    loggers.add_log_record_processor(SimpleLogRecordProcessor(logs))
    meters = MeterProvider(
        metric_readers=[PeriodicExportingMetricReader(metrics, export_interval_millis=60_000)],
        resource=RESOURCE,
    )
    try:
        yield tracers, loggers, meters
    finally:
        for provider in (tracers, loggers, meters):
            provider.shutdown()


@contextmanager
def ordering(sink: Sink, protocol: str) -> Iterator[str]:
    """One order of the shop in all three signals; yields the trace id."""
    with producing(sink, protocol) as (tracers, loggers, meters):
        tracer = tracers.get_tracer("shop.orders", "1.0")
        orders = meters.get_meter("shop.orders").create_counter("orders", unit="{order}")
        seconds = meters.get_meter("shop.orders").create_histogram(
            "order_duration", unit="s", explicit_bucket_boundaries_advisory=[0.1, 1.0]
        )
        with tracer.start_as_current_span("order", kind=SpanKind.SERVER) as parent:
            parent.set_attribute("items", ("book", "pen"))
            with tracer.start_as_current_span("pay", attributes={"amount": 3}) as child:
                child.add_event("declined", {"reason": "funds"})
                child.set_status(StatusCode.ERROR, "no money")
                loggers.get_logger("shop.orders").emit(
                    LogRecord(
                        body="paying",
                        severity_text="INFO",
                        severity_number=SeverityNumber.INFO,
                        attributes={"cart": {"book": 1}},
                        timestamp=1,
                    )
                )
            orders.add(2, {"kind": "book"})
            seconds.record(0.5)
        meters.force_flush()
        yield f"{parent.get_span_context().trace_id:032x}"


@pytest.fixture(params=["http", "grpc"])
def protocol(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def test_spans_are_read_as_sent(protocol: str) -> None:
    """Name, ids, kind, status, attributes, events, scope and resource survive the wire."""
    with Sink() as sink, ordering(sink, protocol) as trace_id:
        pay, order = sink.spans

    assert (order.name, order.kind, order.parent_id, order.trace_id) == ("order", "server", "", trace_id)
    assert order.attributes == {"items": ("book", "pen")}
    assert (pay.parent_id, pay.trace_id) == (order.span_id, trace_id)
    assert (pay.status, pay.status_description, pay.attributes) == ("error", "no money", {"amount": 3})
    assert [(event.name, event.attributes) for event in pay.events] == [("declined", {"reason": "funds"})]
    assert (pay.scope.name, pay.scope.version) == ("shop.orders", "1.0")
    assert pay.resource["service.name"] == "shop"
    assert order.start_ns <= pay.start_ns <= pay.end_ns <= order.end_ns


def test_log_records_are_read_as_sent(protocol: str) -> None:
    """Body, severity, nested attributes and the ids of the span survive the wire."""
    with Sink() as sink, ordering(sink, protocol) as trace_id:
        (record,) = sink.logs
        pay = sink.spans[0]

    assert (record.body, record.severity, record.severity_number) == ("paying", "INFO", 9)
    assert record.attributes == {"cart": {"book": 1}}
    assert (record.trace_id, record.span_id) == (trace_id, pay.span_id)
    assert (record.scope.name, record.resource["service.name"]) == ("shop.orders", "shop")


def test_metric_points_are_read_as_sent(protocol: str) -> None:
    """Numbers and histograms keep name, unit, kind, attributes, temporality and buckets."""
    with Sink() as sink, ordering(sink, protocol):
        points = {point.name: point for point in sink.metrics}

    orders, seconds = points["orders"], points["order_duration"]
    assert (orders.kind, orders.monotonic, orders.temporality) == ("sum", True, "cumulative")
    assert (orders.unit, orders.value, orders.attributes) == ("{order}", 2, {"kind": "book"})
    assert (orders.count, orders.sum) == (None, None)
    assert (seconds.kind, seconds.value, seconds.count, seconds.sum) == ("histogram", None, 1, 0.5)
    assert (seconds.bounds, seconds.buckets) == ((0.1, 1.0), (0, 1, 0))


def test_requests_are_noted(protocol: str) -> None:
    """Every request read is there with path, headers, size and the number of its items."""
    with Sink() as sink, ordering(sink, protocol):
        paths = [request.path for request in sink.requests]
        first = sink.requests[0]

    # The first ending span goes first, and a log record inside it before that.
    wanted = {"http": "/v1/logs", "grpc": "/opentelemetry.proto.collector.logs.v1.LogsService/Export"}
    assert paths[0] == wanted[protocol]
    assert len(paths) == 4
    assert (first.items, first.behaviour) == (1, "ok")
    assert first.size_bytes > 20
    assert "user-agent" in first.headers


def test_a_refusing_sink_comes_back_on_the_same_port(protocol: str) -> None:
    """Refusing closes the port and drops connections; after it, the same address answers again."""
    with Sink() as sink:
        address = address_of(sink, protocol)
        socket.create_connection(address, timeout=5).close()
        sink.behave("refuse")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(address, timeout=5)
        sink.behave("ok")
        with ordering(sink, protocol):
            assert len(sink.spans) == 2


def test_a_status_is_answered_and_nothing_is_kept() -> None:
    """A sink with a status answers it to every request; the items do not count as received."""
    with Sink("status", code=429) as sink:
        first = post(sink)
        sink.behave("status", code=400)
        second = post(sink)
        noted = [(request.behaviour, request.path) for request in sink.requests]

    assert (first, second) == (429, 400)
    assert sink.spans == ()
    assert noted == [("status", "/v1/traces")] * 2


def test_a_grpc_status_is_answered() -> None:
    """Over gRPC a status is the code that maps to it."""
    with Sink("status", code=400) as sink:
        assert call(sink, timeout_s=5) == "INVALID_ARGUMENT"
        assert (len(sink.requests), sink.spans) == (1, ())


def test_a_hanging_sink_reads_and_never_answers() -> None:
    """A hanging sink notes the request and gives no byte back; closing lets it go."""
    with Sink("hang") as sink:
        with pytest.raises(TimeoutError):
            post(sink, timeout_s=0.2)
        assert call(sink, timeout_s=0.2) == "DEADLINE_EXCEEDED"
        sink.wait_for(lambda s: [request.behaviour for request in s.requests] == ["hang", "hang"])
        assert sink.spans == ()


def test_a_dripping_sink_answers_a_byte_a_second(protocol: str) -> None:
    """A dripping sink keeps the connection alive with single bytes and gets nowhere."""
    with Sink("drip") as sink:
        with socket.create_connection(address_of(sink, protocol), timeout=5) as peer:
            start = time.monotonic()
            peer.sendall(b"POST /v1/traces HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
            got = peer.recv(100) + peer.recv(100)
            took_s = time.monotonic() - start

    assert len(got) == 2
    assert 1.8 < took_s < 4


def test_a_broken_request_fails_the_test() -> None:
    """What cannot be decoded is answered with 400, and leaving the sink raises it."""
    with pytest.raises(AssertionError, match="/v1/traces"), Sink() as sink:
        assert post(sink, body=b"\xff\xff\xff") == 400


def test_waiting_in_vain_tells_what_arrived() -> None:
    """A wait that is not fulfilled raises and says what had been received."""
    with Sink() as sink:
        post(sink)
        with pytest.raises(AssertionError, match="1 requests, 1 spans"):
            sink.wait_for(lambda s: s.logs, timeout_s=0.05)


@pytest.mark.parametrize("behaviour", ["ok", "hang", "drip"])
def test_closing_leaves_no_thread(behaviour: Behaviour) -> None:
    """Closing is quick and joins every thread, also with an answer still under way."""
    before = set(threading.enumerate())
    with Sink(behaviour) as sink, socket.create_connection(address_of(sink, "http"), timeout=5) as peer:
        address_of(sink, "grpc")
        peer.sendall(b"POST /v1/traces HTTP/1.1\r\nContent-Length: 0\r\n\r\n")
        sink.wait_for(lambda s: s.requests)
        start = time.monotonic()
        sink.close()
        took_s = time.monotonic() - start
        left = set(threading.enumerate()) - before

    assert left == set()
    assert took_s < 2


def address_of(sink: Sink, protocol: str) -> tuple[str, int]:
    """Host and port of one of the two doors."""
    endpoint = sink.http_endpoint if protocol == "http" else sink.grpc_endpoint
    host, _, port = endpoint.removeprefix("http://").partition(":")
    return host, int(port)


def post(sink: Sink, *, body: bytes = BODY, timeout_s: float = 5) -> int:
    with closing(HTTPConnection(sink.http_endpoint.removeprefix("http://"), timeout=timeout_s)) as connection:
        connection.request("POST", "/v1/traces", body)
        return connection.getresponse().status


def call(sink: Sink, *, timeout_s: float) -> str:
    """Export nothing over gRPC; the name of the status code that came back."""
    with grpc.insecure_channel(sink.grpc_endpoint.removeprefix("http://")) as channel:
        export = channel.unary_unary("/opentelemetry.proto.collector.trace.v1.TraceService/Export")
        answer = export.future(BODY, timeout=timeout_s)
        return str(answer.code().name)
