"""The metrics of asyncpg's pools on a real PostgreSQL."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import subprocess
import sys
import textwrap

import asyncpg
import pytest

from otelkit.instrument._asyncpg import instrument_asyncpg
from otelkit.instrument._asyncpg import pools as _asyncpg_pools
from otelkit.testing import capture

NAME = "db.client.connection.pool.name"
OBSERVED = ("count", "idle.max", "idle.min", "max", "pending_requests")
DEADLINE_S = 10.0


@pytest.fixture
def telemetry(instrumented_asyncpg):
    """What asyncpg tells, instrumented by otelkit."""
    return instrumented_asyncpg


def values(telemetry, what):
    """The values of one pool metric: by pool, or by pool and state."""
    found = [one for one in telemetry.metrics if one.name == f"db.client.connection.{what}"]
    points = [point for one in found for point in one.points]
    return {
        " ".join(filter(None, (p.attributes[NAME], p.attributes.get("db.client.connection.state")))): p.value
        for p in points
    }


@contextlib.asynccontextmanager
async def opened(postgres, **options):
    """An open pool; a test that fails with a connection in hand does not wait for it."""
    pool = await asyncpg.create_pool(postgres.dsn, **options)
    try:
        yield pool
        await asyncio.wait_for(pool.close(), DEADLINE_S)
    finally:
        pool.terminate()


async def until(condition):
    """Let the loop turn until the condition is true."""
    deadline = asyncio.get_running_loop().time() + DEADLINE_S
    while not condition():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.001)


async def test_a_pool_tells_its_connections(telemetry, postgres):
    """Idle and used ones, limits and waiting requests, at the moment of the collection."""
    name = f"127.0.0.1:{postgres.port}/postgres"
    async with opened(postgres, min_size=2, max_size=3) as pool:
        assert values(telemetry, "count") == {f"{name} idle": 2, f"{name} used": 0}
        held = [await pool.acquire() for _ in range(3)]
        waiting = [asyncio.ensure_future(pool.acquire()) for _ in range(2)]
        await until(lambda: values(telemetry, "pending_requests") == {name: 2})
        assert values(telemetry, "count") == {f"{name} idle": 0, f"{name} used": 3}
        assert values(telemetry, "max") == values(telemetry, "idle.max") == {name: 3}
        assert values(telemetry, "idle.min") == {name: 2}

        for one in held:
            await pool.release(one)
        for one in await asyncio.gather(*waiting):
            await pool.release(one)
        assert values(telemetry, "count") == {f"{name} idle": 3, f"{name} used": 0}
        assert values(telemetry, "pending_requests") == {name: 0}


async def test_a_closed_pool_disappears(telemetry, postgres):
    """Closed or terminated, it has no series any more."""
    pool = await asyncpg.create_pool(postgres.dsn, min_size=1, max_size=1)
    other = await asyncpg.create_pool(postgres.dsn, min_size=1, max_size=1)
    assert len(values(telemetry, "max")) == 2
    await pool.close()
    other.terminate()

    assert [{}] * len(OBSERVED) == [values(telemetry, what) for what in OBSERVED]


async def test_a_collected_pool_disappears(telemetry, postgres):
    """Nothing of ours keeps a pool that was dropped without being closed."""
    pool = await asyncpg.create_pool(postgres.dsn, min_size=0, max_size=1)
    async with pool.acquire() as conn:
        await conn.close()
    assert len(values(telemetry, "max")) == 1
    del pool, conn
    gc.collect()

    assert values(telemetry, "max") == {}


async def test_several_pools_have_names_of_their_own(telemetry, postgres):
    """Pools on one database are numbered; the number of a closed one is used again."""
    base = f"127.0.0.1:{postgres.port}/postgres"

    async def make(**options):
        return await asyncpg.create_pool(postgres.dsn, min_size=0, **options)

    first, second = await make(max_size=1), await make(max_size=2)
    assert values(telemetry, "max") == {base: 1, f"{base}#2": 2}
    await first.close()
    third, fourth = await make(max_size=3), await make(max_size=4)
    assert values(telemetry, "max") == {base: 3, f"{base}#2": 2, f"{base}#3": 4}
    for one in (second, third, fourth):
        await one.close()


async def test_times_and_timeouts(telemetry, postgres):
    """How long a connection was waited for and used, in seconds, and how often in vain."""
    async with opened(postgres, min_size=1, max_size=1) as pool:
        async with pool.acquire() as conn:
            await conn.fetch("SELECT pg_sleep(0.02)")
            for _ in range(2):
                with pytest.raises(asyncio.TimeoutError):
                    await pool.acquire(timeout=0.01)
        await pool.fetch("SELECT 1")
        waited = telemetry.metric("db.client.connection.wait_time").point
        used = telemetry.metric("db.client.connection.use_time").point
        in_vain = telemetry.metric("db.client.connection.timeouts").point

    assert (waited.count, used.count, in_vain.value) == (2, 2, 2)
    assert used.sum >= 0.02
    assert waited.bounds == used.bounds == (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
    assert set(used.attributes) == set(in_vain.attributes) == {NAME}


@pytest.mark.parametrize("options", [{}, {"timeout": 60}])
async def test_a_time_out_of_the_setup_is_none_of_the_pools(telemetry, postgres, options):
    """A `TimeoutError` that the pool's ``setup`` raises passes, and no connection was waited for in vain."""

    async def setup(connection):
        raise asyncio.TimeoutError

    async with opened(postgres, min_size=0, max_size=1, setup=setup) as pool:
        with pytest.raises(asyncio.TimeoutError):
            await pool.acquire(**options)

    assert values(telemetry, "timeouts") == {}


