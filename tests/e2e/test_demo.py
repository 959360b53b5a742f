"""The demo keeps its word: it ends by itself, and every number it prints is true."""

from __future__ import annotations

import asyncio
import re
import socket
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from process import Ended, run
from sink import Sink

pytest.importorskip("fastapi")
pytest.importorskip("uvicorn")

from examples.agent.drive import load_queries

ROOT = Path(__file__).resolve().parents[2]
QUERIES = len(load_queries())
IN_MEMORY = {"DATABASE_URL": None, "REDIS_URL": None}
ANSWERED = "Function executed"
FAILED = "Function execution failed"


@dataclass(frozen=True, slots=True)
class Demo:
    """A run of the demo and what reached the collector."""

    ended: Ended
    sink: Sink

    def printed(self, signal: str) -> tuple[int, ...]:
        """The numbers of a row of the table of counts: created, delivered, dropped."""
        return row(self.ended.stdout, signal)

    def latest(self, name: str) -> dict[frozenset, object]:
        """The last point of each series of a metric, by its attributes."""
        return {frozenset(p.attributes.items()): p for p in self.sink.metrics if p.name == name}

    def total(self, name: str, **attributes: str) -> float:
        """The last values of the series of a metric that have these attributes, added up."""
        return sum(
            (point.count if point.value is None else point.value)
            for key, point in self.latest(name).items()
            if attributes.items() <= dict(key).items()
        )


def row(text: str, name: str) -> tuple[int, ...]:
    """The whole numbers of the line that begins with a name."""
    (line,) = re.findall(rf"^  {name} .*$", text, re.MULTILINE)
    return tuple(int(number.replace(",", "")) for number in line.removeprefix(f"  {name} ").split())


def cache_url(redis_server) -> str:
    """A database in Redis that no other test uses."""
    return redis_server.url.replace("/0", "/5")


@pytest.fixture(scope="module")
def alone() -> Iterator[Demo]:
    """One run without servers that sends to a sink."""
    with Sink() as sink:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.http_endpoint, **IN_MEMORY}
        yield Demo(run(["-m", "examples.agent"], cwd=ROOT, env=env, timeout_s=60), sink)


@pytest.fixture(scope="module")
def served(postgres, redis_server) -> Iterator[Demo]:
    """One run with PostgreSQL and Redis, where it is the first and finds nothing."""
    pytest.importorskip("asyncpg")
    pytest.importorskip("redis")
    with Sink() as sink:
        env = {
            "OTEL_EXPORTER_OTLP_ENDPOINT": sink.http_endpoint,
            "DATABASE_URL": postgres.dsn,
            "REDIS_URL": cache_url(redis_server),
        }
        yield Demo(run(["-m", "examples.agent"], cwd=ROOT, env=env, timeout_s=120), sink)


@pytest.fixture(params=["alone", "served"])
def demo(request: pytest.FixtureRequest) -> Demo:
    """Either run."""
    return request.getfixturevalue(request.param)


def asked(demo: Demo) -> int:
    """How many queries a run asks; each one twice where there is a cache."""
    return QUERIES * (2 if "in Redis" in demo.ended.stdout else 1)


def requests_of(demo: Demo) -> dict[str, list]:
    """The spans of each request, by its trace."""
    traces = defaultdict(list)
    for span in demo.sink.spans:
        traces[span.trace_id].append(span)
    return {trace: spans for trace, spans in traces.items() if any(s.kind == "server" for s in spans)}


# -- with and without servers -------------------------------------------------------------------------


def test_it_ends_well(demo: Demo) -> None:
    """It ends by itself, with exit status 0, and complains of nothing."""
    assert demo.ended.code == 0, demo.ended.stdout + demo.ended.stderr
    assert demo.ended.stderr == ""
    assert "100 %" in demo.ended.stdout


def test_its_counts_are_what_arrived(demo: Demo) -> None:
    """Created, delivered and received are the same number, for each signal."""
    received = {
        "spans": len(demo.sink.spans),
        "log records": len(demo.sink.logs),
        "metric points": len(demo.sink.metrics),
    }

    assert {name: demo.printed(name) for name in received} == {
        name: (number, number, 0) for name, number in received.items()
    }
    assert min(received.values()) > 0


def test_every_query_has_its_spans(demo: Demo) -> None:
    """Each query is one trace, with one server span and the agent's steps below it."""
    traces = requests_of(demo)
    names = Counter(span.name for spans in traces.values() for span in spans)

    assert names["POST /api/query"] == names["process_query"] == names["validate_query"] == asked(demo)
    assert len(traces) == asked(demo)
    assert names["generate_response"] < names["knowledge_search"] < asked(demo)
    for spans in traces.values():
        by_id = {span.span_id: span for span in spans}
        (server,) = [span for span in spans if span.kind == "server"]
        (query,) = [span for span in spans if span.name == "process_query"]
        assert (server.parent_id, query.parent_id) == ("", server.span_id)
        assert all(span.parent_id in by_id for span in spans if span is not server)


