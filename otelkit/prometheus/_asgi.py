"""The page as an ASGI application, to mount in any framework."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from otelkit.prometheus._current import render

__all__ = ["ASGIApp", "asgi_app"]

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
ASGIApp = Callable[[Message, Receive, Send], Awaitable[None]]


def asgi_app() -> ASGIApp:
    """An ASGI application that answers GET and HEAD with the page of this process.

    It may be made before `otelkit.init` and follows every later one. The page is rendered in a
    thread, so the event loop goes on meanwhile::

        app = FastAPI()
        app.mount("/metrics", otelkit.prometheus.asgi_app())
    """
    return _App()


class _App:
    """An object, not a function: frameworks that also take request handlers tell the two apart so."""

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer one connection."""
        await _serve(scope, receive, send)


async def _serve(scope: Message, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    elif scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1000})
    elif scope["method"] not in ("GET", "HEAD"):
        await _respond(send, 405, b"", [(b"allow", b"GET, HEAD")])
    else:
        import asyncio  # a program without an event loop does not pay for it

        accept = b",".join(value for name, value in scope["headers"] if name.lower() == b"accept")
        page, content_type = await asyncio.to_thread(render, accept.decode("latin-1"))
        headers = [(b"content-type", content_type.encode()), (b"cache-control", b"no-store")]
        await _respond(send, 200, page, headers, is_head=scope["method"] == "HEAD")


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        event = (await receive())["type"]
        await send({"type": f"{event}.complete"})
        if event == "lifespan.shutdown":
            return


async def _respond(
    send: Send,
    status: int,
    body: bytes,
    headers: list[tuple[bytes, bytes]],
    *,
    is_head: bool = False,
) -> None:
    headers = [*headers, (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if is_head else body})
