"""FastAPI, whichever telemetry stands behind it: these hold for its own and for the official one."""

from __future__ import annotations

import asyncio
import gc
import logging
import weakref

import fastapi
import httpx
import pytest
from fastapi import BackgroundTasks, FastAPI, HTTPException
from fastapi.responses import StreamingResponse

import otelkit
from asking import ask, counted, instrumented, served
from otelkit import instrument
from otelkit.instrument._http import native as _native
from otelkit.settings import Settings
from otelkit.testing import capture

NATIVE = _native.is_there()


def shop(**options):
    app = FastAPI(**options)

    @app.get("/items/{number}")
    async def item(number: int):
        otelkit.get_logger("shop").info("asked", number=number)
        return number

    @app.get("/boom")
    async def boom():
        raise ValueError("bad")

    @app.get("/refused")
    async def refused():
        raise HTTPException(503)

    @app.get("/health")
    async def health():
        with otelkit.span("select"):
            otelkit.get_logger("shop").info("checked")
        return "ok"

    return app


def test_one_request_is_one_server_span():
    """Named by the route, with the stable names; no send, receive or inner spans; logs have its ids."""
    with instrumented() as telemetry:
        assert [200] == ask(shop(), "/items/3?q=1")

    assert ["GET /items/{number}"] == [span.name for span in telemetry.spans]
    span = telemetry.spans[0]
    told = {
        "http.request.method": "GET",
        "http.route": "/items/{number}",
        "http.response.status_code": 200,
        "url.path": "/items/3",
        "url.query": "q=1",
    }
    assert told.items() <= dict(span.attributes).items()
    assert span.span_id == telemetry.log("asked").span_id
    assert {"/items/{number}": 1} == counted(telemetry)
    assert "s" == telemetry.metric("http.server.request.duration").unit


def test_a_failure_is_recorded_once():
    """One exception event on the server span, which has failed; no record but the server's own line."""
    with instrumented() as telemetry:
        assert [500] == ask(shop(), "/boom")

    span = telemetry.span("GET /boom")
    assert "ERROR" == span.status
    assert [("exception", "ValueError", "bad")] == [
        (event.name, event.attributes["exception.type"], event.attributes["exception.message"])
        for event in span.events
    ]
    assert [] == [record for record in telemetry.logs if "xception" in str(record.event)]


def test_the_answer_to_a_failure_has_the_made_up_id():
    """With `CorrelationMiddleware` a 500, which is made outside it, has the id of its lines too."""
    app = FastAPI()
    app.add_middleware(otelkit.correlation.CorrelationMiddleware)

    @app.get("/bug")
    async def bug():
        otelkit.get_logger("shop").info("asked")
        raise ZeroDivisionError

    with instrumented() as telemetry:
        answer = asyncio.run(_answer(app, "/bug"))

    made = telemetry.log("asked").attributes["correlation_id"]
    assert (500, [made]) == (answer.status_code, answer.headers.get_list("x-request-id"))


async def _answer(app, path):
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    async with httpx.AsyncClient(transport=transport, base_url="http://shop:80") as client:
        return await client.get(path)


def test_an_answer_that_says_failure_is_no_exception():
    """A 503 that the application answers makes an error span without an event."""
    with instrumented() as telemetry:
        assert [503] == ask(shop(), "/refused")

    assert ("ERROR", ()) == (telemetry.spans[0].status, telemetry.spans[0].events)


def test_a_background_task_fails_behind_the_answer():
    """The request has been answered and its span has ended: nothing more is said but the server's line."""
    app = shop()

    @app.get("/later")
    async def later(tasks: BackgroundTasks):
        tasks.add_task(int, "no number")

    with instrumented() as telemetry:
        assert [200] == ask(app, "/later")

    assert ("GET /later", "UNSET") == (telemetry.spans[0].name, telemetry.spans[0].status)
    assert ["httpx"] == [record.logger for record in telemetry.logs]


