"""A call of redis-py as a CLIENT span and a measurement of ``db.client.operation.duration``.

Spans and measurements hold names, counts and codes only: see `commands` and `errors`.
Source: https://opentelemetry.io/docs/specs/semconv/database/redis/
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from time import perf_counter
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import SpanKind
from opentelemetry.trace.status import Status, StatusCode

from otelkit import _guard
from otelkit.instrument._redis import stand_back
from otelkit.instrument._redis.commands import command, key_count, query_text
from otelkit.instrument._redis.errors import Failure, failure
from otelkit.instrument._redis.where import labels
from otelkit.processors.context import attach, detach, with_span

if TYPE_CHECKING:
    from contextvars import Token

    from opentelemetry.context import Context
    from opentelemetry.metrics import Meter
    from opentelemetry.trace import Span, Tracer

__all__ = ["Call", "Calls"]

# Source: semantic conventions for database client metrics; and below a millisecond, where redis answers.
_BUCKETS_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
_MAX_LOOKED_AT = 1_000
_MAX_NAMED = 20


@dataclass(slots=True, eq=False)
class Call:
    """A call that is being made.

    Attributes:
        labels: What span and measurement share.
        span: Its span, which is the current one; None where another instrumentation makes it.
        token: Gives back the former context.
        began: Seconds of the performance counter.
    """

    labels: Mapping[str, Any]
    span: Span | None
    token: Token[Context] | None
    began: float


class Calls:
    """Tells of calls; every method may be called from any thread and task, and none raises.

    Args:
        tracer: Makes the spans.
        meter: Makes ``db.client.operation.duration``.
    """

    def __init__(self, tracer: Tracer, meter: Meter) -> None:
        self._tracer = tracer
        self._duration = meter.create_histogram(
            "db.client.operation.duration",
            "s",
            "Duration of database client operations",
            explicit_bucket_boundaries_advisory=_BUCKETS_S,
        )

    def command(self, client: Any, args: Sequence[Any]) -> Call | None:
        """One command begins; None where nothing can be told of it."""
        try:
            known = command(args[0] if args else None)
            name = known.name
            shared = labels(client, name)
            attributes = dict(shared)
            if name is not None:
                attributes["db.query.text"] = query_text(name, len(args) - 1)
            keys = key_count(known, args)
            if keys is not None:
                attributes["db.redis.key_count"] = keys
            return self._begin(name or "redis", shared, attributes)
        except Exception:
            _guard.swallowed("instrument.redis.begin")
            return None

    def pipeline(self, pipe: Any, _: Sequence[Any] = ()) -> Call | None:
        """A pipeline or transaction is executed; None for one that sends nothing."""
        try:
            stack = _commands_of(pipe)
            size = len(stack)
            transaction = _is_transaction(pipe)
            if not size and not (transaction and getattr(pipe, "watching", False)):
                return None
            names, keys = _looked_at(stack)
            operation = "MULTI" if transaction else "PIPELINE"
            if len(names) == 1 and size <= _MAX_LOOKED_AT:
                operation = f"{operation} {names[0]}"
            shared = labels(pipe, operation)
            attributes = {**shared, "db.redis.commands": names[:_MAX_NAMED]}
            if size > 1:  # by the conventions it is no batch otherwise
                attributes["db.operation.batch.size"] = size
            if keys is not None and size <= _MAX_LOOKED_AT:
                attributes["db.redis.key_count"] = keys
            return self._begin(operation, shared, attributes)
        except Exception:
            _guard.swallowed("instrument.redis.begin")
            return None

    def _begin(self, name: str, shared: Mapping[str, Any], attributes: Mapping[str, Any]) -> Call:
        if stand_back.official_is_on():
            return Call(shared, None, None, perf_counter())
        span = self._tracer.start_span(name, None, SpanKind.CLIENT, attributes)
        return Call(shared, span, attach(with_span(span)), perf_counter())

    def end(self, call: Call, error: BaseException | None = None) -> None:
        """The call returned, or raised ``error``."""
        try:
            seconds = perf_counter() - call.began
            shared = call.labels
            failed = None if error is None else failure(error)
            if failed is not None:
                shared = {**shared, **failed.labels}
            if not stand_back.redis_measures("COMMAND"):
                self._duration.record(seconds, shared)  # with its span as the exemplar's
            if call.span is not None and failed is not None and call.span.is_recording():
                _tell(call.span, failed)
        except Exception:
            _guard.swallowed("instrument.redis.end")
        finally:
            _close(call)


def _close(call: Call) -> None:
    try:
        if call.token is not None:
            detach(call.token)
        if call.span is not None:
            call.span.end()
    except Exception:
        _guard.swallowed("instrument.redis.end")


def _tell(span: Span, failed: Failure) -> None:
    """The failure on its span; without the traceback, which shows the error's message."""
    span.set_attributes(failed.labels)
    if not failed.is_error:
        return
    event = {"exception.type": failed.kind}
    if failed.message:
        event["exception.message"] = failed.message
    span.add_event("exception", event)
    span.set_status(Status(StatusCode.ERROR, failed.text))


def _looked_at(stack: Sequence[Any]) -> tuple[list[str], int | None]:
    """The distinct names of a pipeline's first commands, and their keys; None if those are not known."""
    names: dict[str, None] = {}
    keys: int | None = 0
    for entry in islice(stack, _MAX_LOOKED_AT):
        args = entry.args if hasattr(entry, "args") else entry[0]
        known = command(args[0] if args else None)
        names[known.name or "redis"] = None
        count = key_count(known, args)
        keys = None if keys is None or count is None else keys + count
    return list(names), keys


def _commands_of(pipe: Any) -> Sequence[Any]:
    """What a pipeline would send now; where it is kept depends on the client and its version."""
    strategy = getattr(pipe, "_execution_strategy", None)
    for holder, name in (
        (strategy, "_command_queue"),
        (strategy, "command_queue"),
        (pipe, "command_stack"),
        (pipe, "_command_stack"),
    ):
        found = getattr(holder, name, None)
        if found is not None:
            return found  # type: ignore[no-any-return]
    return ()


def _is_transaction(pipe: Any) -> bool:
    strategy = getattr(pipe, "_execution_strategy", None)
    if strategy is not None:
        return "Transaction" in type(strategy).__name__
    if not hasattr(pipe, "explicit_transaction"):  # a cluster's, before it had transactions
        return False
    # The asyncio client has its flag under another name, and `transaction` is a method there.
    wanted = getattr(pipe, "is_transaction", None)
    return bool(pipe.explicit_transaction or (vars(pipe).get("transaction") if wanted is None else wanted))
