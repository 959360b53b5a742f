"""The real servers of the end-to-end tests, started when a test asks for them."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def postgres():
    """A running PostgreSQL, of this test process alone."""
    from postgres import PostgresServer, require_postgres

    require_postgres()
    with PostgresServer() as server:
        yield server


@pytest.fixture(scope="session")
def redis_server():
    """A running Redis, of this test process alone."""
    from redis_server import RedisServer, require_redis_server

    require_redis_server()
    with RedisServer() as server:
        yield server


@pytest.fixture(scope="session")
def redis_cluster():
    """A running Redis cluster of one node, of this test process alone."""
    from redis_server import RedisServer, require_redis_server

    require_redis_server()
    with RedisServer(cluster=True) as server:
        yield server


@pytest.fixture
def instrumented_asyncpg():
    """What is told while otelkit instruments asyncpg; its instruments are fresh ones."""
    from otelkit.instrument._asyncpg import instrument_asyncpg
    from otelkit.instrument._asyncpg import pools as _asyncpg_pools
    from otelkit.testing import capture

    _asyncpg_pools._pools.cache_clear()
    with capture() as telemetry:
        undo = instrument_asyncpg()
        yield telemetry
        undo()
