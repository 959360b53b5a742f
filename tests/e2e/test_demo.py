"""The demo keeps its word: it ends by itself, and every number it prints is true."""

from __future__ import annotations

import re
from collections import Counter
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


@dataclass(frozen=True, slots=True)
class Demo:
    """A run of the demo and what reached the collector."""

    ended: Ended
    sink: Sink

    def printed(self, signal: str) -> tuple[int, ...]:
        """The numbers of a row of the table of counts: created, delivered, dropped."""
        return row(self.ended.stdout, signal)


def row(text: str, name: str) -> tuple[int, ...]:
    """The whole numbers of the line that begins with a name."""
    (line,) = re.findall(rf"^  {name} .*$", text, re.MULTILINE)
    return tuple(int(number.replace(",", "")) for number in line.removeprefix(f"  {name} ").split())


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    """One run that sends to a sink."""
    with Sink() as sink:
        env = {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.http_endpoint}
        yield Demo(run(["-m", "examples.agent"], cwd=ROOT, env=env, timeout_s=60), sink)


def test_it_ends_well(demo: Demo) -> None:
    """It ends by itself within a minute, with exit status 0, and complains of nothing."""
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
    spans = demo.sink.spans
    names = Counter(span.name for span in spans)
    servers = {span.trace_id for span in spans if span.kind == "server"}

    assert names["POST /api/query"] == names["process_query"] == names["validate_query"] == QUERIES
    assert len(servers) == len({span.trace_id for span in spans}) == QUERIES
    assert names["generate_response"] < names["knowledge_search"] < QUERIES


def test_log_records_belong_to_spans(demo: Demo) -> None:
    """The ids of each record made in a request are those of a span that arrived."""
    spans = {(span.trace_id, span.span_id) for span in demo.sink.spans}
    bodies = Counter(record.body for record in demo.sink.logs if record.trace_id)

    assert all((r.trace_id, r.span_id) in spans for r in demo.sink.logs if r.trace_id)
    assert bodies["query answered"] + bodies["query refused"] + bodies["query failed"] == QUERIES


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
    last = {
        frozenset(point.attributes.items()): point.value
        for point in demo.sink.metrics
        if point.name == "agent_requests"
    }
    (shown,) = re.findall(r"^  query +/api/query +(\d+) ", demo.ended.stdout, re.MULTILINE)

    assert int(shown) == sum(value or 0 for value in last.values()) == QUERIES


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


def test_without_a_collector_it_keeps_everything() -> None:
    """With no destination set, the same numbers come from memory, with nothing lost."""
    ended = run(["-m", "examples.agent", "--concurrency", "2"], cwd=ROOT, timeout_s=60)
    counts = [row(ended.stdout, name) for name in ("spans", "log records", "metric points")]

    assert (ended.code, ended.stderr) == (0, "")
    assert all(created == delivered > 0 and dropped == 0 for created, delivered, dropped in counts)
