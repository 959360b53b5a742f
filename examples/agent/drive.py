"""The driver: asks the service every query over HTTP, several at a time."""

from __future__ import annotations

import json
import threading
import time
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import closing
from dataclasses import dataclass
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["Reply", "ask_all", "get", "load_queries", "request_id"]

_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class Reply:
    """What came back for a query; status 0 means that no answer came at all."""

    number: int
    query: Any
    status: int
    seconds: float
    topic: str
    trace_id: str
    cached: bool = False

    @property
    def failed(self) -> bool:
        """Whether the query got no answer."""
        return self.status != HTTPStatus.OK


def load_queries() -> list[Any]:
    """The bundled queries: texts, and JSON values or raw bodies that are none."""
    path = Path(__file__).with_name("queries.json")
    queries: list[Any] = json.loads(path.read_text(encoding="utf-8"))
    return queries


def request_id(number: int) -> str:
    """The id that a query carries as ``X-Request-ID``."""
    return f"query-{number:03d}"


def ask_all(
    port: int, queries: Sequence[Any], *, concurrency: int, on_reply: Callable[[Reply], None]
) -> list[Reply]:
    """Ask every query and tell of each reply as it comes.

    Args:
        port: Where the service listens on 127.0.0.1.
        queries: What to ask; numbered from 1.
        concurrency: How many at a time, each on a connection that is kept open.
        on_reply: Called in the calling thread.

    Returns:
        The replies in the order of the queries.
    """
    local = threading.local()
    connections: list[HTTPConnection] = []

    def ask(number: int, query: Any) -> Reply:
        if not hasattr(local, "connection"):
            local.connection = HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
            connections.append(local.connection)
        return _ask(local.connection, number, query)

    replies = []
    with ThreadPoolExecutor(concurrency) as pool:
        asked = [pool.submit(ask, number, query) for number, query in enumerate(queries, 1)]
        for done in as_completed(asked):
            replies.append(done.result())
            on_reply(replies[-1])
    for connection in connections:
        connection.close()
    return sorted(replies, key=lambda reply: reply.number)


def _ask(connection: HTTPConnection, number: int, query: Any) -> Reply:
    headers = {"Content-Type": "application/json", "X-Request-ID": request_id(number)}
    started = time.perf_counter()
    try:
        connection.request("POST", "/api/query", _body(query), headers)
        answer = connection.getresponse()
        status, content = answer.status, answer.read()
    except (OSError, HTTPException):
        status, content = 0, b""
    seconds = time.perf_counter() - started
    if status in {0, HTTPStatus.INTERNAL_SERVER_ERROR}:
        connection.close()  # after an unhandled error uvicorn drops the connection without saying so
    try:
        told = json.loads(content)
    except ValueError:  # the plain text of an internal error
        told = {}
    return Reply(
        number=number,
        query=query,
        status=status,
        seconds=seconds,
        topic=told.get("topic", ""),
        trace_id=told.get("trace_id") or "",
        cached=told.get("cached", False),
    )


def _body(query: Any) -> bytes:
    if isinstance(query, dict) and "$bytes" in query:
        return bytes.fromhex(query["$bytes"])
    return json.dumps({"query": query}).encode()


def get(port: int, path: str) -> str:
    """The text at a path of the service."""
    with closing(HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)) as connection:
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read().decode()
        if answer.status != HTTPStatus.OK:
            raise HTTPException(f"GET {path} answered {answer.status}: {text[:200]}")
        return text
