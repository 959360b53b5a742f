import logging
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.sdk.metrics.export import MetricExportResult
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otelkit import ConfigurationError, Settings
from otelkit.exits import otlp
from otelkit.exits.otlp import MetricExit, RecordExit, build_exporter
from otelkit.processors.context import suppress

SIGNALS = ("traces", "metrics", "logs")


def built(signal, **settings):
    exporter = build_exporter(signal, Settings(**settings).otlp(signal))
    exporter.shutdown()
    return exporter


@pytest.fixture
def receiver():
    """A server on the loopback interface that answers 200 and keeps paths and headers."""
    requests = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            self.rfile.read(int(self.headers["Content-Length"]))
            requests.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        server.requests = requests
        server.address = f"http://127.0.0.1:{server.server_port}"
        yield server
        server.shutdown()
        thread.join()


def exported(target):
    """Export one empty batch of spans to ``target``."""
    exporter = build_exporter("traces", target)
    try:
        assert RecordExit(name="x", exporter=exporter).send([]) is True
    finally:
        exporter.shutdown()


def test_http_exporter_follows_the_settings(receiver):
    """Address, headers and compression of the settings are what the receiver sees."""
    settings = Settings(endpoint=f"{receiver.address}/base/", headers={"X-Tenant": "a"}, compression="gzip")
    exported(settings.otlp("traces"))
    ((path, headers),) = receiver.requests

    assert ("/base/v1/traces", "a", "gzip") == (path, headers["x-tenant"], headers["content-encoding"])


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("signal", SIGNALS)
def test_each_signal_has_its_exporter(signal, protocol):
    """Six official exporters, by signal and protocol."""
    kind = type(built(signal, endpoint="http://collector:4318", protocol=protocol))

    assert {"traces": "OTLPSpanExporter", "metrics": "OTLPMetricExporter", "logs": "OTLPLogExporter"}[
        signal
    ] == kind.__name__
    assert ("grpc" if protocol == "grpc" else "http") in kind.__module__


@pytest.mark.parametrize("signal", SIGNALS)
def test_grpc_exporter_of_each_signal(signal):
    """Over gRPC the address has no path, and headers are lower-case metadata."""
    exporter = built(signal, endpoint="http://collector:4317", protocol="grpc", headers={"X-Tenant": "a"})

    assert "collector:4317" == exporter._endpoint
    assert ("x-tenant", "a") in tuple(exporter._headers)


def test_variables_do_not_come_back_through_the_exporter(receiver, monkeypatch):
    """The exporters read variables themselves; what the settings say counts."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:1")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:1/x")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x-tenant=theirs")
    exported(Settings(endpoint=receiver.address, headers={"x-tenant": "ours"}).otlp("traces"))

    assert ("/v1/traces", "ours") == (receiver.requests[0][0], receiver.requests[0][1]["x-tenant"])


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_malformed_variables_are_not_logged(monkeypatch, caplog, protocol):
    """The exporters would print a malformed header with its token."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "Authorization Bearer hunter2")
    built("traces", endpoint="http://collector:4318", protocol=protocol)

    assert "" == caplog.text


@pytest.mark.parametrize("name", ["certificate", "client_key", "client_certificate"])
@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_unreadable_files_are_found_at_once(name, protocol):
    """Where TLS is used, a file that cannot be read is named with its setting."""
    with pytest.raises(ConfigurationError, match=rf"{name}=/nowhere \(OTEL_EXPORTER_OTLP_{name.upper()}\)"):
        built("traces", endpoint="https://collector", protocol=protocol, **{name: "/nowhere"})


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_files_for_tls_do_not_matter_without_it(protocol):
    """On a plain connection nobody asks for the files."""
    built("traces", endpoint="http://collector:4318", protocol=protocol, certificate="/nowhere")


def test_readable_files_are_used(tmp_path):
    """A file that can be read is no reason to refuse, whatever TLS makes of it later."""
    path = tmp_path / "ca.pem"
    path.write_text("x")

    assert built("traces", endpoint="https://collector", certificate=str(path)) is not None


def test_lines_of_the_exporters_are_kept_and_remembered(caplog):
    """What an exporter logs from our threads stays off the application's log and is the reason we tell."""
    otlp.quiet()
    logger = logging.getLogger("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    with suppress():
        logger.error("refused by %s", "the collector")
    logger.error("of the application's own exporter")

    assert "refused by the collector" == otlp.last_error()
    assert ["of the application's own exporter"] == caplog.messages


# -- exits over exporters ----------------------------------------------------------------------


class Exporter(InMemorySpanExporter):
    def __init__(self, answer):
        super().__init__()
        self.answer = answer
        self.calls = []

    def export(self, spans):
        self.calls.append("export")
        return self.answer

    def force_flush(self, timeout_millis=30_000):
        self.calls.append("force_flush")
        return True

    def shutdown(self):
        self.calls.append("shutdown")


@pytest.mark.parametrize(
    ("answer", "succeeded"),
    [(SpanExportResult.SUCCESS, True), (SpanExportResult.FAILURE, False), (None, False)],
)
def test_the_exporters_answer_counts(answer, succeeded):
    """Only an explicit success is one."""
    assert succeeded is RecordExit(name="x", exporter=Exporter(answer)).send([])


def test_only_an_official_exporter_is_interrupted():
    """The user's own `shutdown` may block, and is called at the end only."""
    own, official = Exporter(None), Exporter(None)
    RecordExit(name="own", exporter=own).interrupt()
    RecordExit(name="official", exporter=official, official=True).interrupt()

    assert ([], ["shutdown"]) == (own.calls, official.calls)


def test_an_exporter_in_use_elsewhere_is_flushed_only():
    """Closing leaves it open for the other runtime."""
    exporter = Exporter(None)
    RecordExit(name="x", exporter=exporter, in_use=lambda thing: thing is exporter).close()
    assert ["force_flush"] == exporter.calls
    RecordExit(name="x", exporter=exporter).close()
    assert ["force_flush", "shutdown"] == exporter.calls


def test_metrics_are_exported_one_collection_at_a_time():
    """All collections must be taken for a success."""

    class Metrics:
        def __init__(self, *answers):
            self.answers = list(answers)

        def export(self, data):
            return self.answers.pop(0)

    success, failure = MetricExportResult.SUCCESS, MetricExportResult.FAILURE
    assert MetricExit(name="x", exporter=Metrics(success, success)).send([1, 2]) is True
    assert MetricExit(name="x", exporter=Metrics(success, failure)).send([1, 2]) is False
