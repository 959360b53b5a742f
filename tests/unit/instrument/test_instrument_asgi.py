"""The official ASGI instrumentation: Starlette, older FastAPI, any ASGI application."""

from __future__ import annotations

import asyncio
import gc
import weakref

import pytest
from fastapi import APIRouter, FastAPI
from starlette.applications import Starlette
from starlette.responses import PlainTextResponse
from starlette.routing import Mount, Route

import otelkit
from asking import ask, counted, instrumented, served
from otelkit import instrument
from otelkit.instrument._http import native as _native
from otelkit.testing import capture


async def hello(request):
    return PlainTextResponse("hello")


async def boom(request):
    raise KeyError("bad")


def site():
    return Starlette(
        routes=[
            Route("/hello/{name}", hello),
            Route("/boom", boom),
            Route("/health", hello),
            Mount("/m", routes=[Route("/x/{y}", hello)]),
            Mount("/files", app=plain),
        ]
    )


async def plain(scope, receive, send):
    await send({"type": "http.response.start", "status": 200, "headers": [(b"x-a", b"1")]})
    await send({"type": "http.response.body", "body": b"1"})


def test_starlette_has_one_span_for_a_request():
    """Named by the template, through mounts; stable names, in seconds; no send and receive spans."""
    with instrumented() as telemetry:
        assert [200] * 4 == ask(site(), "/hello/a?token=sesame42", "/m/x/1", "/files/a/b", "/health")

    assert ["GET /hello/{name}", "GET /m/x/{y}", "GET /files/{path}"] == [s.name for s in telemetry.spans]
    told = {"http.request.method": "GET", "http.response.status_code": 200, "http.route": "/hello/{name}"}
    assert told.items() <= dict(telemetry.spans[0].attributes).items()
    assert {"/hello/{name}": 1, "/m/x/{y}": 1, "/files/{path}": 1} == counted(telemetry)
    assert "s" == telemetry.metric("http.server.request.duration").unit
    assert "sesame42" not in str(telemetry.spans) + str(telemetry.metrics)


def test_a_failure_is_one_event_on_the_server_span():
    """Starlette answers before it raises; the exception is on the span all the same, once."""
    with instrumented() as telemetry:
        assert [500] == ask(site(), "/boom")

    span = telemetry.span("GET /boom")
    assert ("ERROR", ["KeyError"]) == (span.status, [e.attributes["exception.type"] for e in span.events])


def test_headers_are_named_alike_everywhere():
    """By our lists, in the stable names, whatever the instrumentation's own variables say."""
    with instrumented(http_request_headers=("x-shop",), http_response_headers=("content-type",)) as telemetry:
        ask(site(), "/hello/a", headers={"x-shop": "north", "x-request-id": "r-1"})

    attributes = dict(telemetry.spans[0].attributes)
    assert "r-1" == attributes["correlation.id"]
    assert ("north",) == attributes["http.request.header.x-shop"]
    assert ["http.request.header.x-shop", "http.response.header.content-type"] == sorted(
        key for key in attributes if ".header." in key
    )


def test_an_unknown_path_does_not_become_a_name():
    """What no route matches is named by its method: clients invent paths without end."""
    with instrumented() as telemetry:
        assert [404, 404] == ask(site(), "/nowhere", "/else/17")

    assert ["GET", "GET"] == served(telemetry)


@pytest.mark.skipif(not _native.is_there(), reason="this FastAPI has no telemetry of its own")
def test_fastapi_inside_starlette_makes_no_second_span():
    """The outer application's span is the request's; the route is the inner one's template."""
    inner = FastAPI()
    router = APIRouter(prefix="/v1")
    inner.include_router(router)

    @router.get("/items/{number}")
    async def item(number: int):
        return number

    inner.include_router(router)
    outer = Starlette(routes=[Mount("/api", app=inner)])
    with instrumented() as telemetry:
        assert [200] == ask(outer, "/api/v1/items/3")

    assert ["GET /api/v1/items/{number}"] == [span.name for span in telemetry.spans]
    assert {"/api/v1/items/{number}": 1} == counted(telemetry)


def test_any_application_can_be_wrapped():
    """`instrument.asgi` gives a span named by the method, excludes probes, and leaves the answer alone."""
    with capture() as telemetry:
        app = instrument.asgi(plain, response_headers=["x-a"])
        assert [200, 200] == ask(app, "/any/path", "/healthz")

    span = telemetry.span("GET")
    assert ("SERVER", ("1",)) == (span.kind, span.attributes["http.response.header.x-a"])
    assert {None: 1} == counted(telemetry)


def test_a_wrapped_starlette_makes_one_span():
    """Wrapped by hand and met by the hook: the outer one counts."""
    with instrumented() as telemetry:
        assert [200] == ask(instrument.asgi(site()), "/hello/a")

    assert ["GET /hello/{name}"] == served(telemetry)


def test_the_wrapper_without_the_official_package_is_the_application(said, monkeypatch):
    """Nothing breaks where it is not installed: one line, and the application as it was."""
    from otelkit.instrument import _library

    monkeypatch.setattr(_library, "find_spec", lambda name: None)

    assert instrument.asgi(plain) is plain
    assert "pip install opentelemetry-instrumentation-asgi" in said()[0]


async def call(app, **more):
    """The start of an answer to a request that no client library would send."""
    sent = []
    scope = {
        "type": "http", "method": "GET", "path": "/hello/a", "query_string": b"", "scheme": "http",
        "headers": [], "server": ("shop", 80), "http_version": "1.1", **more,
    }  # fmt: skip

    async def send(message):
        sent.append(message)

    await app(scope, None, send)
    return sent[0]