def test_the_servers_line_joins_the_request(caplog):
    """What uvicorn logs about the exception afterwards, in the same task, has the request's ids."""
    import asyncio

    app = shop()
    scope = {
        "type": "http", "method": "GET", "path": "/boom", "query_string": b"", "scheme": "http",
        "headers": [(b"x-request-id", b"r-1")], "server": ("shop", 80), "http_version": "1.1",
    }  # fmt: skip

    async def uvicorns_way():
        async def send(message):
            pass

        try:
            await app(scope, None, send)
        except ValueError as error:
            log = logging.getLogger("uvicorn.error")
            log.error("another one", exc_info=KeyError("other"))
            log.error("Exception in ASGI application", exc_info=error)

    with instrumented() as telemetry:
        asyncio.run(uvicorns_way())

    record = telemetry.log("Exception in ASGI application")
    assert telemetry.span("GET /boom").span_id == record.span_id
    assert "r-1" == record.attributes["correlation_id"]
    assert telemetry.log("another one").span_id is None


def test_excluded_requests_leave_nothing():
    """No server span, no span of what the request called, no HTTP metric; its log lines stay."""
    with instrumented() as telemetry:
        assert [200, 307, 200] == ask(shop(), "/health", "/health/", "/openapi.json")

    assert [] == telemetry.spans
    assert {} == counted(telemetry)
    assert telemetry.log("checked")


def test_excluded_under_a_mount_and_behind_a_proxy():
    """The path inside a mounted application and the one behind root_path are excluded alike."""
    outer = FastAPI()
    outer.mount("/v1", shop())
    with instrumented() as telemetry:
        assert [200, 200] == ask(outer, "/v1/health", "/v1/items/1")
        assert [200] == ask(shop(), "/api/health", root_path="/api")

    assert ["GET /v1/items/{number}"] == served(telemetry)


def test_a_longer_path_is_not_excluded():
    """Paths are matched whole: `/metrics` in the list does not hide `/api/metrics`."""
    app = shop()

    @app.get("/api/metrics")
    async def metrics():
        return 1

    with instrumented() as telemetry:
        ask(app, "/api/metrics", "/metrics")

    assert ["GET /api/metrics"] == served(telemetry)


def test_a_failing_probe_is_the_same_to_the_client():
    """An exception of an excluded request goes its way."""
    with instrumented(http_excluded_paths=("/boom",)) as telemetry:
        assert [500] == ask(shop(), "/boom")

    assert [] == telemetry.spans


def test_headers_by_list_only_and_redacted():
    """Listed headers of both sides become attributes; a secret one is hidden, others are not there."""
    listed = {
        "http_request_headers": ("user-agent", "authorization"),
        "http_response_headers": ("content-type",),
    }
    with instrumented(**listed) as telemetry:
        ask(
            shop(),
            "/items/1",
            headers={"authorization": "Bearer abcdef", "cookie": "k=v", "user-agent": "x/1"},
        )

    attributes = dict(telemetry.spans[0].attributes)
    headers = {key: value for key, value in attributes.items() if ".header." in key}
    assert {
        "http.request.header.user-agent": ("x/1",),
        "http.request.header.authorization": ("[redacted]",),
        "http.response.header.content-type": ("application/json",),
    } == headers
    assert "abcdef" not in str(attributes)


def test_secrets_of_the_query_stay():
    """The value of `?token=` is nowhere in span and metrics."""
    with instrumented() as telemetry:
        ask(shop(), "/items/1?token=sesame42&page=7&api_key=sesame42")

    assert "page=7" in telemetry.spans[0].attributes["url.query"]
    assert "sesame42" not in str(telemetry.spans) + str(telemetry.metrics)


def test_the_clients_request_id_is_on_span_and_lines():
    """Bound while the request runs, without a middleware; the response is not changed."""
    with instrumented() as telemetry:
        ask(shop(), "/items/1", "/items/2", headers={"x-request-id": "r-77"})
        ask(shop(), "/items/3")

    assert ["r-77", "r-77", None] == [
        record.attributes.get("correlation_id") for record in telemetry.logs if record.event == "asked"
    ]
    assert ["r-77", "r-77", None] == [span.attributes.get("correlation.id") for span in telemetry.spans]


