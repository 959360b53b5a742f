"""HTTP clients and SQL libraries: what leaves of a request and of a statement."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from asking import instrumented
from otelkit.instrument._conventions import stable_conventions
from otelkit.instrument._sql.spans import ValuelessProvider
from otelkit.testing import capture

SECRET = "sesame42"


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.traces.append(self.headers.get("traceparent"))
        self.send_response(200)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, *args):
        pass


@pytest.fixture
def server():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as made:
        made.traces = []
        thread = threading.Thread(target=made.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield made
        made.shutdown()
        thread.join()


def by_httpx(url):
    import httpx

    with httpx.Client() as client:
        assert "ok" == client.get(url).text


def by_requests(url):
    import requests

    with requests.Session() as session:
        assert "ok" == session.get(url, timeout=10).text


def by_aiohttp(url):
    import aiohttp

    async def get():
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            assert "ok" == await answer.text()

    asyncio.run(get())


@pytest.mark.parametrize(
    "library, get", [("httpx", by_httpx), ("requests", by_requests), ("aiohttp-client", by_aiohttp)]
)
def test_a_request_is_one_client_span(server, library, get):
    """By the stable conventions; its trace goes on at the server; a secret of the query stays."""
    port = server.server_address[1]
    with instrumented(library) as telemetry:
        get(f"http://127.0.0.1:{port}/a?token={SECRET}&page=7")

    assert 1 == len(telemetry.spans)
    span = telemetry.spans[0]
    assert ("CLIENT", "GET") == (span.kind, span.attributes["http.request.method"])
    assert 200 == span.attributes["http.response.status_code"]
    assert "page=7" in span.attributes["url.full"]
    assert SECRET not in str(telemetry.spans) + str(telemetry.metrics)
    assert [f"00-{span.trace_id}-{span.span_id}"] == [one[:52] for one in server.traces]
    assert "s" == telemetry.metric("http.client.request.duration").unit


@pytest.fixture
def database():
    """A database over the official DB-API instrumentation, with our provider."""
    from opentelemetry.instrumentation import dbapi

    stable_conventions()
    connection = sqlite3.connect(":memory:")
    yield dbapi.instrument_connection(
        "test", connection, "postgresql", tracer_provider=ValuelessProvider("postgresql"), version="1"
    )
    connection.close()


def test_a_statement_leaves_without_its_values(database):
    """Text with `?`; where the stable conventions are known, a summary that names the span; no value."""
    with capture() as telemetry:
        cursor = database.cursor()
        cursor.execute("CREATE TABLE users (name TEXT UNIQUE)")
        cursor.execute(f"INSERT INTO users VALUES ('{SECRET}')")
        cursor.execute("SELECT name FROM users WHERE name = ?", (SECRET,))

    span = telemetry.spans[-1]
    stable = "db.query.text" in span.attributes  # not yet in 0.60b0
    assert (
        "SELECT name FROM users WHERE name = ?"
        == span.attributes["db.query.text" if stable else "db.statement"]
    )
    assert ("SELECT users" if stable else "SELECT") == span.name
    assert span.attributes.get("db.query.summary") == ("SELECT users" if stable else None)
    assert SECRET not in str(telemetry.spans)


def test_a_database_error_leaves_without_its_message(database):
    """Servers quote rows in it: class and state are enough; the application gets the error as it is."""

    with capture() as telemetry:
        cursor = database.cursor()
        with pytest.raises(sqlite3.OperationalError, match=SECRET):
            cursor.execute(f"SELECT * FROM {SECRET}")

    span = telemetry.spans[0]
    assert ("ERROR", None, ()) == (span.status, span.error, span.events)
    assert "no such table" not in str(span)
    assert "sqlite3.OperationalError" == span.attributes["error.type"]


def test_sqlalchemy_leaves_no_value_either():
    """Over the official instrumentation's tracer, with the database told after the statement."""
    sqlalchemy = pytest.importorskip("sqlalchemy")
    from opentelemetry import metrics
    from opentelemetry.instrumentation.sqlalchemy.engine import EngineTracer

    stable_conventions()
    engine = sqlalchemy.create_engine("sqlite://")
    usage = metrics.get_meter("test").create_up_down_counter("usage")
    with capture() as telemetry:
        EngineTracer(ValuelessProvider().get_tracer("test"), engine, usage)
        try:
            with engine.connect() as connection:
                connection.exec_driver_sql(f"SELECT '{SECRET}'")
                connection.exec_driver_sql(f'SELECT "{SECRET}"')
                with pytest.raises(sqlalchemy.exc.OperationalError):
                    connection.exec_driver_sql(f"SELECT '{SECRET}' FROM nowhere")
        finally:
            EngineTracer.remove_all_event_listeners()
            engine.dispose()

    texts = [
        span.attributes[key]
        for span in telemetry.spans
        for key in ("db.query.text", "db.statement")
        if key in span.attributes
    ]
    assert ["SELECT ?", "SELECT", "SELECT ? FROM nowhere"] == texts
    assert ["ERROR"] == [span.status for span in telemetry.spans if span.status != "UNSET"]
    assert {None} == {span.error for span in telemetry.spans}
    assert SECRET not in str(telemetry.spans)


def test_the_current_span_is_the_applications():
    """Inside a statement's span `get_current_span` gives the real one, which can still be given values."""
    from opentelemetry import trace

    with capture() as telemetry:
        tracer = ValuelessProvider("postgresql").get_tracer("test")
        with tracer.start_as_current_span("query") as span:
            assert trace.get_current_span() is span
            span.set_attribute("db.query.text", f"SELECT '{SECRET}'")
            with trace.get_tracer("app").start_as_current_span("inner"):
                pass

    assert "SELECT ?" == telemetry.span("SELECT").attributes["db.query.text"]
    assert telemetry.span("SELECT").span_id == telemetry.span("inner").parent_id


def test_mysql_says_its_number():
    """Of an error of MySQL's drivers the number alone, as its messages quote rows; and not for longer than wanted."""
    from otelkit.processors.exceptions import message

    refused = type("IntegrityError", (Exception,), {"__module__": "pymysql.err"})
    error = refused(1062, f"Duplicate entry '{SECRET}' for key 'email'")
    with instrumented("sqlalchemy"):
        assert "1062" == message(error)

    assert SECRET in message(error)