def test_a_query_in_no_utf_8_is_told_and_left_alone():
    """The instrumentation refuses such a query: it is shown one it can read, the application its own."""
    seen = []

    class Looking(Route):
        def matches(self, scope):
            seen.append(scope["query_string"])
            return super().matches(scope)

    async def look(request):
        seen.append(request.scope["query_string"])
        return PlainTextResponse("hello")

    query = b"a=\xff&token=\xfesesame42"
    app = Starlette(routes=[Looking("/hello/{name}", look)])
    with instrumented() as telemetry:
        assert 200 == asyncio.run(call(app, query_string=query))["status"]

    assert "a=%FF&token=[redacted]" == telemetry.span("GET /hello/{name}").attributes["url.query"]
    assert {"/hello/{name}": 1} == counted(telemetry)
    assert {query} == set(seen)
    assert 3 == len(seen)


def test_headers_that_can_be_read_once_arrive():
    """ASGI lets headers be any iterable; neither the instrumentation nor our lists use them up."""
    seen = []

    async def app(scope, receive, send):
        seen.extend(scope["headers"])
        await send({"type": "http.response.start", "status": 200, "headers": iter([(b"x-a", b"1")])})

    with capture() as telemetry:
        wrapped = instrument.asgi(app, request_headers=["x-b"], response_headers=["x-a"])
        start = asyncio.run(call(wrapped, headers=iter([(b"x-b", b"2")])))

    attributes = telemetry.span("GET").attributes
    assert ([(b"x-b", b"2")], [(b"x-a", b"1")]) == (seen, list(start["headers"]))
    assert (("2",), ("1",)) == (
        attributes["http.request.header.x-b"],
        attributes["http.response.header.x-a"],
    )


def test_a_failed_request_is_freed_at_once():
    """Nothing of ours keeps the error of a request, and with it all that its frames hold."""

    class Held:
        pass

    held = []

    async def boom(request):
        local = Held()
        held.append(weakref.ref(local))
        raise KeyError("bad")

    async def quietly():
        try:
            await call(Starlette(routes=[Route("/boom", boom)]), path="/boom")
        except KeyError:  # `pytest.raises` and tasks keep it
            pass

    gc.collect()
    gc.disable()
    try:
        with instrumented():
            asyncio.run(quietly())
            assert [None] == [one() for one in held]
    finally:
        gc.enable()


def test_a_cancelled_request_is_no_error():
    """Its span has no status and no ``error.type``: the server has not failed."""

    async def cancelled(request):
        raise asyncio.CancelledError

    with instrumented() as telemetry:
        with pytest.raises(asyncio.CancelledError):
            asyncio.run(call(Starlette(routes=[Route("/hello/{name}", cancelled)])))

    span = telemetry.span("GET /hello/{name}")
    assert "UNSET" == span.status
    assert "error.type" not in span.attributes


def test_a_request_that_the_instrumentation_refuses_is_served():
    """It cannot read the scope and raises: the application is called once, with its own, without a span."""
    from otelkit import _guard

    calls = []

    async def counted_hello(request):
        calls.append(request.scope["query_string"])
        return PlainTextResponse("hello")

    app = Starlette(routes=[Route("/hello/{name}", counted_hello)])
    with instrumented() as telemetry, _guard.reraise(False):
        start = asyncio.run(call(app, query_string=b"a=\xff", client=("no port",)))

    assert (200, [b"a=\xff"]) == (start["status"], calls)
    assert [] == telemetry.spans
    assert {"instrument.asgi": 1} == _guard.failures()


def test_a_route_that_cannot_be_matched_costs_only_its_name(said):
    """A route whose `matches` raises: the request is served as the application serves it."""

    class Odd(Route):
        broken = False

        def matches(self, scope):
            if self.broken:
                raise RuntimeError("odd")
            return super().matches(scope)

    odd = Odd("/odd", hello)
    from otelkit import _guard
    from otelkit.instrument._http.routes import span_details

    odd.broken = True
    with _guard.reraise(False):
        app = Starlette(routes=[odd])
        assert ("GET", {}) == span_details({"type": "http", "method": "GET", "path": "/odd"}, app)
    assert 1 == len(said())


@pytest.mark.skipif(not _native.is_there(), reason="every FastAPI here is an older one")
def test_fastapi_without_its_own_telemetry_is_met_as_starlette_is(monkeypatch):
    """An older FastAPI has the same spans, routes and metrics by the official instrumentation."""
    from otelkit.instrument._http import hook as _http_hook
    from otelkit.instrument._http import server as _http_server

    app = FastAPI(telemetry={"tracing": False, "metrics": False, "logs": False})

    @app.get("/items/{number}")
    async def item(number: int):
        otelkit.get_logger("shop").info("asked")
        return number

    monkeypatch.setattr(_http_hook, "_speaks_itself", lambda app: False)
    monkeypatch.setattr(_native, "is_there", lambda: False)
    monkeypatch.setattr(_http_server, "_hook", _http_hook.Hook(_http_server._rules_for))
    with instrumented() as telemetry:
        assert [200, 200] == ask(app, "/items/3", "/openapi.json")

    assert ["GET /items/{number}"] == [span.name for span in telemetry.spans]
    assert telemetry.spans[0].span_id == telemetry.log("asked").span_id
    assert {"/items/{number}": 1} == counted(telemetry)
