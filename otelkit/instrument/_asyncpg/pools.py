"""The metrics of asyncpg's connection pools, by the semantic conventions for database clients.

A pool is followed from its initialisation, or its next use, until it is closed or collected; nothing
here keeps it alive. The thread that collects metrics only reads plain attributes; it asks nothing of
the event loop.
"""

from __future__ import annotations

import asyncio
import functools
import os
import threading
import weakref
from collections.abc import Callable, Iterable
from functools import lru_cache
from time import perf_counter
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlsplit

from opentelemetry import metrics
from opentelemetry.metrics import CallbackOptions, Observation

from otelkit import _guard
from otelkit.instrument._asyncpg.calls import BUCKETS, SCOPE, where

if TYPE_CHECKING:
    import asyncpg

__all__ = ["Pools", "instrument_pools"]

POOL_NAME = "db.client.connection.pool.name"
STATE = "db.client.connection.state"
_MARK = "_otelkit_followed"
_DEFAULT_PORT = 5432
_EARLY_S = 0.02  # a loop's timer may be early by the resolution of its clock


class Followed:
    """What is known of one pool.

    It is held by the pool's queue and holds the pool, so the two are collected together: asyncpg's
    pool itself cannot be referred to weakly. Changed by the pool's event loop, read by any thread.

    Attributes:
        pending: How many acquire at the moment and have no connection yet.
        lent: By holder: the connection's proxy, and when it was lent.
    """

    __slots__ = ("__weakref__", "labels", "lent", "pending", "pool")

    def __init__(self, pool: asyncpg.Pool[Any], name: str) -> None:
        self.pool = pool
        self.labels = {POOL_NAME: name}
        self.pending = 0
        self.lent: dict[Any, tuple[Any, float]] = {}

    @property
    def name(self) -> str:
        """The pool's name in telemetry."""
        return self.labels[POOL_NAME]

    @property
    def is_open(self) -> bool:
        """Whether it was not closed."""
        return not self.pool._closed