def test_log_records_belong_to_spans(demo: Demo) -> None:
    """The ids of each record made in a request are those of a span that arrived, unless it has none."""
    spans = {(span.trace_id, span.span_id) for span in demo.sink.spans}
    bodies = Counter(record.body for record in demo.sink.logs if record.trace_id)
    others = [r.body for r in demo.sink.logs if r.trace_id and (r.trace_id, r.span_id) not in spans]

    assert [line for line in others if not re.search(r'"GET /(metrics|readings|traces)', line)] == []
    assert bodies[ANSWERED] + bodies[FAILED] == asked(demo)


def test_a_failure_is_one_line(demo: Demo) -> None:
    """Whether a query was refused or the agent was at fault: one record of it, in the span that failed."""
    failed = {span.span_id for span in demo.sink.spans if span.name == "process_query" and span.events}
    records = [record for record in demo.sink.logs if record.severity_number > 12]

    assert {record.body for record in records} == {FAILED}
    assert sorted(record.span_id for record in records) == sorted(failed)


def test_shown_log_lines_belong_to_the_shown_trace(demo: Demo) -> None:
    """The one request is shown with a trace that arrived, and its lines carry that trace's id."""
    (trace,) = re.findall(r"One request .* trace ([0-9a-f]{32})$", demo.ended.stdout, re.MULTILINE)
    lines = re.findall(r" trace=(\w{8}) span=(\w{8})", demo.ended.stdout)
    spans = {span.span_id[:8] for span in demo.sink.spans if span.trace_id == trace}

    assert len(lines) >= 3
    assert {shown for shown, _ in lines} == {trace[:8]}
    assert {span for _, span in lines} <= spans


def test_the_metrics_count_every_query(demo: Demo) -> None:
    """Requests on `/metrics` and requests over OTLP are the number of queries sent."""
    (shown,) = re.findall(r"^  query +/api/query +(\d+) ", demo.ended.stdout, re.MULTILINE)

    assert int(shown) == demo.total("agent_requests") == asked(demo)


def test_its_errors_are_real(demo: Demo) -> None:
    """Errors come from the service's own exceptions: recorded on spans and counted alike."""
    raised = Counter(
        str(event.attributes["exception.type"]).rpartition(".")[2]
        for span in demo.sink.spans
        if span.name == "process_query"
        for event in span.events
    )
    printed = dict(re.findall(r"^  (\w+Error) +(\d+) ", demo.ended.stdout, re.MULTILINE))

    assert {name: int(number) for name, number in printed.items()} == raised
    assert {"EmptyQueryError", "TooLongError", "NotTextError", "NoAnswerError", "UnicodeEncodeError"} <= set(
        raised
    )


def test_its_errors_have_their_status(demo: Demo) -> None:
    """A refusal keeps its HTTP status; what the agent is at fault for is a 500."""
    printed = dict(re.findall(r"^  (\w+Error) +\d+ +(\d+) ", demo.ended.stdout, re.MULTILINE))

    assert printed == {
        "BrokenBodyError": "400",
        "EmptyQueryError": "400",
        "NoAnswerError": "404",
        "TooLongError": "413",
        "NotTextError": "422",
        "UnicodeEncodeError": "500",
    }


def test_its_own_readings_are_those_numbers(demo: Demo) -> None:
    """Error share, p95 and tokens as the service reads them are those of the table and of the metrics."""
    out = demo.ended.stdout
    table = re.findall(r"^  query .* (\S+) %  .* (\S+ ms)$", out, re.MULTILINE)
    read = re.findall(r"its own readings: (\S+)/s, (\S+) % errors, p95 (\S+ ms), (\S+) tokens", out)
    ((rate, share, p95, tokens),) = read
    used = sum(point.sum for point in demo.latest("llm_tokens_used").values())

    assert [(share, p95)] == table
    assert int(tokens.replace(",", "")) == used > 0
    assert float(rate) > 0


# -- with servers -------------------------------------------------------------------------------------


def test_databases_are_below_the_step_that_asks(served: Demo) -> None:
    """GET below the lookup, SELECT below the search, SET and INSERT below the query, and nothing else."""
    parents = Counter()
    for spans in requests_of(served).values():
        by_id = {span.span_id: span for span in spans}
        parents.update((s.name, by_id[s.parent_id].name) for s in spans if s.kind == "client")

    assert {
        ("GET", "cache_lookup"),
        ("SET", "process_query"),
        ("SELECT otelkit_demo.passages", "knowledge_search"),
        ("INSERT otelkit_demo.history", "process_query"),
    } == parents.keys()


