"""FastAPI under a real uvicorn: what arrives for each request, whenever the application was made."""

from __future__ import annotations

import json
import signal
from contextlib import closing
from http.client import HTTPConnection

import pytest

from arrivals import environment
from process import Program
from sink import Sink

APP = """
import os
import otelkit
from fastapi import FastAPI

ORDER = os.environ["ORDER"]
if ORDER == "init first":
    otelkit.init(service_name="shop")

async def lifespan(app):
    if ORDER == "init in lifespan":
        otelkit.init(service_name="shop")
    yield

import contextlib
app = FastAPI(lifespan=contextlib.asynccontextmanager(lifespan))
if ORDER == "app first":
    otelkit.init(service_name="shop")

@app.get("/items/{number}")
async def item(number: int):
    otelkit.get_logger().info("asked", number=number)
    return number

@app.get("/boom")
def boom():
    raise ValueError("bad")

@app.get("/health")
async def health():
    with otelkit.span("probe"):
        return "ok"
"""
ORDERS = ("init first", "app first", "init in lifespan")


class Server:
    """The application above, served by uvicorn from its command line."""

    def __init__(self, folder, sink, *, order, **env):
        (folder / "app.py").write_text(APP)
        own = {**environment(sink), "ORDER": order, "PYTHONDONTWRITEBYTECODE": "1", **env}
        self.program = Program(["-m", "uvicorn", "app:app", "--port", "0"], env=own, cwd=folder)

    def __enter__(self):
        line = self.program.wait_for_line("running on http")
        self.port = int(line.split("127.0.0.1:")[1].split()[0])
        return self

    def __exit__(self, *error):
        self.program.__exit__(*error)

    def ask(self, path, **headers):
        """Status, headers and body of the answer."""
        with closing(HTTPConnection("127.0.0.1", self.port, timeout=20)) as connection:
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            return answer.status, {name.lower() for name, _ in answer.getheaders()}, answer.read().decode()


@pytest.mark.parametrize("order", ORDERS)
def test_a_request_is_one_span_with_its_lines(tmp_path, order):
    """One server span by the route's name; its lines and records have its ids; the client's trace goes on."""
    trace = "0af7651916cd43dd8448eb211c80319c"
    with Sink() as sink, Server(tmp_path, sink, order=order) as server:
        sent = {"traceparent": f"00-{trace}-b7ad6b7169203331-01", "X-Request-ID": "r-17"}
        status, headers, body = server.ask("/items/3?token=sesame42", **sent)
        assert (200, "3") == (status, body)
        assert "x-request-id" not in headers
        ended = server.program.stop(signal.SIGTERM)

        assert ["GET /items/{number}"] == [span.name for span in sink.spans], ended.stderr
        span = sink.spans[0]
        assert ("server", trace, "b7ad6b7169203331") == (span.kind, span.trace_id, span.parent_id)
        assert "r-17" == span.attributes["correlation.id"]
        records = [record for record in sink.logs if record.body == "asked"]
        assert [(trace, span.span_id, "r-17")] == [
            (record.trace_id, record.span_id, record.attributes["correlation_id"]) for record in records
        ]
        line = next(json.loads(line) for line in ended.stdout.splitlines() if '"asked"' in line)
        assert (trace, "r-17") == (line["trace_id"], line["correlation_id"])
        told = str(sink.spans) + str(sink.logs) + str(sink.metrics)
        assert "sesame42" not in told + ended.stdout + ended.stderr


@pytest.mark.parametrize("order", ORDERS)
def test_a_failure_is_told_once(tmp_path, order):
    """A 500 is one exception event on its span and one error record, which is the server's line with the ids."""
    with Sink() as sink, Server(tmp_path, sink, order=order) as server:
        assert 500 == server.ask("/boom")[0]
        ended = server.program.stop(signal.SIGTERM)

        span = next(span for span in sink.spans if span.kind == "server")
        assert ("GET /boom", "error") == (span.name, span.status), ended.stderr
        assert ["ValueError"] == [event.attributes["exception.type"] for event in span.events]
        errors = [record for record in sink.logs if record.severity_number >= 17]
        assert [("ValueError", span.span_id)] == [
            (record.attributes["exception.type"], record.span_id) for record in errors
        ]
        lines = [line for line in (ended.stdout + ended.stderr).splitlines() if "in ASGI application" in line]
        assert 1 == len(lines)
        assert span.trace_id in lines[0]


@pytest.mark.parametrize("order", ORDERS)
def test_probes_leave_nothing(tmp_path, order):
    """Probe, metrics and docs paths are in no span and in no HTTP metric; another request is."""
    with Sink() as sink, Server(tmp_path, sink, order=order) as server:
        for path in ("/health", "/docs", "/openapi.json", "/health"):
            assert 200 == server.ask(path)[0]
        assert 404 == server.ask("/metrics")[0]
        assert 200 == server.ask("/items/1")[0]
        ended = server.program.stop(signal.SIGTERM)

        assert ["GET /items/{number}"] == [span.name for span in sink.spans], ended.stderr
        routes = [
            point.attributes.get("http.route")
            for point in sink.metrics
            if point.name == "http.server.request.duration"
        ]
        assert {"/items/{number}"} == set(routes)


def test_settings_are_followed(tmp_path):
    """Exclusions and headers by variables: what is listed, and no more."""
    env = {
        "OTELKIT_HTTP_EXCLUDED_PATHS": "/items/*",
        "OTEL_INSTRUMENTATION_HTTP_CAPTURE_HEADERS_SERVER_REQUEST": "x-shop,authorization",
    }
    with Sink() as sink, Server(tmp_path, sink, order="init first", **env) as server:
        server.ask("/items/1")
        server.ask("/health", **{"X-Shop": "north", "Authorization": "Bearer sesame42", "X-Other": "o"})
        server.program.stop(signal.SIGTERM)

        span = next(span for span in sink.spans if span.kind == "server")
        headers = {key: list(value) for key, value in span.attributes.items() if ".header." in key}
        assert "GET /health" == span.name
        assert ["north"] == headers["http.request.header.x-shop"]
        assert {"http.request.header.x-shop", "http.request.header.authorization"} == set(headers)
        assert "sesame42" not in str(sink.spans)


def test_without_instrumentation_the_application_says_only_what_it_says_itself(tmp_path):
    """`instrument=false`: FastAPI's own telemetry, where it has one, is its own; otelkit adds nothing."""
    with (
        Sink() as sink,
        Server(tmp_path, sink, order="init first", OTELKIT_INSTRUMENT="false") as server,
    ):
        assert 200 == server.ask("/items/1", **{"X-Request-ID": "r-17"})[0]
        server.program.stop(signal.SIGTERM)

        assert all("correlation_id" not in record.attributes for record in sink.logs)
