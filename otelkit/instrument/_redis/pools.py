"""Metrics of redis connection pools, by the conventions, for every version of redis-py alike.

Connections are counted when they are asked for, so that a command pays nothing for it. redis-py's own
count (7.4 and later) adds four times per command, which takes longer than the command, and is below
zero for a pool that is older than its start; see ``docs/instrument.md``.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import TYPE_CHECKING, Any

from opentelemetry.metrics import Observation

from otelkit import _guard
from otelkit.instrument._redis import stand_back
from otelkit.instrument._redis.group import WeakGroup
from otelkit.instrument._redis.where import pool_name

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter

    from otelkit.instrument._redis.patches import Patches

__all__ = ["Pools"]

# Source: semantic conventions for database client metrics; and below a millisecond, for a server nearby.
_BUCKETS_S = (0.0001, 0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
_POOL = "db.client.connection.pool.name"
_NO_LIMIT = 2**31
_EXHAUSTED = "No connection available."


class Pools:
    """The pools that are measured; see `scope`.

    Pools are held weakly. They are asked at each collection, in the thread that collects, and that
    never waits for a lock.
    """

    def __init__(self, meter: Meter) -> None:
        self._everything = False
        self._pools: WeakGroup[Any] = WeakGroup()
        self._wait_time = meter.create_histogram(
            "db.client.connection.wait_time",
            "s",
            "The time it took to obtain an open connection from a blocking pool",
            explicit_bucket_boundaries_advisory=_BUCKETS_S,
        )
        self._create_time = meter.create_histogram(
            "db.client.connection.create_time",
            "s",
            "The time it took to open a connection, with its handshake",
            explicit_bucket_boundaries_advisory=_BUCKETS_S,
        )
        self._timeouts = meter.create_counter(
            "db.client.connection.timeouts",
            "{timeout}",
            "Timeouts that occurred trying to obtain a connection from a blocking pool",
        )
        meter.create_observable_up_down_counter(
            "db.client.connection.count",
            [self._count],
            "{connection}",
            "Connections by state, idle or used",
        )
        meter.create_observable_up_down_counter(
            "db.client.connection.max",
            [self._max],
            "{connection}",
            "The most connections that limited pools may open",
        )

    def scope(self, *, everything: bool, chosen: Iterable[Any]) -> None:
        """Measure every pool that is made or used from now on, or only the chosen ones."""
        if not everything:
            self._pools.clear()
        self._everything = everything
        for pool in chosen:
            self.watch(pool)

    def watch(self, pool: Any) -> None:
        """Measure this pool too; nothing for what is no pool."""
        if pool is not None and pool not in self._pools:
            self._pools.add(pool)

    def patch(self, patches: Patches) -> None:
        """Replace the methods in which connections are made and waited for."""
        import redis.asyncio.connection as asynchronous
        import redis.connection as synchronous

        for module in (synchronous, asynchronous):
            patches.put(module.ConnectionPool, "__init__", self._init)
        patches.put(synchronous.AbstractConnection, "connect", self._connect)
        patches.put(asynchronous.AbstractConnection, "connect", self._connect_async)
        patches.put(synchronous.BlockingConnectionPool, "get_connection", self._get)
        patches.put(asynchronous.BlockingConnectionPool, "get_connection", self._get_async)

    # -- counting, when it is asked for ---------------------------------------------------------

    def _count(self, _: object) -> Iterable[Observation]:
        if stand_back.redis_measures("CONNECTION_BASIC"):
            return []
        counts: Counter[tuple[str, str]] = Counter()
        for pool in self._present():
            name = pool_name(pool)
            idle, used = _connections(pool)
            counts[name, "idle"] += idle
            counts[name, "used"] += used
        return [
            Observation(count, {_POOL: name, "db.client.connection.state": state})
            for (name, state), count in counts.items()
        ]

    def _max(self, _: object) -> Iterable[Observation]:
        limits: Counter[str] = Counter()
        for pool in self._present():
            limit = pool.max_connections
            if limit < _NO_LIMIT:
                limits[pool_name(pool)] += limit
        return [Observation(limit, {_POOL: name}) for name, limit in limits.items()]

    def _present(self) -> list[Any]:
        """The pools of this process: a fork's copies hold sockets that are its parent's."""
        here = os.getpid()
        return [pool for pool in self._pools.present() if getattr(pool, "pid", here) == here]

    # -- what takes the place of redis-py's methods -----------------------------------------------

    def _init(self, function: Callable[..., None]) -> Callable[..., None]:
        def __init__(pool: Any, *args: Any, **kwargs: Any) -> None:  # noqa: N807 - takes its place
            function(pool, *args, **kwargs)
            if self._everything:
                self.watch(pool)

        return __init__

    def _connect(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def connect(connection: Any) -> Any:
            if not self._everything or connection._sock:
                return function(connection)
            began = perf_counter()
            result = function(connection)
            self._created(connection, began)
            return result

        return connect

    def _connect_async(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def connect(connection: Any) -> Any:
            if not self._everything or connection.is_connected:
                return await function(connection)
            began = perf_counter()
            result = await function(connection)
            self._created(connection, began)
            return result

        return connect

    def _get(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def get_connection(pool: Any, *args: Any, **kwargs: Any) -> Any:
            began = perf_counter()
            try:
                connection = function(pool, *args, **kwargs)
            except Exception as error:
                self._waited(pool, began, error)
                raise
            self._waited(pool, began, None)
            return connection

        return get_connection

    def _get_async(self, function: Callable[..., Any]) -> Callable[..., Any]:
        async def get_connection(pool: Any, *args: Any, **kwargs: Any) -> Any:
            began = perf_counter()
            try:
                connection = await function(pool, *args, **kwargs)
            except Exception as error:
                self._waited(pool, began, error)
                raise
            self._waited(pool, began, None)
            return connection

        return get_connection

    def _created(self, connection: Any, began: float) -> None:
        try:
            if not stand_back.redis_measures("CONNECTION_BASIC"):
                self._create_time.record(perf_counter() - began, {_POOL: _pool_name_of(connection)})
        except Exception:
            _guard.swallowed("instrument.redis.pool")

    def _waited(self, pool: Any, began: float, error: Exception | None) -> None:
        try:
            if pool not in self._pools or stand_back.redis_measures("CONNECTION_ADVANCED"):
                return
            if error is None:
                self._wait_time.record(perf_counter() - began, {_POOL: pool_name(pool)})
            elif str(error) == _EXHAUSTED:
                self._timeouts.add(1, {_POOL: pool_name(pool)})
        except Exception:
            _guard.swallowed("instrument.redis.pool")


def _pool_name_of(connection: Any) -> str:
    path = getattr(connection, "path", None)
    return str(path) if path else f"{connection.host}:{connection.port}/{connection.db or 0}"


def _connections(pool: Any) -> tuple[int, int]:
    """The open connections of a pool: idle, used. Copies first: other threads use it meanwhile."""
    everything = getattr(pool, "_connections", None)
    if everything is None:
        idle = _open(list(pool._available_connections))
        return idle, _open(list(pool._in_use_connections))
    queue = pool.pool
    waiting: list[Any] = list(getattr(queue, "queue", None) or getattr(queue, "_queue", None) or ())
    idle = _open([connection for connection in waiting if connection is not None])
    return idle, max(0, _open(list(everything)) - idle)


def _open(connections: list[Any]) -> int:
    return sum(1 for connection in connections if _is_open(connection))


def _is_open(connection: Any) -> bool:
    if hasattr(connection, "is_connected"):
        return bool(connection.is_connected)
    connection = getattr(connection, "_conn", connection)  # the proxy of a client-side cache
    return getattr(connection, "_sock", None) is not None
