"""FastAPI, asyncpg and redis under load, all real: every number agrees, and no value leaks."""

from __future__ import annotations

import json
import re
import signal
from collections import Counter, defaultdict
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path

import pytest

from process import Ended, Program
from sink import Sink

CLIENTS, REQUESTS = 2, 200
HIDDEN, MISSING, BROKEN = "hidden-", 10, 25


@dataclass(frozen=True, slots=True)
class Load:
    """What the clients saw and what came of it.

    Attributes:
        statuses: How many answers had each HTTP status.
        traces: Status by trace id, of the answers that named it.
        spooled: The bytes on disk while the collector was away.
    """

    statuses: Counter
    traces: dict[str, int]
    spooled: bytes
    ended: Ended
    sink: Sink


def ask(port, numbers):
    """One client: its answers as pairs of status and trace id."""
    answers = []
    with closing(HTTPConnection("127.0.0.1", port, timeout=30)) as connection:
        for number in numbers:
            connection.request("GET", f"/items/{number % 50}?token={HIDDEN}query")
            answer = connection.getresponse()
            answer.read()
            answers.append((answer.status, answer.headers.get("x-trace-id")))
            if answer.status == 500:
                connection.close()  # uvicorn does, after an unhandled error
            connection.request("GET", "/healthz")
            connection.getresponse().read()
    return answers


@pytest.fixture(scope="module")
def load(postgres, redis_server):
    """400 requests by two clients; during the second half the collector is away."""
    with Sink() as sink:
        env = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": sink.http_endpoint,
            "OTELKIT_SHUTDOWN_TIMEOUT_S": "10",
            "DATABASE_URL": postgres.dsn,
            "REDIS_URL": redis_server.url,
            "HIDDEN": HIDDEN,
            "MISSING": str(MISSING),
            "BROKEN": str(BROKEN),
        }
        with Program(Path(__file__).with_name("load_app.py"), env=env) as program:
            program.wait_for_line("serving")
            port = int(re.search(r"127\.0\.0\.1:(\d+)", program.wait_for_line("Uvicorn running"))[1])
            halves = []
            for half in (range(REQUESTS // 2), range(REQUESTS // 2, REQUESTS)):
                with ThreadPoolExecutor(CLIENTS) as clients:
                    halves += [
                        answer
                        for answers in clients.map(lambda _, half=half: ask(port, half), range(CLIENTS))
                        for answer in answers
                    ]
                if half.start == 0:
                    sink.behave("refuse")
            spooled = on_disk(program)
            sink.behave("ok")
            ended = program.stop(signal.SIGTERM)
        yield Load(
            Counter(status for status, _ in halves),
            {trace: status for status, trace in halves if trace},
            spooled,
            ended,
            sink,
        )


def on_disk(program):
    """What the spool holds now; it is written every 100 ms, and nothing of it leaves."""
    return b"".join(path.read_bytes() for path in program._spool.rglob("*") if path.is_file())


def latest(sink, name):
    """The last point of each series of a metric, by its attributes."""
    return {tuple(sorted(point.attributes.items())): point for point in sink.metrics if point.name == name}


def test_the_clients_saw_everything(load):
    """Each kind of answer came, and all of them; the service ended by the signal."""
    assert CLIENTS * REQUESTS == sum(load.statuses.values())
    assert {200, 404, 500} == load.statuses.keys()
    assert load.statuses[404] == CLIENTS * REQUESTS // MISSING
    assert load.statuses[500] == CLIENTS * REQUESTS // BROKEN
    assert load.ended.code in (0, -signal.SIGTERM, 128 + signal.SIGTERM)


def test_each_request_is_one_trace(load):
    """A request is one trace: the server span, the monitored function below it, its clients' below that."""
    traces = defaultdict(list)
    for span in load.sink.spans:
        traces[span.trace_id].append(span)
    servers = [span for span in load.sink.spans if span.kind == "server"]

    assert CLIENTS * REQUESTS == len(servers)
    assert {"GET /items/{number}"} == {span.name for span in servers}
    assert load.traces.keys() <= traces.keys()
    for server in servers:
        spans = {span.span_id: span for span in traces[server.trace_id]}
        by_name = {span.name: span for span in spans.values()}
        assert server.parent_id == ""
        assert by_name["lookup"].parent_id == server.span_id
        status = server.attributes["http.response.status_code"]
        assert status == load.traces.get(server.trace_id, 500)
        if status != 500:
            clients = [span for span in spans.values() if span.kind == "client"]
            assert clients
            assert {by_name["lookup"].span_id} == {span.parent_id for span in clients}
        assert {"server", "internal", "client"} >= {span.kind for span in spans.values()}


def test_client_spans(load):
    """Both databases are seen, with stable names."""
    systems = Counter(
        span.attributes.get("db.system.name") for span in load.sink.spans if span.kind == "client"
    )
    selects = [span for span in load.sink.spans if span.name == "SELECT items"]

    assert {"redis", "postgresql"} == systems.keys()
    assert selects
    assert all("?" in span.attributes["db.query.text"] for span in selects)


def test_red_numbers_are_the_clients(load):
    """Rate, errors and durations are what the clients counted, at both levels."""
    requests = latest(load.sink, "agent_requests")
    statuses = {dict(labels)["status"]: point.value for labels, point in requests.items()}
    ok, missing, broken = (load.statuses[status] for status in (200, 404, 500))

    assert {"success": ok, "error": missing + broken, "cancelled": 0} == statuses
    errors = {dict(labels)["error_type"]: p.value for labels, p in latest(load.sink, "agent_errors").items()}
    assert {"LookupError": missing, "ZeroDivisionError": broken} == errors
    (duration,) = latest(load.sink, "agent_request_duration").values()
    assert CLIENTS * REQUESTS == duration.count
    assert 0 == next(iter(latest(load.sink, "agent_active_connections").values())).value
    served = Counter()
    for labels, point in latest(load.sink, "http.server.request.duration").items():
        served[dict(labels)["http.response.status_code"]] += point.count
    assert load.statuses == served


def test_lines_carry_the_ids(load):
    """Each call has one line on stdout and one record, with the ids of its span."""
    calls = {span.span_id: span for span in load.sink.spans if span.name == "lookup"}
    lines = {
        line["span_id"]: line
        for text in load.ended.stdout.splitlines()
        if text.startswith("{") and (line := json.loads(text))["event"].startswith("Function exec")
    }
    records = {log.span_id: log for log in load.sink.logs if str(log.body).startswith("Function exec")}

    assert CLIENTS * REQUESTS == len(calls)
    assert calls.keys() == lines.keys() == records.keys()
    for span_id, span in calls.items():
        assert span.trace_id == lines[span_id]["trace_id"] == records[span_id].trace_id
        assert ("error" if span.status == "error" else "success") == lines[span_id]["status"]


def test_probes_are_nowhere(load):
    """Health probes make neither spans nor points."""
    assert "healthz" not in repr(load.sink.spans)
    assert "healthz" not in repr(load.sink.metrics)


def test_no_value_leaks(load):
    """No literal, parameter, comment, key, value or query string is in any signal or on disk."""
    for where in (load.sink.spans, load.sink.logs, load.sink.metrics):
        assert where
        assert HIDDEN not in repr(where)
    assert len(load.spooled) > 10_000
    assert HIDDEN.encode() not in load.spooled
    ours = [line for line in load.ended.stdout.splitlines() if '"GET ' not in line]  # uvicorn's access line
    assert HIDDEN not in "\n".join(ours)
