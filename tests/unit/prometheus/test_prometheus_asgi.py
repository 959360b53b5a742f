"""The page as an ASGI application, for the page that is current at the time of the request."""

from __future__ import annotations

import asyncio
import threading

import httpx
import prometheus_client
from starlette.applications import Starlette

from otelkit.prometheus import activate, asgi_app, current, render


def call(scope, messages=()):
    """What the application sends for one scope."""
    sent, waiting = [], list(messages)

    async def receive():
        return waiting.pop(0)

    async def send(message):
        sent.append(message)

    asyncio.run(asgi_app()(scope, receive, send))
    return sent


def http(method="GET", accept=None):
    headers = [] if accept is None else [(b"accept", accept)]
    return {"type": "http", "method": method, "path": "/", "headers": headers}


def test_get_answers_with_the_current_page(bridge):
    """Body, length and content type belong together."""
    bridge.meter.create_counter("requests").add(1)
    with activate(bridge.page):
        start, body = call(http())
    headers = dict(start["headers"])

    assert (start["status"], b"requests_total 1.0" in body["body"]) == (200, True)
    assert headers[b"content-type"] == b"text/plain; version=0.0.4; charset=utf-8"
    assert int(headers[b"content-length"]) == len(body["body"])


def test_the_accept_header_is_honoured(bridge):
    """OpenMetrics on request."""
    with activate(bridge.page):
        _, body = call(http(accept=b"application/openmetrics-text"))

    assert body["body"].endswith(b"# EOF\n")


def test_head_has_the_headers_only(bridge):
    """A HEAD tells how long the page is without sending it."""
    bridge.meter.create_counter("requests").add(1)
    with activate(bridge.page):
        start, body = call(http("HEAD"))

    assert (start["status"], body["body"]) == (200, b"")
    assert int(dict(start["headers"])[b"content-length"]) > 0


def test_other_methods_are_refused():
    """A scrape reads."""
    start, _ = call(http("POST"))

    assert (start["status"], dict(start["headers"])[b"allow"]) == (405, b"GET, HEAD")


def test_lifespan_is_acknowledged():
    """Servers that send lifespan messages to the application itself get their answers."""
    sent = call({"type": "lifespan"}, [{"type": "lifespan.startup"}, {"type": "lifespan.shutdown"}])

    assert [one["type"] for one in sent] == [
        "lifespan.startup.complete",
        "lifespan.shutdown.complete",
    ]


def test_a_websocket_is_closed():
    """There is nothing to talk about."""
    assert [one["type"] for one in call({"type": "websocket"})] == ["websocket.close"]


def test_rendering_leaves_the_event_loop_free(bridge):
    """A large page is made in another thread."""
    threads = []
    bridge.meter.create_observable_gauge("x", [lambda _: threads.append(threading.get_ident()) or []])
    with activate(bridge.page):
        call(http())

    assert len(threads) == 1
    assert threads[0] != threading.get_ident()


def test_without_telemetry_the_hosts_metrics_are_served(host):
    """The application may be mounted before init, or without it."""
    host(prometheus_client.Gauge("host_fine", "", registry=None)).set(1)

    assert current() is None
    assert b"host_fine 1.0" in call(http())[1]["body"]
    assert render("application/openmetrics-text")[0].endswith(b"# EOF\n")


def test_pages_are_taken_back_in_any_order(make_bridge):
    """A runtime that ends late does not take away its successor's page."""
    first, second = make_bridge(), make_bridge()
    outer, inner = activate(first.page), activate(second.page)
    outer.restore()
    assert current() is second.page

    inner.restore()
    inner.restore()
    assert current() is None


def test_an_inner_page_gives_way_to_the_outer_one(make_bridge):
    """Leaving the block makes the former page current again."""
    first, second = make_bridge(), make_bridge()
    with activate(first.page):
        with activate(second.page) as page:
            assert current() is page is second.page
        assert current() is first.page


async def test_the_app_is_a_route_of_its_own():
    """As a route it answers the exact path, without the redirect of a mount."""
    app = Starlette()
    app.add_route("/metrics", asgi_app())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://host") as client:
        answer = await client.get("/metrics")

    assert 200 == answer.status_code
