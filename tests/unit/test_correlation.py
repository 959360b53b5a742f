"""Fields of a context, and the id of a request."""

from __future__ import annotations

import asyncio
import contextvars
import subprocess
import sys

import pytest
from opentelemetry.sdk.trace import TracerProvider
from structlog.contextvars import clear_contextvars, get_contextvars

from otelkit.correlation import CorrelationMiddleware, bind, unbind


@pytest.fixture(autouse=True)
def clean():
    clear_contextvars()
    yield
    clear_contextvars()


def test_bind_binds_at_once():
    """bind works without `with`, unbind takes fields off and ignores unknown ones."""
    bind(a=1, b=2)
    unbind("a", "never")
    assert get_contextvars() == {"b": 2}


def test_what_cannot_be_a_name_is_ignored():
    """unbind passes over an object that cannot be printed, and takes the others off."""

    class Hostile:
        def __str__(self):
            raise ZeroDivisionError

        __repr__ = __hash__ = __format__ = __str__

    bind(a=1, b=2)
    unbind(Hostile(), "a")
    assert get_contextvars() == {"b": 2}


def test_bind_with_a_closed_stdout():
    """bind and unbind, as the first that need structlog, do not need an open stdout."""
    program = (
        "import sys, otelkit; sys.stdout.close(); otelkit.unbind('b')\n"
        "with otelkit.bind(a=1): import structlog; assert {'a': 1} == structlog.contextvars.get_contextvars()\n"
        "sys.stdout = None"
    )
    subprocess.run([sys.executable, "-c", program], check=True)


def test_bind_restores():
    """Leaving the block restores what was bound before, and nothing else."""
    bind(a=1, kept=0)
    with bind(a=2, b=3):
        bind(c=4)
        assert get_contextvars() == {"a": 2, "b": 3, "c": 4, "kept": 0}
    assert get_contextvars() == {"a": 1, "c": 4, "kept": 0}


def test_bind_restores_after_an_exception():
    """An exception passes and the fields are restored."""
    with pytest.raises(LookupError), bind(a=1):
        raise LookupError
    assert get_contextvars() == {}


def test_restoring_in_another_context():
    """Leaving the block in another context (a generator closed elsewhere) raises nothing."""
    binding = contextvars.copy_context().run(bind, a=1)
    binding.__exit__(None, None, None)
    assert get_contextvars() == {}


def test_tasks_are_apart():
    """What one task binds, another one does not see."""

    async def one(n):
        with bind(n=n):
            await asyncio.sleep(0)
            return get_contextvars()["n"]

    async def main():
        return await asyncio.gather(*(one(n) for n in range(3)))

    assert asyncio.run(main()) == [0, 1, 2]
    assert get_contextvars() == {}


def serve(*, kind="http", headers=(), own=(), fail=None, start=None, around=None):
    """One connection through the middleware: what the application saw bound, and what was sent."""
    seen, sent = [], []
    start = (
        start or {"http": "http.response.start", "websocket": "websocket.accept", "lifespan": "other"}[kind]
    )

    async def app(scope, receive, send):
        seen.append(get_contextvars())
        message = {"type": start}
        if own is not None:
            message["headers"] = list(own)
        if around:
            with around():
                await send(message)
        else:
            await send(message)
        if fail:
            raise fail

    async def send(message):
        sent.append(message)

    async def main():
        await CorrelationMiddleware(app)({"type": kind, "headers": list(headers)}, None, send)
        return get_contextvars()

    after = asyncio.run(main())
    return seen[0], sent[0].get("headers", []), after


@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_an_inbound_id_is_taken_and_returned(kind):
    """The request's id is bound while it runs and stands in the response."""
    seen, headers, after = serve(kind=kind, headers=[(b"X-Request-ID", b"abc-1")])
    assert seen == {"correlation_id": "abc-1"}
    assert headers == [(b"x-request-id", b"abc-1")]
    assert after == {}