def test_the_application_sees_what_it_would_see():
    """Answers, headers and the exception of each request are those without otelkit."""
    import asyncio

    async def told(app, path):
        sent = []
        scope = {
            "type": "http", "method": "GET", "path": path, "query_string": b"", "scheme": "http",
            "headers": [(b"x-request-id", b"r")], "server": ("shop", 80), "http_version": "1.1",
        }  # fmt: skip

        async def send(message):
            sent.append(message)

        async def receive():
            return {"type": "http.request", "body": b"", "more_body": False}

        error = None
        try:
            await app(scope, receive, send)
        except Exception as raised:
            error = raised
        return sent, repr(error)

    paths = ("/items/1", "/items/x", "/boom", "/refused", "/health", "/nowhere")
    plain = [asyncio.run(told(shop(), path)) for path in paths]
    with instrumented(http_request_headers=("x-.*",), http_response_headers=(".*",)):
        assert plain == [asyncio.run(told(shop(), path)) for path in paths]


def test_applications_of_before_and_after():
    """One made and used before the instrumentation, one made after it: both have spans until it is undone."""
    before = shop()
    ask(before, "/items/1")  # its middleware is built
    with capture() as telemetry:
        undo = instrument.install(Settings(service_name="test", instrument=("fastapi",)))
        after = shop()
        ask(before, "/items/1")
        ask(after, "/items/1")
        undo()

    assert ["GET /items/{number}"] * 2 == served(telemetry)


def test_turned_off_it_is_as_it_was():
    """The classes have the methods that were found; a client's header does nothing any more."""
    found = FastAPI.__call__
    with instrumented() as telemetry:
        assert (found is not FastAPI.__call__) or not NATIVE
    assert found is FastAPI.__call__

    with capture() as telemetry:
        ask(shop(), "/items/1", headers={"x-request-id": "r"})
    assert "correlation_id" not in telemetry.log("asked").attributes


@pytest.mark.parametrize("how", ["inside", "around"])
def test_the_users_own_instrumentation_stays_alone(how):
    """An application instrumented by the user has the user's spans only, by the user's settings."""
    app = shop()
    if how == "inside":
        from opentelemetry.instrumentation.fastapi import FastAPIInstrumentor

        FastAPIInstrumentor.instrument_app(app, exclude_spans=["send", "receive"])
    else:
        from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware

        app = OpenTelemetryMiddleware(app, exclude_spans=["send", "receive"])
    try:
        with instrumented() as telemetry:
            assert [200, 200] == ask(app, "/items/1", "/health")

        spans = [span for span in telemetry.spans if span.kind == "SERVER"]
        assert 2 == len(spans)
        assert all(span.scope.startswith("opentelemetry.instrumentation.") for span in spans)
        assert "correlation.id" not in spans[0].attributes
    finally:
        if how == "inside":
            FastAPIInstrumentor.uninstrument_app(app)


def test_one_application_by_its_own_rules():
    """`instrument.fastapi` needs no init setting, has its own rules, and is taken back alone."""
    one = shop()
    with capture() as telemetry:
        undo = instrument.fastapi(one, excluded_paths=["/items/*"], request_headers=["x-shop"])
        try:
            ask(one, "/items/1", "/health", headers={"x-shop": "north"})
        finally:
            undo()
            undo()

    assert ["GET /health"] == served(telemetry)
    assert ("north",) == telemetry.span("GET /health").attributes["http.request.header.x-shop"]


def test_what_is_no_application_is_named():
    """`instrument.fastapi` of something else says what was given and what to do."""
    with pytest.raises(TypeError, match=r"given a dict.*otelkit\.instrument\.asgi"):
        instrument.fastapi({})


