"""The standard gauges of what fills up, observed: asked at each collection instead of set.

They have instruments of their own beside those of `otelkit.catalog`, under the same names and in
another scope: a meter takes one instrument of a name. On ``/metrics`` both are one family.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from opentelemetry import metrics

from otelkit import _guard, catalog
from otelkit.measures._observed import Callback, Observed
from otelkit.measures._round import ask
from otelkit.processors.plain import class_name, safe_str

__all__ = ["SCOPE", "follow", "observe_cache", "observe_queue"]

SCOPE = "otelkit.measures"
_MAX_NAME = 200

_QUEUE, _CACHE = "queue_size", "cache_entries"

_lock = threading.Lock()
_observed: dict[str, tuple[Observed, ...]] = {}
_names: dict[str, str] = {}  # of the instrument that answers now, by key
_made: set[str] = set()


def observe_queue(name: str, callback: Callback) -> Observed:
    """Show how many items wait in a queue, as ``agent_queue_size{queue_name="…"}``.

    ::

        otelkit.observe_queue("high_priority", queue.qsize)

    Args:
        name: The queue's; registered again under one name, the new callback answers in place of
            the old one until it is closed.
        callback: Returns the number of items now. A plain function is called on a thread of ours,
            a coroutine function in the event loop that runs now and in no other.

    Returns:
        A context manager; leaving it, or `close`, takes the observation back. It need not be kept.

    The callback is asked at each collection, of all exits: at ``/metrics``, each export, each
    reading. One that has not answered within 0.5 s (0.1 s for a coroutine function) is not waited
    for, nor asked again before it has; meanwhile its last answer is repeated, for 120 s at most.
    One that raises or returns no number >= 0 has no series until it does, and is named once on
    stderr. An async callback ends with its loop, and does not follow into a fork's child.
    """
    queue = safe_str(name)[:_MAX_NAME]
    return _watch(_QUEUE, {"queue_name": queue}, f"the queue {queue!r}", callback)


def observe_cache(callback: Callback) -> Observed:
    """Show how many entries a cache has, as ``cache_entries_total``; several caches are added up.

    Args:
        callback: Returns the number of entries now; see `observe_queue`.

    Returns:
        As `observe_queue`.
    """
    return _watch(_CACHE, {}, "the cache", callback)


def follow() -> None:
    """Go on under the names of the set-up that runs now; called when another one has begun."""
    for key in tuple(_observed):
        with _guard.guard("measures.follow"):
            _register(key)


def _watch(key: str, attributes: Mapping[str, str], title: str, callback: Any) -> Observed:
    observed = Observed(title, attributes, callback, on_close=lambda one: _release(key, one))
    if not callable(callback):
        _guard.say(
            f"the callback of {title} is a {class_name(type(callback))} and cannot be called; it is not "
            "observed. Give a function that returns the number, such as queue.qsize.",
            key=f"observe:{title}",
        )
        return observed
    with _lock:
        _observed[key] = (*_observed.get(key, ()), observed)
    with _guard.guard("measures.observe"):
        _register(key)
    return observed


def _release(key: str, observed: Observed) -> None:
    with _lock:
        _observed[key] = tuple(one for one in _observed.get(key, ()) if one is not observed)


def _register(key: str) -> None:
    """Make the observed instrument of the present name, once."""
    row = catalog.row(key, prefix=catalog._running_prefix())
    with _lock:
        _names[key] = row.name
        if row.name in _made:
            return
        _made.add(row.name)
    metrics.get_meter(SCOPE).create_observable_gauge(
        row.name, [_source(key, row.name)], row.unit, row.meaning
    )


def _source(key: str, name: str) -> Callable[[Any], Iterable[metrics.Observation]]:
    def source(_options: Any) -> Iterable[metrics.Observation]:
        return _answers(key) if _names.get(key) == name else ()

    return source


def _answers(key: str) -> list[metrics.Observation]:
    """What everybody observed under a key says now."""
    observed = _observed.get(key, ())
    ask(observed)
    now = time.monotonic()
    found: dict[str, tuple[float, Mapping[str, str]]] = {}
    for one in observed:
        value = one.answer(now)
        if value is None:
            continue
        series = one.attributes.get("queue_name", "")
        if key == _CACHE and series in found:
            value += found[series][0]
        found[series] = value, one.attributes
    return [metrics.Observation(value, attributes) for value, attributes in found.values()]


def _after_fork_in_child() -> None:
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