async def test_a_reset_of_ones_own_is_no_call(telemetry, postgres):
    """What a subclass asks when a pool takes its connection back makes no span; what its user asks does."""

    class MyConnection(asyncpg.Connection):
        def get_reset_query(self):
            return "SELECT 1 FROM pg_class LIMIT 0"

    async with opened(postgres, min_size=1, max_size=1, connection_class=MyConnection) as pool:
        for _ in range(2):
            async with pool.acquire() as conn:
                await conn.fetchval("SELECT relname FROM pg_class LIMIT 1")
                await conn.reset()

    assert ["SELECT pg_class"] * 2 == [one.name for one in telemetry.spans]
    assert "LIMIT 0" not in str(telemetry.spans)
    assert telemetry.metric("db.client.operation.duration").point.count == 2


async def test_a_lost_connection_ends_its_use(telemetry, postgres):
    """One that is closed while it is lent is given back as well, and never twice."""
    async with opened(postgres, min_size=1, max_size=1) as pool:
        async with pool.acquire() as conn:
            conn.terminate()
        async with pool.acquire() as kept:
            pass
        async with pool.acquire():
            await pool.release(kept)
            assert telemetry.metric("db.client.connection.use_time").point.count == 2
        assert telemetry.metric("db.client.connection.use_time").point.count == 3


async def test_a_pool_that_was_there_before(postgres):
    """It is followed from its next use on; a connection that was lent before is no use of ours."""
    _asyncpg_pools._pools.cache_clear()
    async with opened(postgres, min_size=1, max_size=2) as pool:
        held = await pool.acquire()
        with capture() as telemetry:
            undo = instrument_asyncpg()
            assert values(telemetry, "max") == {}
            await pool.fetch("SELECT 1")
            assert list(values(telemetry, "count").values()) == [1, 1]
            await pool.release(held)
            assert telemetry.metric("db.client.connection.use_time").point.count == 1
            undo()
            await pool.fetch("SELECT 1")
            assert values(telemetry, "max") == {}


async def test_again_after_off(postgres):
    """Off and on again there is one series for each pool, counted once."""
    _asyncpg_pools._pools.cache_clear()
    with capture() as telemetry:
        for _ in range(3):
            instrument_asyncpg()()
        undo = instrument_asyncpg()
        async with opened(postgres, min_size=1, max_size=7) as pool:
            await pool.fetch("SELECT 1")
            assert list(values(telemetry, "max").values()) == [7]
            assert sum(values(telemetry, "count").values()) == 1
            assert telemetry.metric("db.client.connection.wait_time").point.count == 1
        undo()


