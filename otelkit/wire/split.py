"""A serialised request in two, for a receiver that finds it too large; rare, so it is parsed.

A body may be several requests one after the other, which protobuf reads as one: its only field repeats.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache
from importlib import import_module
from typing import Any

__all__ = ["count", "halves"]

# The collector's package, the request, and the repeated fields from the request to its items.
_SIGNALS = {
    "traces": ("trace", "ExportTraceServiceRequest", ("resource_spans", "scope_spans", "spans")),
    "logs": ("logs", "ExportLogsServiceRequest", ("resource_logs", "scope_logs", "log_records")),
    "metrics": ("metrics", "ExportMetricsServiceRequest", ("resource_metrics", "scope_metrics", "metrics")),
}


def count(signal: str, body: bytes) -> int:
    """How many items are in a request.

    Args:
        signal: ``traces``, ``logs`` or ``metrics``.
        body: A serialised request, or several one after the other.

    Returns:
        The number of spans, log records or data points.

    Raises:
        ValueError: ``body`` is no such request.
    """
    return sum(map(len, _items(signal, _parsed(signal, body))))


def halves(signal: str, body: bytes) -> tuple[tuple[bytes, int], tuple[bytes, int]] | None:
    """A request in two by its items, in their order; of an odd number the second gets one more.

    Args:
        signal: ``traces``, ``logs`` or ``metrics``. A metric with many points is split too; one
            without any is in neither half.
        body: A serialised request, or several one after the other.

    Returns:
        Two serialised requests, each with its number of items, or None when ``body`` holds fewer
        than two.

    Raises:
        ValueError: ``body`` is no such request.
    """
    whole = count(signal, body)
    half = whole // 2
    if not half:
        return None
    return (
        (_part(signal, body, range(half)), half),
        (_part(signal, body, range(half, whole)), whole - half),
    )


@lru_cache(maxsize=3)
def _request_class(signal: str) -> Callable[[], Any]:
    package, name, _ = _SIGNALS[signal]
    module = import_module(f"opentelemetry.proto.collector.{package}.v1.{package}_service_pb2")
    made: Callable[[], Any] = getattr(module, name)
    return made


def _parsed(signal: str, body: bytes) -> Any:
    from google.protobuf.message import DecodeError  # type: ignore[import-untyped]  # it has none

    request = _request_class(signal)()
    try:
        request.ParseFromString(body)
    except DecodeError as problem:
        raise ValueError(f"{len(body)} bytes are no export request of {signal}: {problem}") from problem
    return request


def _items(signal: str, request: Any) -> Iterator[Any]:
    """The repeated fields that hold the items."""
    owners, scopes, items = _SIGNALS[signal][2]
    for owner in getattr(request, owners):
        for scope in getattr(owner, scopes):
            held = getattr(scope, items)
            if signal == "metrics":
                yield from (points for points in map(_points, held) if points is not None)
            else:
                yield held


def _points(metric: Any) -> Any:
    kind = metric.WhichOneof("data")
    return None if kind is None else getattr(metric, kind).data_points


def _part(signal: str, body: bytes, wanted: range) -> bytes:
    """The request with only those of its items, and without what is empty then."""
    request = _parsed(signal, body)
    seen = 0
    for items in _items(signal, request):
        size = len(items)
        del items[max(0, wanted.stop - seen) :]
        del items[: max(0, wanted.start - seen)]
        seen += size
    owners, scopes, held = _SIGNALS[signal][2]
    for owner in getattr(request, owners):
        for scope in getattr(owner, scopes):
            if signal == "metrics":
                _prune(scope.metrics, _points)
        _prune(getattr(owner, scopes), lambda scope: getattr(scope, held))
    _prune(getattr(request, owners), lambda owner: getattr(owner, scopes))
    whole: bytes = request.SerializeToString()
    return whole


def _prune(messages: Any, content: Callable[[Any], Any]) -> None:
    for index in reversed(range(len(messages))):
        if not content(messages[index]):
            del messages[index]
