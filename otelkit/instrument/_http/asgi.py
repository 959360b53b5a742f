"""The official ASGI instrumentation around one application call, with otelkit's defaults.

For what has no telemetry of its own: Starlette, older FastAPI, any ASGI application.
"""

from __future__ import annotations

import re
from copy import copy
from typing import TYPE_CHECKING, Any, NamedTuple

from opentelemetry.trace import Span, get_current_span

from otelkit import correlation
from otelkit.instrument._conventions import stable_conventions
from otelkit.instrument._http import request
from otelkit.instrument._http.routes import span_details

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from otelkit.instrument._http.request import Call, Receive, Scope, Send
    from otelkit.instrument._http.rules import Rules

__all__ = ["PACKAGE", "Spans", "is_official", "is_official_inside"]

PACKAGE = "opentelemetry.instrumentation.asgi"
_CALL = "otelkit.call"
_ERROR = 500
_MAX_MIDDLEWARE = 100
_NO_ASCII = re.compile(rb"[\x80-\xff]")


class Spans:
    """Makes a server span and the HTTP metrics around calls of any number of applications."""

    def __init__(self) -> None:
        stable_conventions()
        from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware

        self._middleware: Any = OpenTelemetryMiddleware(
            _inside, default_span_details=_details, exclude_spans=["receive", "send"]
        )
        # It reads these from variables too, and names the attributes in the old way; see `_request`.
        self._middleware.http_capture_headers_server_request = None
        self._middleware.http_capture_headers_server_response = None

    async def __call__(
        self, call: Call, app: Any, scope: Scope, receive: Receive, send: Send, rules: Rules
    ) -> None:
        """Run ``call`` for one request; the routes of ``app`` name it."""
        correlation.list_headers(scope)
        query = scope.get("query_string")
        readable = _readable(query)
        scope[_CALL] = _Call(call, app, send, rules, None if readable is query else query)
        if readable is not query:
            scope["query_string"] = readable
        try:
            # It keeps a response's length on itself, where concurrent requests would share it.
            await copy(self._middleware)(scope, receive, send)
        finally:
            if _CALL in scope:  # it failed before the application's turn
                _taken(scope)


class _Call(NamedTuple):
    call: Call
    app: Any
    send: Send
    rules: Rules
    query: bytes | None
    """The application's, where the middleware is shown another."""


def _readable(query: Any) -> Any:
    """A query as the middleware can decode it, which refuses what is no UTF-8."""
    try:
        if isinstance(query, bytes):
            query.decode()
    except UnicodeDecodeError:
        return _NO_ASCII.sub(lambda found: b"%%%02X" % found[0][0], query)
    return query


def _taken(scope: Scope) -> _Call:
    """What the middleware was called with; the scope is the application's own again."""
    made: _Call = scope.pop(_CALL)
    if made.query is not None:
        scope["query_string"] = made.query
    return made


def _details(scope: Scope) -> tuple[str, dict[str, str]]:
    made: _Call = scope[_CALL]
    if made.query is not None:  # routes may look at it
        scope = {**scope, "query_string": made.query}
    return span_details(scope, made.app)


async def _inside(scope: Scope, receive: Receive, send: Send) -> None:
    made = _taken(scope)
    span = get_current_span()
    await request.run(made.call, scope, receive, _keeping_open(send, made.send), span, made.rules)


def _keeping_open(send: Send, plain_send: Send) -> Send:
    """Leave the span of a server error open until the exception arrives, which follows the answer.

    The middleware ends the span with the last part of the answer. Starlette answers first and
    raises then, so the exception would come too late to be recorded.
    """
    failing = False

    async def send_part(message: MutableMapping[str, Any]) -> None:
        nonlocal failing
        message = correlation.listed(message)  # the middleware looks for the length
        if message["type"] == "http.response.start":
            failing = message["status"] >= _ERROR
        past_it = failing and message["type"] == "http.response.body"
        await (plain_send if past_it else send)(message)

    return send_part


def is_official(span: Span) -> bool:
    """Whether an open server span was made by an official instrumentation around the application."""
    scope = getattr(span, "instrumentation_scope", None)
    return (
        scope is not None
        and span.is_recording()
        and getattr(getattr(span, "kind", None), "name", "") == "SERVER"
        and str(scope.name).startswith("opentelemetry.instrumentation.")
    )


def is_official_inside(stack: Any) -> bool:
    """Whether an official instrumentation is one of the middlewares of a stack."""
    for _ in range(_MAX_MIDDLEWARE):
        if type(stack).__module__ == PACKAGE:
            return True
        stack = getattr(stack, "app", None)
        if stack is None:
            return False
    return False
