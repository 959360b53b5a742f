"""Fields that belong to everything logged in one context, and the id that ties a request together."""

from __future__ import annotations

import re
import uuid
from typing import TYPE_CHECKING, Any

from otelkit._arrival import import_quietly

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, MutableMapping
    from types import TracebackType
    from typing import TypeAlias

__all__ = ["Binding", "CorrelationMiddleware", "bind", "unbind"]

Message: TypeAlias = "MutableMapping[str, Any]"
Receive: TypeAlias = "Callable[[], Awaitable[Message]]"
Send: TypeAlias = "Callable[[Message], Awaitable[None]]"
App: TypeAlias = "Callable[[MutableMapping[str, Any], Receive, Send], Awaitable[None]]"

SPAN_ATTRIBUTE = "correlation.id"
"""The span attribute that `CorrelationMiddleware` sets."""

SCOPE_KEY = "otelkit.correlation_id"
"""Where it leaves the id in the ASGI scope, for what stands around it when the request fails."""

_REQUEST_HEADERS = (b"x-request-id", b"x-correlation-id")
_RESPONSE_HEADER = b"x-request-id"
_STARTS = frozenset(("http.response.start", "websocket.accept", "websocket.http.response.start"))
# 1 to 128 printable ASCII characters, no space at either end.
_VALID = re.compile(rb"[!-~]|[!-~][ -~]{0,126}[!-~]")


class Binding:
    """Bound fields; as a context manager it restores what was there before.

    Restoring works in any context, also in another task, where a context variable's token does not.
    """

    __slots__ = ("_before",)

    def __init__(self, before: dict[str, Any]) -> None:
        self._before = before

    def restore(self) -> None:
        """Give each field the value that it had before, or none; again does nothing."""
        contextvars = _contextvars()
        before, self._before = self._before, {}
        contextvars.unbind_contextvars(*before)
        contextvars.bind_contextvars(**{name: value for name, value in before.items() if value is not ...})

    def __enter__(self) -> Binding:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.restore()


def bind(**fields: Any) -> Binding:
    """Put fields on every line and record that is logged in the present context from now on.

    The context is that of `contextvars`: the present task or thread, and tasks started in it.

    Args:
        **fields: Names and values; values of any type.

    Returns:
        A context manager: leaving it restores what was bound under these names before. It need not
        be used. ::

            with otelkit.bind(order_id=17):
                log.info("order placed")
    """
    tokens = _contextvars().bind_contextvars(**fields)
    return Binding({name: _old_value(token) for name, token in tokens.items()})


def _contextvars() -> Any:
    return import_quietly("structlog").contextvars


def _old_value(token: Any) -> Any:
    return ... if token.old_value is token.MISSING else token.old_value


def unbind(*keys: str) -> None:
    """Take fields off again; names that are not bound are ignored.

    Args:
        *keys: The fields' names; what cannot be one is ignored.
    """
    _contextvars().unbind_contextvars(*filter(_prints, keys))


def _prints(key: object) -> bool:
    """Whether it can be the name of a field: structlog makes it a part of one."""
    try:
        f"{key}"
    except Exception:
        return False
    return True


class CorrelationMiddleware:
    """ASGI middleware that gives every request and websocket an id.

    The id is that of the header ``X-Request-ID``, else of ``X-Correlation-ID``, if it is valid
    (1 to 128 printable ASCII characters, no space at either end; of several headers the first valid
    one), else a new one of 32 hex characters. It is bound as ``correlation_id`` while the request
    runs, returned in the response header ``X-Request-ID`` unless the application sets that itself,
    and set as attribute ``correlation.id`` on the request's span. Other scopes (lifespan) pass, and
    so do exceptions.

    Args:
        app: The ASGI application; ``app.add_middleware(CorrelationMiddleware)`` passes it.
    """

    def __init__(self, app: App) -> None:
        from otelkit.process import watch_loop

        self.app = app
        self._watch_loop = watch_loop

    async def __call__(self, scope: MutableMapping[str, Any], receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        self._watch_loop()
        list_headers(scope)
        identifier = _inbound(scope.get("headers") or ()) or uuid.uuid4().hex
        scope[SCOPE_KEY] = identifier
        marked = _mark_span(identifier)

        async def send_with_id(message: Message) -> None:
            if message["type"] in _STARTS:
                # An instrumentation inside this middleware has opened the span by now.
                if not marked:
                    _mark_span(identifier)
                message = with_id(message, identifier)
            await send(message)

        with bind(correlation_id=identifier):
            await self.app(scope, receive, send_with_id)


def with_id(message: Message, identifier: str) -> Message:
    """The start of a response with the header ``X-Request-ID``, unless it has one."""
    message = listed(message)
    headers = list(message.get("headers") or ())
    if any(bytes(name).lower() == _RESPONSE_HEADER for name, _ in headers):
        return message
    return {**message, "headers": [*headers, (_RESPONSE_HEADER, identifier.encode("ascii"))]}


def listed(message: Message) -> Message:
    """The message with headers that can be read twice: ASGI lets them be any iterable."""
    headers = message.get("headers")
    if headers is None or isinstance(headers, (list, tuple)):
        return message
    return {**message, "headers": list(headers)}


def list_headers(scope: MutableMapping[str, Any]) -> None:
    """The same for a scope, which is changed, as Starlette does it: it stays the one that all share."""
    headers = scope.get("headers")
    if headers is not None and not isinstance(headers, (list, tuple)):
        scope["headers"] = list(headers)


def _inbound(headers: Iterable[tuple[bytes, bytes]]) -> str | None:
    """The first valid id among the request's headers."""
    found = [(bytes(name).lower(), bytes(value)) for name, value in headers]
    for wanted in _REQUEST_HEADERS:
        for name, value in found:
            if name == wanted and _is_valid(value):
                return value.decode("ascii")
    return None


def _is_valid(value: bytes) -> bool:
    return _VALID.fullmatch(value) is not None


def _mark_span(identifier: str) -> bool:
    from opentelemetry.trace import get_current_span

    span = get_current_span()
    if not span.is_recording():
        return False
    span.set_attribute(SPAN_ATTRIBUTE, identifier)
    return True
