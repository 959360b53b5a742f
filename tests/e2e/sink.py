"""An OTLP sink for tests: a small collector over HTTP and gRPC that can also behave badly.

::

    with Sink() as sink:
        run(env={"OTEL_EXPORTER_OTLP_ENDPOINT": sink.http_endpoint})
        sink.wait_for(lambda s: len(s.spans) == 3, timeout_s=5)
        assert sink.spans[0].name == "checkout"

Only what was answered with success counts as received, as a sender would count it; every request
that was read, whatever the answer, is in `Sink.requests`.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from doors import GrpcDoor, HttpDoor
from received import LogRecord, Point, Span, read_logs, read_metrics, read_spans

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

__all__ = ["Behaviour", "Request", "Sink"]

Behaviour = Literal["ok", "refuse", "hang", "drip", "status"]

_READERS: dict[str, Callable[[bytes], Sequence[Any]]] = {
    "traces": read_spans,
    "logs": read_logs,
    "metrics": read_metrics,
}


@dataclass(frozen=True, slots=True)
class Request:
    """One request that the sink has read; ``path`` is the URL path or the gRPC method."""

    path: str
    headers: Mapping[str, str]
    size_bytes: int
    time_s: float
    items: int
    behaviour: Behaviour


class Sink:
    """A collector on two free ports of 127.0.0.1; use it as a context manager.

    Thread-safe. Leaving the context closes both ports and joins every thread, and fails if a
    request could not be decoded.

    Args:
        behaviour: How it answers; see `behave`.
        code: The HTTP status of the behaviour ``"status"``.
    """

    def __init__(self, behaviour: Behaviour = "ok", *, code: int = 503) -> None:
        self._changed = threading.Condition()
        self._spans: list[Span] = []
        self._logs: list[LogRecord] = []
        self._points: list[Point] = []
        self._requests: list[Request] = []
        self._errors: list[str] = []
        self._behaviour: Behaviour = behaviour
        self._code = code
        self._release = threading.Event()
        self._http = HttpDoor(self)
        self._grpc = GrpcDoor(self)

    @property
    def http_endpoint(self) -> str:
        """The base address for OTLP over HTTP, without ``/v1/traces``."""
        return f"http://127.0.0.1:{self._http.port}"

    @property
    def grpc_endpoint(self) -> str:
        """The address for OTLP over gRPC; the server starts when it is first asked for."""
        self._grpc.open()
        return f"http://127.0.0.1:{self._grpc.port}"

    @property
    def spans(self) -> tuple[Span, ...]:
        """The spans received so far, in order of arrival."""
        with self._changed:
            return tuple(self._spans)

    @property
    def logs(self) -> tuple[LogRecord, ...]:
        """The log records received so far, in order of arrival."""
        with self._changed:
            return tuple(self._logs)

    @property
    def metrics(self) -> tuple[Point, ...]:
        """The metric data points received so far: every export adds its own."""
        with self._changed:
            return tuple(self._points)

    @property
    def requests(self) -> tuple[Request, ...]:
        """Every request read so far, whatever the answer was."""
        with self._changed:
            return tuple(self._requests)

    @property
    def behaviour(self) -> Behaviour:
        """How it answers now."""
        return self._behaviour

    def wait_for(self, condition: Callable[[Sink], object], *, timeout_s: float = 10.0) -> None:
        """Return as soon as ``condition(sink)`` is true; it is asked after each request.

        Raises:
            AssertionError: It was not true within ``timeout_s`` seconds; tells what had arrived.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: condition(self), timeout_s):
                raise AssertionError(f"not within {timeout_s} s; received {self}")

    def behave(self, behaviour: Behaviour, *, code: int = 503) -> None:
        """Change the behaviour, from the next request on.

        Args:
            behaviour: ``"ok"`` stores and answers; ``"refuse"`` closes the ports and every
                connection; ``"hang"`` reads the request and never answers; ``"drip"`` answers one
                byte a second; ``"status"`` answers ``code``. Requests that hang are let go,
                unanswered, at the next change.
            code: The HTTP status of ``"status"``; gRPC answers the code that maps to it.
        """
        with self._changed:
            self._behaviour, self._code = behaviour, code
            waiting, self._release = self._release, threading.Event()
        waiting.set()
        self._http.apply(behaviour)
        self._grpc.apply(behaviour)

    def clear(self) -> None:
        """Forget what was received so far."""
        with self._changed:
            for items in (self._spans, self._logs, self._points, self._requests):
                items.clear()

    def close(self) -> None:
        """Close both ports and join every thread; calling it again is no error."""
        self._release.set()
        self._http.close()
        self._grpc.close()

    def __enter__(self) -> Self:
        self._http.open()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
        if kind is None and self._errors:
            raise AssertionError(f"the sink met requests that no working sender makes: {self._errors}")

    def __repr__(self) -> str:
        with self._changed:
            return (
                f"Sink({self._behaviour}: {len(self._requests)} requests, {len(self._spans)} spans, "
                f"{len(self._logs)} log records, {len(self._points)} metric points)"
            )

    # What the doors call, from their own threads.

    @property
    def releasing(self) -> threading.Event:
        """Set when the behaviour changes or the sink closes: the end of every wait of an answer."""
        return self._release

    def fail(self, problem: str) -> None:
        """Note a request that no working sender would make; leaving the context raises it."""
        with self._changed:
            self._errors.append(problem)

    def take(self, path: str, signal: str, headers: Mapping[str, str], body: bytes) -> Verdict:
        """Decode and note a request, and say how to answer it; `accept` keeps its items."""
        try:
            items = tuple(_READERS[signal](body))
        except Exception as error:
            self.fail(f"{path}: {type(error).__name__}: {error}")
            return Verdict("status", 400, (), self._release)
        with self._changed:
            verdict = Verdict(self._behaviour, self._code, items, self._release)
            self._requests.append(
                Request(path, dict(headers), len(body), time.time(), len(items), self._behaviour)
            )
            self._changed.notify_all()
        return verdict

    def accept(self, items: Sequence[Any]) -> None:
        """Keep the items of a request that is being answered with success."""
        with self._changed:
            for item in items:
                self._home(item).append(item)
            self._changed.notify_all()

    def _home(self, item: Any) -> list[Any]:
        if isinstance(item, Span):
            return self._spans
        return self._logs if isinstance(item, LogRecord) else self._points


@dataclass(frozen=True, slots=True)
class Verdict:
    """How one request is to be answered; ``release`` ends a wait of the answer."""

    behaviour: Behaviour
    code: int
    items: tuple[Any, ...]
    release: threading.Event
