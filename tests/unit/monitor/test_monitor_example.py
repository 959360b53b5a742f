"""The first example of a monitored agent, and the series that its users will look for."""

from __future__ import annotations

import asyncio
import re
from typing import Any

import pytest

import otelkit
from otelkit import catalog, monitor_performance, prometheus


class Answer:
    """What a language model's client returns."""

    model = "archon-1"
    data = {"answer": "42"}

    class usage:
        total_tokens = 1_234


class MonitoredAgent:
    """An agent with monitored performance."""

    @monitor_performance(method="query", endpoint="/api/query", track_tokens=True)
    async def process_query(self, query: str) -> dict[str, Any]:
        """Answer a query."""
        if not query:
            raise ValueError("no query")
        return Answer()


@pytest.fixture
def page():
    """The text of `/metrics` after three answers and one failure, as one scrape."""
    otelkit.init(service_name="archon-agent", instrument=False, console=False)
    agent = MonitoredAgent()

    async def work():
        for query in ("one", "two", "three"):
            await agent.process_query(query)
        with pytest.raises(ValueError):
            await agent.process_query("")

    asyncio.run(work())
    received = []

    async def receive():
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message):
        received.append(message.get("body", b""))

    scope = {"type": "http", "method": "GET", "path": "/metrics", "headers": [], "query_string": b""}
    asyncio.run(prometheus.asgi_app()(scope, receive, send))
    return b"".join(received).decode()


def test_series(page):
    """Each series has its exact name, labels and value."""
    here = 'method="query"'
    for line in (
        f'agent_requests_total{{endpoint="/api/query",{here},status="success"}} 3.0',
        f'agent_requests_total{{endpoint="/api/query",{here},status="error"}} 1.0',
        f'agent_requests_total{{endpoint="/api/query",{here},status="cancelled"}} 0.0',
        f'agent_errors_total{{error_type="ValueError",{here}}} 1.0',
        f'agent_request_duration_seconds_count{{endpoint="/api/query",{here}}} 4.0',
        'llm_tokens_used_sum{model="archon-1",operation="query"} 3702.0',
        'llm_tokens_used_count{model="archon-1",operation="query"} 3.0',
        "agent_active_connections 0.0",
        'response_size_bytes_count{endpoint="/api/query"} 3.0',
        'response_size_bytes_sum{endpoint="/api/query"} 45.0',
    ):
        assert line in page.splitlines(), line


@pytest.mark.parametrize(
    "key", [row.key for row in catalog.INSTRUMENTS if row.key in {"request_duration", "llm_tokens_used"}]
)
def test_buckets(page, key):
    """The histograms have the buckets of the table."""
    row = catalog.row(key)
    bounds = re.findall(rf'^{row.exposed}_bucket{{.*le="([^"]+)"', page, re.MULTILINE)

    assert [*(str(float(bound)) for bound in row.buckets), "+Inf"] == bounds[: len(row.buckets) + 1]


def test_kinds(page):
    """Prometheus sees the kinds that the names promise."""
    kinds = dict(re.findall(r"^# TYPE (\S+) (\S+)", page, re.MULTILINE))

    expected = {"counter": "counter", "histogram": "histogram", "up_down_counter": "gauge"}
    for key in (
        "requests",
        "errors",
        "request_duration",
        "llm_tokens_used",
        "active_connections",
        "response_size",
    ):
        row = catalog.row(key)
        assert expected[row.kind] == kinds[row.exposed], row.exposed