class Pools:
    """The pools of the process, and their instruments."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._followed: list[weakref.ref[Followed]] = []
        self.on = False
        meter = metrics.get_meter(SCOPE)
        prefix = "db.client.connection"
        observed: tuple[tuple[str, str, str, Callable[[Followed], Iterable[tuple[int, str]]]], ...] = (
            ("count", "{connection}", "Connections in each state.", _count),
            ("idle.max", "{connection}", "The most idle connections allowed.", _maximum),
            ("idle.min", "{connection}", "The fewest idle connections allowed.", _minimum),
            ("max", "{connection}", "The most open connections allowed.", _maximum),
            ("pending_requests", "{request}", "Requests that wait for a connection.", _pending),
        )
        for name, unit, meaning, read in observed:
            callback = functools.partial(self._observe, read)
            meter.create_observable_up_down_counter(f"{prefix}.{name}", [callback], unit, meaning)
        seconds = functools.partial(
            meter.create_histogram, unit="s", explicit_bucket_boundaries_advisory=BUCKETS
        )
        self.wait_time = seconds(
            f"{prefix}.wait_time", description="The time to obtain a connection from the pool."
        )
        self.use_time = seconds(
            f"{prefix}.use_time", description="The time between borrowing a connection and returning it."
        )
        self.timeouts = meter.create_counter(
            f"{prefix}.timeouts", "{timeout}", "Time-outs of obtaining a connection from the pool."
        )

    def follow(self, pool: asyncpg.Pool[Any]) -> Followed | None:
        """What is known of a pool; None while it is not initialised, or instrumentation is off."""
        queue = pool._queue
        if queue is None or not self.on:
            return None
        found: Followed | None = getattr(queue, _MARK, None)
        if found is None:
            with self._lock:
                found = Followed(pool, self._free_name(_address(pool)))
                self._followed = [ref for ref in self._followed if _is_open(ref())]
                self._followed.append(weakref.ref(found))
            setattr(queue, _MARK, found)
        return found

    def after_fork_in_child(self) -> None:
        """The parent's connections are not the child's; its lock may be held for ever."""
        self._lock = threading.Lock()
        self._followed = []

    def _free_name(self, base: str) -> str:
        """``base``, with a number behind it where another open pool has that name."""
        taken = {followed.name for ref in self._followed if (followed := ref()) and followed.is_open}
        number, name = 1, base
        while name in taken:
            number += 1
            name = f"{base}#{number}"
        return name

    def _observe(
        self, read: Callable[[Followed], Iterable[tuple[int, str]]], _: CallbackOptions
    ) -> list[Observation]:
        found: list[Observation] = []
        for ref in self._followed if self.on else ():
            followed = ref()
            if followed is None or not followed.is_open:
                continue
            with _guard.guard("asyncpg.pool"):
                for value, state in read(followed):
                    labels = {**followed.labels, STATE: state} if state else followed.labels
                    found.append(Observation(value, labels))
        return found


def _is_open(followed: Followed | None) -> bool:
    return followed is not None and followed.is_open


def _count(followed: Followed) -> Iterable[tuple[int, str]]:
    idle = used = 0
    for holder in followed.pool._holders:
        if holder.is_connected():
            if holder.is_idle():
                idle += 1
            else:
                used += 1
    return ((idle, "idle"), (used, "used"))


def _maximum(followed: Followed) -> Iterable[tuple[int, str]]:
    return ((followed.pool._maxsize, ""),)


def _minimum(followed: Followed) -> Iterable[tuple[int, str]]:
    return ((followed.pool._minsize, ""),)


def _pending(followed: Followed) -> Iterable[tuple[int, str]]:
    return ((followed.pending, ""),)


def _address(pool: asyncpg.Pool[Any]) -> str:
    """``host:port/database`` of a pool: of a connection it has, else of what it was made with."""
    for holder in pool._holders:
        connection = holder._con
        if connection is not None:
            server = where(connection._addr, connection._params.database)
            break
    else:
        server = _configured(pool)
    port = f":{server['server.port']}" if "server.port" in server else ""
    return f"{server.get('server.address', 'localhost')}{port}/{server.get('db.namespace', '')}".rstrip("/")


def _configured(pool: asyncpg.Pool[Any]) -> dict[str, Any]:
    """From arguments, else the DSN, else the environment, as asyncpg has it; the first of several hosts."""
    given = pool._connect_kwargs
    dsn = next(iter(pool._connect_args), None) or given.get("dsn")
    parts = urlsplit(dsn if type(dsn) is str else "")
    named = dict(parse_qsl(parts.query))
    hosts = parts.netloc.rpartition("@")[2].split(",")[0]
    host, _, port = (hosts, "", "") if "]" in hosts else hosts.partition(":")
    database = given.get("database") or unquote(parts.path.lstrip("/")) or named.get("dbname")
    address = (
        _first(given.get("host")) or host or named.get("host") or os.environ.get("PGHOST") or "localhost",
        _first(given.get("port")) or port or named.get("port") or os.environ.get("PGPORT") or _DEFAULT_PORT,
    )
    return where(address, database or os.environ.get("PGDATABASE"))


def _first(value: Any) -> Any:
    return value[0] if type(value) in {list, tuple} and value else value


@lru_cache(maxsize=1)
def _pools() -> Pools:
    made = Pools()  # once per process: a second set of callbacks would count each pool twice
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=made.after_fork_in_child)
    return made


def instrument_pools() -> Callable[[], None]:
    """Follow every pool from now on; returns what ends that."""
    from asyncpg.pool import Pool

    pools = _pools()
    pools.on = True
    wrapped = [
        (name, vars(Pool)[name], wrap(pools, vars(Pool)[name]))
        for name, wrap in (
            ("_async__init__", _initialising),
            ("_acquire", _acquiring),
            ("release", _releasing),
        )
    ]
    for name, _, ours in wrapped:
        setattr(Pool, name, ours)

    def take_back() -> None:
        pools.on = False
        for name, original, ours in wrapped:
            if vars(Pool).get(name) is ours:
                setattr(Pool, name, original)

    return take_back


def _follow(pools: Pools, pool: asyncpg.Pool[Any]) -> Followed | None:
    try:
        return pools.follow(pool)
    except Exception:
        _guard.swallowed("asyncpg.pool")
        return None


def _initialising(pools: Pools, method: Any) -> Any:
    @functools.wraps(method)
    async def _async__init__(self: Any) -> Any:
        result = await method(self)
        _follow(pools, self)
        return result

    return _async__init__


def _acquiring(pools: Pools, method: Any) -> Any:
    @functools.wraps(method)
    async def _acquire(self: Any, *args: Any, **kwargs: Any) -> Any:
        followed = _follow(pools, self)
        if followed is None:
            return await method(self, *args, **kwargs)
        started = perf_counter()
        followed.pending += 1
        try:
            proxy = await method(self, *args, **kwargs)
        except asyncio.TimeoutError:  # another class than the built-in one before 3.11
            timeout = args[0] if args else kwargs.get("timeout")
            _timed_out(pools, followed, timeout, perf_counter() - started)
            raise
        finally:
            followed.pending -= 1
        _lent(pools, followed, proxy, started)
        return proxy

    return _acquire


def _releasing(pools: Pools, method: Any) -> Any:
    @functools.wraps(method)
    async def release(self: Any, *args: Any, **kwargs: Any) -> Any:
        _returned(pools, self, args[0] if args else kwargs.get("connection"))
        return await method(self, *args, **kwargs)

    return release


def _lent(pools: Pools, followed: Followed, proxy: Any, started: float) -> None:
    try:
        now = perf_counter()
        followed.lent[proxy._holder] = (proxy, now)
        pools.wait_time.record(now - started, followed.labels)
    except Exception:
        _guard.swallowed("asyncpg.acquire")


def _timed_out(pools: Pools, followed: Followed, timeout: float | None, waited_s: float) -> None:
    """Count it, unless it comes from somewhere else: from the ``setup`` of the pool, say."""
    try:
        if timeout is not None and waited_s >= timeout - _EARLY_S:
            pools.timeouts.add(1, followed.labels)
    except Exception:
        _guard.swallowed("asyncpg.acquire")


def _returned(pools: Pools, pool: Any, proxy: Any) -> None:
    try:
        followed: Followed | None = getattr(pool._queue, _MARK, None)
        holder = getattr(proxy, "_holder", None)
        if followed is None or holder is None:
            return
        lent = followed.lent.get(holder)
        if lent is not None and lent[0] is proxy:
            del followed.lent[holder]
            if pools.on:
                pools.use_time.record(perf_counter() - lent[1], followed.labels)
    except Exception:
        _guard.swallowed("asyncpg.release")
