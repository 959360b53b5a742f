"""One call to the database: a CLIENT span with its attributes at start, and its duration.

Sources: OpenTelemetry semantic conventions for PostgreSQL, database client spans and metrics.
"""

from __future__ import annotations

from collections.abc import Mapping
from time import perf_counter
from typing import TYPE_CHECKING, Any

from opentelemetry import metrics, trace
from opentelemetry.context import Context
from opentelemetry.trace import SpanKind, Status, StatusCode

from otelkit import _guard
from otelkit.instrument._asyncpg import errors
from otelkit.instrument._sql import Statement
from otelkit.processors.context import attach, current, detach, suppressed, with_span

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextvars import Token

    from opentelemetry.trace import Span

__all__ = ["BUCKETS", "SCOPE", "SYSTEM", "Call", "Calls", "Hidden", "batch_size", "where"]

SCOPE = "otelkit.asyncpg"
SYSTEM = "postgresql"
BUCKETS = (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
_SUPPRESS_PLAIN = "suppress_instrumentation"  # the key of instrumentations before the API had one
_INSIDE = "otelkit-asyncpg-inside"
_MAX_SERVERS = 1_000
_MAX_BATCH = frozenset({list, tuple})


class Calls:
    """Begins calls while instrumentation is on.

    Args:
        left_to_another: Whether somebody else makes the spans at the moment; only durations are
            measured then.
    """

    def __init__(self, *, left_to_another: Callable[[], bool]) -> None:
        self._left_to_another = left_to_another
        self._tracer = trace.get_tracer(SCOPE)
        self._duration = metrics.get_meter(SCOPE).create_histogram(
            "db.client.operation.duration",
            "s",
            "Duration of database client operations.",
            explicit_bucket_boundaries_advisory=BUCKETS,
        )
        self._servers: dict[Any, dict[str, Any]] = {}
        self.on = True

    def begin(
        self,
        connection: Any,
        statement: Statement,
        *,
        verb: str = "",
        batch: int | None = None,
        target: str = "",
        whole: bool = False,
    ) -> Call | None:
        """Begin a call; None where no telemetry is wanted, or it failed.

        Args:
            connection: The asyncpg connection.
            statement: What is executed.
            verb: The operation, where a method stands for one: ``PREPARE``, ``FETCH``, ``COPY``.
            batch: The number of parameter sets of a batch, -1 if it is not known; one is no batch.
            target: The table that the method was given.
            whole: Calls on this connection inside of this one are part of it.
        """
        try:
            context = current()
            if not self.on or suppressed(context) or _is_hidden(context, connection):
                return None
            name, labels = self._labels(connection, statement, verb, batch, target)
            call = Call(self._duration, labels, statement.text, context)
            if not self._left_to_another():
                attributes = {**labels, "db.query.text": statement.text} if statement.text else {**labels}
                if batch is not None and batch >= 0 and batch != 1:
                    attributes["db.operation.batch.size"] = batch
                call.start(self._tracer.start_span(name, context, SpanKind.CLIENT, attributes))
            if whole:
                call.cover(connection)
            call.started = perf_counter()
            return call
        except Exception:
            _guard.swallowed("asyncpg.begin")
            return None

    def hide(self, connection: Any) -> Hidden | None:
        """Tell nothing of what is asked on ``connection`` until the end; None where nothing is told."""
        return Hidden(connection) if self.on else None

    def _labels(
        self, connection: Any, statement: Statement, verb: str, batch: int | None, target: str
    ) -> tuple[str, dict[str, Any]]:
        summary, operation = statement.summary, statement.operation
        if verb:
            summary = " ".join(part for part in (verb, target or summary) if part)
            operation = verb
        if batch is not None and batch != 1:
            summary = f"BATCH {summary}".rstrip()
            operation = f"BATCH {operation}".rstrip()
        labels = {**self._server(connection)}
        if summary:
            labels["db.query.summary"] = summary
        if operation:
            labels["db.operation.name"] = operation
        if target:
            labels["db.collection.name"] = target
        return summary or labels.get("db.namespace") or SYSTEM, labels

    def _server(self, connection: Any) -> Mapping[str, Any]:
        params = connection._params
        settings = params.server_settings
        path = settings.get("search_path") if settings else None
        key = (connection._addr, params.database, path)
        found = self._servers.get(key)
        if found is None:
            if len(self._servers) >= _MAX_SERVERS:
                self._servers.clear()
            found = self._servers[key] = where(connection._addr, params.database, path)
        return found


def where(address: Any, database: Any, search_path: Any = None) -> dict[str, Any]:
    """The attributes of a server and a database on it.

    Args:
        address: Host and port, or the path of a socket.
        database: The database that was connected to.
        search_path: As it was set when the connection was made; its first schema is part of the
            namespace.
    """
    found: dict[str, Any] = {"db.system.name": SYSTEM}
    names = [str(name) for name in (database, _first_schema(search_path)) if name]
    if names:
        found["db.namespace"] = "|".join(names)
    if isinstance(address, str):
        found["server.address"] = address
    elif address:
        found["server.address"], found["server.port"] = str(address[0]), int(address[1])
    return found


def _first_schema(search_path: Any) -> str:
    names = [name.strip().strip('"') for name in search_path.split(",")] if search_path else []
    return next((name for name in names if name and name != "$user"), "")


def batch_size(sets: object) -> int:
    """The number of parameter sets; -1 for what may be used up, or run the application's code."""
    return len(sets) if type(sets) in _MAX_BATCH else -1  # type: ignore[arg-type]


class Call:
    """A call under way; its span is the current one until `end`.

    Attributes:
        started: When the call began, as `time.perf_counter` has it.
    """

    __slots__ = ("_context", "_covered", "_duration", "_labels", "_span", "_text", "_token", "started")

    def __init__(
        self, duration: metrics.Histogram, labels: dict[str, Any], text: str, context: Context
    ) -> None:
        self._duration = duration
        self._labels = labels
        self._text = text
        self._context = context
        self._span: Span | None = None
        self._token: Token[Context] | None = None
        self._covered: list[Any] | None = None
        self.started = 0.0

    def start(self, span: Span) -> None:
        """Make ``span`` the call's."""
        self._span = span
        self._context = with_span(span, self._context)
        self._token = attach(self._context)

    def cover(self, connection: Any) -> None:
        """Make the calls on ``connection`` inside of this one a part of it."""
        self._covered = [connection]
        self._context = Context({**self._context, _INSIDE: self._covered})
        token = attach(self._context)
        self._token = self._token or token

    def end(self, error: BaseException | None = None) -> None:
        """End the call. Never raises.

        Args:
            error: What it raised. Cancellation and the end of an iteration are no errors.
        """
        try:
            elapsed = perf_counter() - self.started
            if self._token is not None:
                detach(self._token)
            if self._covered is not None:
                self._covered.clear()
            if isinstance(error, Exception) and not isinstance(error, StopAsyncIteration):
                self._fail(error)
            if self._span is not None:
                self._span.end()
            self._duration.record(elapsed, self._labels, self._context)
        except Exception:
            _guard.swallowed("asyncpg.end")

    def _fail(self, error: Exception) -> None:
        failure = errors.of(error, self._text)
        self._labels["error.type"] = failure.kind
        if failure.sqlstate:
            self._labels["db.response.status_code"] = failure.sqlstate
        span = self._span
        if span is None or not span.is_recording():
            return
        span.set_attribute("error.type", failure.kind)
        if failure.sqlstate:
            span.set_attribute("db.response.status_code", failure.sqlstate)
        span.set_status(Status(StatusCode.ERROR, failure.text))
        event = {"exception.type": failure.kind, "exception.stacktrace": errors.frames(error.__traceback__)}
        if failure.message:
            event["exception.message"] = failure.message
        span.add_event("exception", event)


class Hidden:
    """Something under way that is no call: the calls inside of it are told by nobody."""

    __slots__ = ("_covered", "_token")

    def __init__(self, connection: Any) -> None:
        self._covered = [connection]
        self._token = attach(Context({**current(), _INSIDE: self._covered}))

    def end(self, error: BaseException | None = None) -> None:
        """It is over. Never raises."""
        del error
        detach(self._token)
        self._covered.clear()


def _is_hidden(context: Context, connection: Any) -> bool:
    """Whether no call is told here: nobody wants any, or it is a part of another one."""
    if context.get(_SUPPRESS_PLAIN):
        return True
    covered: Any = context.get(_INSIDE)
    return bool(covered) and covered[0] is connection