@pytest.mark.parametrize(
    "value",
    [b"", b"a" * 129, b" a", b"a ", b"a\r\nb", b"\xff\xfe", b"a\x00", b"\x7f", "é".encode()],
)
def test_an_invalid_id_is_replaced(value):
    """Empty, long, padded, unprintable and non-ASCII ids are not taken over."""
    seen, headers, _ = serve(headers=[(b"x-request-id", value)])
    made = seen["correlation_id"]
    assert len(made) == 32 and int(made, 16) >= 0
    assert headers == [(b"x-request-id", made.encode())]


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ([(b"x-correlation-id", b"c")], "c"),
        ([(b"x-correlation-id", b"c"), (b"x-request-id", b"r")], "r"),
        ([(b"x-request-id", b" bad"), (b"x-correlation-id", b"c")], "c"),
        ([(b"x-request-id", b"bad\x01"), (b"x-request-id", b"second")], "second"),
        ([(b"x-request-id", b"a" * 128)], "a" * 128),
    ],
)
def test_which_header_counts(headers, expected):
    """X-Request-ID before X-Correlation-ID; of several, the first valid one."""
    assert serve(headers=headers)[0]["correlation_id"] == expected


def test_the_applications_own_header_stays():
    """An application that sets the response header itself keeps its value, once."""
    _, headers, _ = serve(own=[(b"X-Request-Id", b"mine"), (b"a", b"b")])
    assert headers == [(b"X-Request-Id", b"mine"), (b"a", b"b")]


@pytest.mark.parametrize("own", [(b"x-request-id", b"mine"), (b"a", b"b")])
def test_headers_that_can_be_read_once(own):
    """ASGI lets headers be any iterable: those of the request and of the response all arrive."""
    seen, sent = [], []

    async def app(scope, receive, send):
        seen.extend(scope["headers"])
        await send({"type": "http.response.start", "status": 200, "headers": iter([(b"c", b"d"), own])})

    async def send(message):
        sent.extend(message["headers"])

    scope = {"type": "http", "headers": iter([(b"x-request-id", b"r")])}
    asyncio.run(CorrelationMiddleware(app)(scope, None, send))

    assert [(b"x-request-id", b"r")] == seen
    assert [(b"c", b"d"), own] == sent[:2]


def test_a_response_without_headers():
    """A start message without headers gets the one."""
    _, headers, _ = serve(own=None, headers=[(b"x-request-id", b"abc")])
    assert headers == [(b"x-request-id", b"abc")]


def test_a_denied_websocket():
    """The response to a denied websocket has the id too."""
    _, headers, _ = serve(
        kind="websocket", start="websocket.http.response.start", headers=[(b"x-request-id", b"a")]
    )
    assert headers == [(b"x-request-id", b"a")]


def test_lifespan_passes():
    """Other scopes are passed on as they are."""
    seen, headers, _ = serve(kind="lifespan")
    assert (seen, headers) == ({}, [])


def test_exceptions_pass():
    """What the application raises is raised, and nothing stays bound."""
    error = RuntimeError("app")
    with pytest.raises(RuntimeError) as caught:
        serve(fail=error)
    assert caught.value is error
    assert get_contextvars() == {}


@pytest.mark.parametrize("where", ["outside", "inside"])
def test_the_id_stands_on_the_span(where):
    """The span around the middleware, or the one opened inside it, has the attribute correlation.id."""
    tracer = TracerProvider(shutdown_on_exit=False).get_tracer("t")
    spans = []

    def open_span():
        manager = tracer.start_as_current_span("request")

        class Keep:
            def __enter__(self):
                spans.append(manager.__enter__())

            def __exit__(self, *exc):
                return manager.__exit__(*exc)

        return Keep()

    headers = [(b"x-request-id", b"abc")]
    if where == "outside":
        with open_span():
            serve(headers=headers)
    else:
        serve(headers=headers, around=open_span)
    assert spans[0].attributes["correlation.id"] == "abc"