def test_the_cache_counts_what_happens(served: Demo, redis_server) -> None:
    """Hits and misses on spans, in the counter, in the calls and in print are the same numbers."""
    import redis

    with redis.Redis.from_url(cache_url(redis_server)) as client:
        kept = client.dbsize()
    spans = [span for span in served.sink.spans if span.name == "cache_lookup"]
    hits = sum(span.attributes["cache.hit"] for span in spans)
    answered = served.total("agent_requests", status="success")
    calls = {
        name: served.total("db.client.operation.duration", **{"db.operation.name": name})
        for name in ("GET", "SET")
    }
    ((*printed, entries),) = re.findall(
        r"cache: (\d+) hits, (\d+) misses, (\d+) entries", served.ended.stdout
    )

    assert hits == answered / 2 > 0
    assert served.total("agent_cache_lookups", result="hit") == hits
    assert served.total("agent_cache_lookups", result="miss") == len(spans) - hits
    assert calls == {"GET": len(spans), "SET": hits}
    assert [int(number) for number in printed] == [hits, len(spans) - hits]
    assert int(entries) <= kept == hits  # a callback that is late repeats its last answer
    assert served.total("llm_tokens_used") == answered - hits


def test_the_history_has_every_answer(served: Demo, postgres) -> None:
    """Each answer is a row with the trace in which it was given; the passages are those of this Python."""
    import asyncpg

    from examples.agent.corpus import load

    answered = {log.trace_id for log in served.sink.logs if log.body == ANSWERED}

    async def look():
        connection = await asyncpg.connect(postgres.dsn)
        try:
            history = await connection.fetch(
                "SELECT trace_id, cached FROM otelkit_demo.history WHERE trace_id = ANY($1)", list(answered)
            )
            passages = await connection.fetch(
                "SELECT topic, text FROM otelkit_demo.passages WHERE edition = $1 ORDER BY number",
                load().edition,
            )
            return history, passages
        finally:
            await connection.close()

    history, passages = asyncio.run(look())

    assert Counter(row["trace_id"] for row in history) == Counter(answered)
    assert Counter(row["cached"] for row in history) == {True: len(history) / 2, False: len(history) / 2}
    assert [tuple(row) for row in passages] == [(each.topic, each.text) for each in load().passages]


def test_no_query_is_told(served: Demo) -> None:
    """The text of a query is in the one log line that is about it, and nowhere else."""
    texts = [
        text for text in load_queries() if isinstance(text, str) and " " in text and 20 <= len(text) <= 60
    ]
    elsewhere = repr(
        [
            [(s.name, s.attributes, s.events, s.status_description) for s in served.sink.spans],
            [(p.name, p.attributes) for p in served.sink.metrics],
            [
                (
                    log.body,
                    {k: v for k, v in log.attributes.items() if (log.body, k) != ("query accepted", "query")},
                )
                for log in served.sink.logs
            ],
        ]
    )

    assert len(texts) > 50
    assert [text for text in texts if repr(text)[1:-1] in elsewhere] == []
    assert "otelkit_demo:" not in elsewhere


def test_it_does_not_depend_on_being_the_first(served: Demo, postgres, redis_server) -> None:
    """Again, with the cache full and the tables made: only hits, and the numbers still agree."""
    env = {"DATABASE_URL": postgres.dsn, "REDIS_URL": cache_url(redis_server)}
    ended = run(["-m", "examples.agent"], cwd=ROOT, env=env, timeout_s=120)

    assert (ended.code, ended.stderr) == (0, "")
    assert re.search(r"(\d+) answers, \1 from the cache: 0 tokens", ended.stdout)


# -- ways to run ----------------------------------------------------------------------------------------


def test_without_a_collector_it_keeps_everything() -> None:
    """With no destination set, the same numbers come from memory, with nothing lost."""
    ended = run(["-m", "examples.agent", "--concurrency", "2"], cwd=ROOT, env=IN_MEMORY, timeout_s=60)
    counts = [row(ended.stdout, name) for name in ("spans", "log records", "metric points")]

    assert (ended.code, ended.stderr) == (0, "")
    assert all(created == delivered > 0 and dropped == 0 for created, delivered, dropped in counts)


@pytest.mark.parametrize(
    ("variable", "scheme", "package"),
    [("DATABASE_URL", "postgresql", "asyncpg"), ("REDIS_URL", "redis", "redis")],
)
def test_a_server_that_is_not_there(variable: str, scheme: str, package: str) -> None:
    """One line that says which and what to do, and exit status 1."""
    pytest.importorskip(package)
    with socket.socket() as listener:  # bound, never listening: connections are refused
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        env = {**IN_MEMORY, variable: f"{scheme}://somebody:hidden@127.0.0.1:{port}/0"}
        ended = run(["-m", "examples.agent"], cwd=ROOT, env=env, timeout_s=60)

    assert ended.code == 1
    (line,) = (ended.stdout + ended.stderr).splitlines()
    assert line.startswith(f"The service failed: {variable} (127.0.0.1:{port}) cannot be used: ")
    assert "hidden" not in line