async def test_pools_of_other_classes(telemetry, postgres):
    """Subclasses of the pool and of the connection are followed and told once."""

    class MyConnection(asyncpg.Connection):
        async def fetchval(self, *args, **kwargs):
            return await super().fetchval(*args, **kwargs)

    class MyPool(asyncpg.Pool):
        async def release(self, connection, *, timeout=None):
            await super().release(connection, timeout=timeout)

    options = {
        "min_size": 1, "max_size": 5, "max_queries": 10, "max_inactive_connection_lifetime": 0, "loop": None,
        "connection_class": MyConnection, "record_class": asyncpg.Record, "setup": None, "init": None,
    }  # fmt: skip
    async with MyPool(postgres.dsn, **options) as pool:
        await pool.fetchval("SELECT 1")
        assert list(values(telemetry, "max").values()) == [5]
        assert telemetry.metric("db.client.connection.use_time").point.count == 1

    assert ["SELECT"] == [one.name for one in telemetry.spans]


async def test_read_by_another_thread(telemetry, postgres):
    """A collection beside the working loop reads a consistent pool and asks nothing of the loop."""
    async with opened(postgres, min_size=1, max_size=4) as pool:
        name = f"127.0.0.1:{postgres.port}/postgres"
        stop = False

        async def work():
            while not stop:
                await pool.fetchval("SELECT 1")

        tasks = [asyncio.ensure_future(work()) for _ in range(8)]
        for _ in range(50):
            read = await asyncio.to_thread(values, telemetry, "count")
            assert set(read) == {f"{name} idle", f"{name} used"}
            assert 0 <= sum(read.values()) <= 4
            assert await asyncio.to_thread(values, telemetry, "max") == {name: 4}
        stop = True
        await asyncio.gather(*tasks)
        counts = values(telemetry, "count")

    assert counts[f"{name} used"] == 0


async def test_names_of_pools_without_a_connection(telemetry, unused_tcp_port_factory):
    """From what the pool was made with, and never a password; it is followed though it fails."""
    port = unused_tcp_port_factory()
    made = [
        asyncpg.create_pool(f"postgresql://u:s3cret@127.0.0.1:{port}/shop", min_size=0, max_size=1),
        asyncpg.create_pool(host=["127.0.0.1"], port=port, database="shop", user="u", min_size=0, max_size=1),
        asyncpg.create_pool(
            f"postgresql:///x?host=127.0.0.1&port={port}&password=s3cret", user="u", min_size=0, max_size=1
        ),
    ]
    for one in made:
        await one
        with pytest.raises(OSError, match=r"."):
            await one.acquire(timeout=5)

    assert [NAME in repr(one) for one in telemetry.metrics] == [True] * len(telemetry.metrics)
    assert list(values(telemetry, "max")) == [
        f"127.0.0.1:{port}/shop",
        f"127.0.0.1:{port}/shop#2",
        f"127.0.0.1:{port}/x",
    ]
    assert "s3cret" not in repr(telemetry.metrics)
    for one in made:
        one.terminate()


FORKED = """
import asyncio, os, sys, asyncpg
from otelkit.instrument._asyncpg import instrument_asyncpg
from otelkit.testing import capture

with capture() as telemetry:
    instrument_asyncpg()

    async def main():
        async with asyncpg.create_pool(sys.argv[1], min_size=1, max_size=3):
            child = os.fork()
            if child:
                os.waitpid(child, 0)
            points = [point for one in telemetry.metrics for point in one.points]
            print("parent" if child else "child", len(points), flush=True)
            if not child:
                os._exit(0)

    asyncio.run(main())
"""


def test_a_fork_has_none_of_its_parents_pools(postgres):
    """The connections belong to the parent, which goes on telling them."""
    ran = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", textwrap.dedent(FORKED), postgres.dsn],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert ran.stdout.splitlines() == ["child 0", "parent 6"], ran.stderr