def test_an_instrumented_application_is_not_kept_alive():
    """Neither the hook nor its rules hold on to an application."""
    app = shop()
    with instrumented() as telemetry:
        instrument.fastapi(app)
        ask(app, "/items/1", "/boom")
        gone = weakref.ref(app)
        del app
        gc.collect()

        assert gone() is None, telemetry
    instrument.uninstrument()


def test_a_streamed_answer_ends_with_its_last_part():
    """The span of a streaming response is there when the stream is over, with the status."""
    app = FastAPI()

    @app.get("/stream")
    async def stream():
        async def parts():
            yield b"a"
            yield b"b"

        return StreamingResponse(parts())

    with instrumented() as telemetry:
        assert [200] == ask(app, "/stream")

    assert 200 == telemetry.span("GET /stream").attributes["http.response.status_code"]


@pytest.mark.skipif(not NATIVE, reason="this FastAPI has no telemetry of its own")
class TestNative:
    """What holds for FastAPI's own telemetry."""

    def test_operation_spans_are_a_setting(self):
        """Off by default; on, dependencies, endpoint and serialization have spans below the server's."""
        with instrumented(http_operation_spans=True) as telemetry:
            ask(shop(), "/items/1")

        assert "fastapi.endpoint" in [span.name for span in telemetry.spans]
        assert {"fastapi"} == {span.scope for span in telemetry.spans}

    def test_one_application_may_have_operation_spans(self):
        """By its own option, while the others have none."""
        one, other = shop(), shop()
        with instrumented() as telemetry:
            undo = instrument.fastapi(one, operation_spans=True)
            ask(other, "/items/1")
            assert 1 == len(telemetry.spans)
            ask(one, "/items/1")
            assert 2 < len(telemetry.spans)
            undo()

    def test_a_cancelled_request_has_failed(self):
        """FastAPI measures it so before we have a say: the span says what the metric says."""
        app = FastAPI()

        @app.get("/")
        async def cancelled():
            raise asyncio.CancelledError

        with instrumented() as telemetry:
            with pytest.raises(asyncio.CancelledError):
                ask(app, "/")

        measured = telemetry.metric("http.server.request.duration").point.attributes
        span = telemetry.spans[0]
        assert "ERROR" == span.status
        assert "asyncio.exceptions.CancelledError" == span.attributes["error.type"] == measured["error.type"]

    def test_an_application_that_wants_none_has_none(self):
        """`FastAPI(telemetry=...)` is the application's own word."""
        with instrumented() as telemetry:
            ask(shop(telemetry={"tracing": False, "metrics": False, "logs": False}), "/items/1", "/boom")

        assert [] == telemetry.spans
        assert {} == counted(telemetry)

    def test_validation_failures_are_still_recorded(self):
        """Of FastAPI's records only that of the exception gives way to the server's line."""
        with instrumented() as telemetry:
            assert [422] == ask(shop(), "/items/x")

        assert telemetry.spans[0].span_id == telemetry.log("Request validation failed").span_id

    def test_another_version_keeps_its_own_defaults(self, said):
        """Where FastAPI's telemetry looks otherwise, the request is served and one line says so."""

        class Other:
            span = None

        assert _native.dress(Other(), None) is None
        assert _native.dress(Other(), None) is None
        assert 1 == len(said())

    def test_a_websocket_is_one_span(self):
        """A connection is one server span, named by its route, with its failure as one event."""
        import asyncio

        app = FastAPI()

        @app.websocket("/ws/{room}")
        async def room(websocket: fastapi.WebSocket, room: str):
            await websocket.accept()
            raise ValueError("bad")

        scope = {
            "type": "websocket",
            "path": "/ws/a",
            "query_string": b"",
            "scheme": "ws",
            "headers": [],
            "subprotocols": [],
        }

        async def receive():
            return {"type": "websocket.connect"}

        async def send(message):
            pass

        with instrumented() as telemetry:
            with pytest.raises(ValueError):
                asyncio.run(app(scope, receive, send))

        span = telemetry.spans[0]
        assert ("WS /ws/{room}", "ERROR", 1) == (span.name, span.status, len(span.events))
