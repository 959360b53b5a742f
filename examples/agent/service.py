"""The agent as an HTTP service: FastAPI under uvicorn, watched by otelkit.

``python -m examples.agent.service`` serves on a free port of 127.0.0.1 until its stdin ends. It
writes one JSON line with its port, then its log lines, then one JSON line with its counts.
"""

from __future__ import annotations

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
from examples.agent.agent import QueryError, process_query
from examples.agent.memory import KeptMetrics, TraceMemory, exporters
from examples.agent.red import measured, record_answer
from otelkit.correlation import CorrelationMiddleware
from otelkit.prometheus import asgi_app

__all__ = ["build_app", "main"]

METHOD, ENDPOINT = "query", "/api/query"


def build_app(memory: TraceMemory) -> FastAPI:
    """The service: the agent, its ``/metrics``, and a look at single traces."""
    # FastAPI makes the server spans by itself; looking at the telemetry makes no telemetry.
    app = FastAPI(title="agent", telemetry={"exclude": _is_about_telemetry})
    app.add_middleware(CorrelationMiddleware)
    app.mount("/metrics", asgi_app())

    @app.post(ENDPOINT)
    async def query(request: Request) -> dict[str, Any]:
        with measured(METHOD, ENDPOINT):
            answer = await process_query(await request.body())
            record_answer(answer, method=METHOD, endpoint=ENDPOINT)
            return {"answer": answer.text, "topic": answer.topic, "trace_id": otelkit.trace_id()}

    @app.exception_handler(QueryError)
    async def refuse(_: Request, error: QueryError) -> JSONResponse:
        content = {"error": type(error).__name__, "reason": str(error), "trace_id": otelkit.trace_id()}
        return JSONResponse(content, status_code=error.status)

    @app.get("/traces/{trace_id}")
    async def trace(trace_id: str, colour: bool = False) -> PlainTextResponse:
        return PlainTextResponse(memory.tree(trace_id, colour=colour))

    return app


def _is_about_telemetry(scope: Any) -> bool:
    return str(scope.get("path", "")).startswith(("/metrics", "/traces"))


def main(arguments: list[str]) -> int:
    """Serve until stdin ends; ``--keep`` keeps the telemetry here instead of sending it."""
    memory, kept = TraceMemory(), KeptMetrics()
    exits = exporters(kept) if "--keep" in arguments else {}
    runtime = otelkit.init(
        service_name="pydoc-agent", service_version="1.0", span_processors=[memory], **exits
    )
    corpus.load()
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    server = uvicorn.Server(uvicorn.Config(build_app(memory), log_config=None, lifespan="off"))
    threading.Thread(target=_end_with_stdin, args=(server,), daemon=True).start()
    _tell({"port": listener.getsockname()[1], "passages": len(corpus.load().passages)})
    server.run(sockets=[listener])

    complete = otelkit.shutdown(timeout_s=5.0)
    counts = {signal: asdict(count) for signal, count in runtime.stats().items()}
    if exits and counts:
        counts["metrics"] |= {"created": kept.points, "delivered": kept.points}
    _tell({"complete": complete, "counts": counts})
    return 0


def _end_with_stdin(server: uvicorn.Server) -> None:
    sys.stdin.read()
    server.should_exit = True


def _tell(message: dict[str, Any]) -> None:
    """One line for whoever started the service; log lines have no ``demo``."""
    print(json.dumps({"demo": message}), flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
