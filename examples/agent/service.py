"""The agent as an HTTP service: FastAPI under uvicorn, watched by otelkit.

``python -m examples.agent.service`` serves on a free port of 127.0.0.1 until its stdin ends. It
writes one JSON line with its port, then its log lines, then one JSON line with its counts; or one
with what keeps it from serving, and ends with status 1.
"""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import threading
from dataclasses import asdict
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse

import otelkit
from examples.agent import corpus
from examples.agent.agent import ENDPOINT, Agent, QueryError
from examples.agent.memory import KeptMetrics, TraceMemory, exporters
from examples.agent.mirror import Mirror
from examples.agent.stores import StoreError, open_stores
from otelkit.correlation import CorrelationMiddleware
from otelkit.prometheus import asgi_app

__all__ = ["build_app", "main"]


def build_app(agent: Agent, memory: TraceMemory, mirror: Mirror) -> FastAPI:
    """The service: the agent, its ``/metrics`` and ``/readings``, and a look at single traces."""
    app = FastAPI(title="agent")
    # Server spans come by themselves; looking at the telemetry makes no telemetry.
    otelkit.instrument.fastapi(app, excluded_paths=["/metrics*", "/readings", "/traces/*"])
    app.add_middleware(CorrelationMiddleware)
    app.mount("/metrics", asgi_app())

    @app.post(ENDPOINT)
    async def query(request: Request) -> JSONResponse:
        try:
            answer = await agent.process_query(await request.body())
        except Exception as error:  # process_query has told of it: its line is the one of this failure
            return _refusal(error)
        told = {"answer": answer.data.decode(), "topic": answer.topic, "cached": answer.cached}
        return JSONResponse({**told, "trace_id": otelkit.trace_id()})

    @app.get("/readings")
    async def read_itself() -> dict[str, Any]:
        return mirror.look()

    @app.get("/traces/{trace_id}")
    async def trace(trace_id: str, colour: bool = False) -> PlainTextResponse:
        return PlainTextResponse(memory.tree(trace_id, colour=colour))

    return app


def _refusal(error: Exception) -> JSONResponse:
    """Why there is no answer; what a bug says stays inside."""
    known = isinstance(error, QueryError)
    reason = str(error) if known else "the agent failed"
    content = {"error": type(error).__name__, "reason": reason, "trace_id": otelkit.trace_id()}
    return JSONResponse(content, status_code=error.status if known else 500)


def main(arguments: list[str]) -> int:
    """Serve until stdin ends; ``--keep`` keeps the telemetry here instead of sending it.

    Returns:
        0, or 1 when it could not serve.
    """
    memory, kept = TraceMemory(), KeptMetrics()
    exits = exporters(kept) if "--keep" in arguments else {}
    runtime = otelkit.init(
        service_name="pydoc-agent", service_version="1.0", span_processors=[memory], **exits
    )
    try:
        asyncio.run(_serve(memory))
    except StoreError as error:
        otelkit.shutdown()
        _tell({"failed": str(error)})
        return 1

    complete = otelkit.shutdown(timeout_s=5.0)
    counts = {signal: asdict(count) for signal, count in runtime.stats().items()}
    if exits and counts:
        counts["metrics"] |= {"created": kept.points, "delivered": kept.points}
    _tell({"complete": complete, "counts": counts})
    return 0


async def _serve(memory: TraceMemory) -> None:
    known = corpus.load()
    async with open_stores(known) as stores:
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        listener.listen(128)
        app = build_app(Agent(known, stores), memory, Mirror.begin())
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, lifespan="off"))
        threading.Thread(target=_end_with_stdin, args=(server,), daemon=True).start()
        _tell(
            {
                "port": listener.getsockname()[1],
                "passages": len(known.passages),
                "has_database": stores.history is not None,
                "has_cache": stores.cache is not None,
            }
        )
        await server.serve(sockets=[listener])


def _end_with_stdin(server: uvicorn.Server) -> None:
    sys.stdin.read()
    server.should_exit = True


def _tell(message: dict[str, Any]) -> None:
    """One line for whoever started the service; log lines have no ``demo``."""
    print(json.dumps({"demo": message}), flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
