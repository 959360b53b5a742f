"""What otelkit adds to one request inside its server span, whoever made the span."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from otelkit import _guard, correlation
from otelkit.instrument._http import server_errors
from otelkit.logs.bound import bound_fields

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, MutableMapping

    from opentelemetry.trace import Span

    from otelkit.instrument._http.rules import Rules

__all__ = ["Call", "Receive", "Scope", "Send", "run"]

Scope: TypeAlias = "MutableMapping[str, Any]"
Receive: TypeAlias = "Callable[[], Awaitable[MutableMapping[str, Any]]]"
Send: TypeAlias = "Callable[[MutableMapping[str, Any]], Awaitable[None]]"
Call: TypeAlias = "Callable[[Scope, Receive, Send], Awaitable[None]]"

_STARTS = frozenset(("http.response.start", "websocket.accept", "websocket.http.response.start"))
_FAILED = 500
_CORRELATION_HEADERS = frozenset((b"x-request-id", b"x-correlation-id"))


async def run(
    call: Call, scope: Scope, receive: Receive, send: Send, span: Span | None, rules: Rules
) -> None:
    """Run the application for one request, inside its span.

    The headers on the lists become attributes. The id of a request that the client sent
    (``X-Request-ID``, ``X-Correlation-ID``) is bound to everything logged and set on the span, as
    `CorrelationMiddleware` does; none is made up, and the response stays as it is. Where that
    middleware is used, the answer to a failure, which is made outside it, has its id too.

    Args:
        call: The application.
        scope: The connection's scope.
        receive: As ASGI has it.
        send: As ASGI has it.
        span: The request's span; None where none is made.
        rules: What is wanted.

    Raises:
        BaseException: What the application raises, unchanged.
    """
    identifier = None
    send = _with_id(send, scope)
    try:
        identifier = _identifier(scope)
        if span is not None and span.is_recording():
            if identifier is not None:
                span.set_attribute(correlation.SPAN_ATTRIBUTE, identifier)
            if rules.request_headers:
                span.set_attributes(rules.request_headers.attributes(scope.get("headers") or ()))
            if rules.response_headers:
                send = _recording(send, span, rules)
    except Exception:
        _guard.swallowed("instrument.request")
    try:
        if identifier is None or server_errors.FIELD in bound_fields():
            await call(scope, receive, send)
        else:
            with correlation.bind(correlation_id=identifier):
                await call(scope, receive, send)
    except Exception as error:
        server_errors.note(error, scope.get(correlation.SCOPE_KEY, identifier))
        raise


def _identifier(scope: Scope) -> str | None:
    headers = scope.get("headers") or ()
    for name, _ in headers:
        if name in _CORRELATION_HEADERS:
            return correlation._inbound(headers)
    return None


def _with_id(send: Send, scope: Scope) -> Send:
    async def send_with_id(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start" and message.get("status", 0) >= _FAILED:
            identifier = scope.get(correlation.SCOPE_KEY)
            if identifier is not None:
                message = correlation.with_id(message, identifier)
        await send(message)

    return send_with_id


def _recording(send: Send, span: Span, rules: Rules) -> Send:
    async def send_and_record(message: MutableMapping[str, Any]) -> None:
        if message["type"] in _STARTS:
            message = correlation.listed(message)
            try:
                span.set_attributes(rules.response_headers.attributes(message.get("headers") or ()))
            except Exception:
                _guard.swallowed("instrument.request")
        await send(message)

    return send_and_record
