"""Rate, errors and duration of a method, by the standard instruments of `otelkit.catalog`."""

from __future__ import annotations

import asyncio
import time
from contextlib import contextmanager
from typing import TYPE_CHECKING

import otelkit
from examples.agent.agent import MODEL, Answer, QueryError
from otelkit.catalog import instrument

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["measured", "record_answer"]

log = otelkit.get_logger("agent")


@contextmanager
def measured(method: str, endpoint: str) -> Iterator[None]:
    """Count a call while it runs and when it ends, and log its failure; the error goes on."""
    status, started = "success", time.perf_counter()
    instrument("active_connections").add(1)
    try:
        yield
    except asyncio.CancelledError:
        status = "cancelled"
        raise
    except Exception as error:
        status = "error"
        instrument("errors").add(1, {"error_type": type(error).__name__, "method": method})
        if isinstance(error, QueryError):
            log.warning("query refused", error_type=type(error).__name__, reason=str(error))
        else:
            log.exception("query failed", error_type=type(error).__name__)
        raise
    finally:
        seconds = time.perf_counter() - started
        instrument("active_connections").add(-1)
        instrument("request_duration").record(seconds, {"method": method, "endpoint": endpoint})
        instrument("requests").add(1, {"method": method, "status": status, "endpoint": endpoint})


def record_answer(answer: Answer, *, method: str, endpoint: str) -> None:
    """Record what an answer cost and how large it is."""
    instrument("llm_tokens_used").record(answer.tokens, {"model": MODEL, "operation": method})
    instrument("response_size").record(answer.size_bytes, {"endpoint": endpoint})
