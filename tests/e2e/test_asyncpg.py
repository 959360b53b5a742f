"""asyncpg on a real PostgreSQL: which spans there are, and what they hold."""

from __future__ import annotations

import asyncio
import inspect
import io
import logging

import asyncpg
import pytest
from asyncpg import connection, cursor, pool, prepared_stmt
from opentelemetry import trace
from opentelemetry.instrumentation.asyncpg import AsyncPGInstrumentor
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler

from otelkit import get_logger, span
from otelkit.instrument._asyncpg import LIBRARY, instrument_asyncpg
from otelkit.processors.context import suppress
from otelkit.testing import capture

SECRETS = ("s3cret", "86753098", "a@b.example")


@pytest.fixture
def telemetry(instrumented_asyncpg):
    """What asyncpg tells, instrumented by otelkit."""
    return instrumented_asyncpg


@pytest.fixture
async def conn(postgres):
    """A connection with a table of its own; made and cleaned where nobody looks."""
    with suppress():
        conn = await asyncpg.connect(postgres.dsn)
        await conn.execute("CREATE TEMP TABLE users (id int PRIMARY KEY, email text)")
        await conn.execute("INSERT INTO users SELECT n, 'a@b.example' FROM generate_series(1, 200) n")
    yield conn
    with suppress():
        await conn.close()


def names(telemetry):
    return [one.name for one in telemetry.spans]


async def test_a_query_is_one_client_span(telemetry, conn, postgres):
    """Named by its summary, with the stable conventions, and without its values."""
    with span("request"):
        await conn.fetchval("SELECT email FROM users WHERE id = $1 AND email <> 's3cret'", 1)

    query = telemetry.span("SELECT users")
    assert query.kind == "CLIENT"
    assert query.parent_id == telemetry.span("request").span_id
    assert query.status == "UNSET"
    assert query.attributes == {
        "db.system.name": "postgresql",
        "db.namespace": "postgres",
        "db.query.text": "SELECT email FROM users WHERE id = $1 AND email <> ?",
        "db.query.summary": "SELECT users",
        "db.operation.name": "SELECT",
        "server.address": "127.0.0.1",
        "server.port": postgres.port,
    }


async def test_a_query_is_measured(telemetry, conn):
    """Its duration in seconds, in the conventions' buckets, by what it did and how it ended."""
    await conn.fetch("SELECT * FROM users WHERE id = 1")
    await conn.fetch("SELECT * FROM users WHERE id = 2")
    with pytest.raises(asyncpg.DivisionByZeroError):
        await conn.fetch("SELECT 1 / 0 FROM users")

    duration = telemetry.metric("db.client.operation.duration")
    well, badly = sorted(duration.points, key=lambda point: "error.type" in point.attributes)
    assert duration.unit == "s"
    assert well.bounds == (0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0)
    assert (well.count, badly.count) == (2, 1)
    assert well.attributes["db.query.summary"] == "SELECT users"
    assert "db.query.text" not in well.attributes
    assert badly.attributes["db.response.status_code"] == "22012"
    assert badly.attributes["error.type"] == "asyncpg.exceptions.DivisionByZeroError"


async def test_a_sampler_sees_every_attribute(conn, monkeypatch):
    """They are given at start."""
    seen = {}

    class Watching(Sampler):
        def should_sample(self, parent_context, trace_id, name, kind=None, attributes=None, *args, **kwargs):
            seen.update(attributes)
            return ALWAYS_ON.should_sample(parent_context, trace_id, name, kind, attributes)

        def get_description(self):
            return "watching"

    monkeypatch.setattr(trace, "get_tracer", TracerProvider(sampler=Watching()).get_tracer)
    undo = instrument_asyncpg()
    await conn.executemany("SELECT $1::int", [(1,), (2,)])
    undo()

    assert seen["db.query.text"] == "SELECT $1::int"
    assert seen["db.operation.batch.size"] == 2
    assert {"db.namespace", "db.query.summary", "server.address", "server.port"} <= seen.keys()


async def _prepared(conn, use):
    statement = await conn.prepare("SELECT * FROM users WHERE id = $1")
    return await use(statement)


@pytest.mark.parametrize(
    ("does", "expected"),
    [
        (lambda conn: conn.execute("SELECT * FROM users"), ["SELECT users"]),
        (lambda conn: conn.execute("SELECT $1::int", 1), ["SELECT"]),
        (lambda conn: conn.fetch(query="SELECT * FROM users"), ["SELECT users"]),
        (lambda conn: conn.fetchrow("SELECT * FROM users"), ["SELECT users"]),
        (lambda conn: conn.fetchval("SELECT id FROM users", column=0), ["SELECT users"]),
        (lambda conn: conn.executemany("SELECT $1::int", [(1,), (2,)]), ["BATCH SELECT"]),
        (lambda conn: conn.executemany(command="SELECT $1::int", args=[(1,)]), ["SELECT"]),
        (lambda conn: conn.execute("SELECT 1; TABLE users"), ["SELECT TABLE users"]),
        (lambda conn: conn.copy_from_table("users", output=io.BytesIO()), ["COPY users"]),
        (lambda conn: conn.copy_from_query("TABLE users", output=io.BytesIO()), ["COPY TABLE users"]),
        (
            lambda conn: conn.copy_from_query("SELECT * FROM users WHERE id < $1", 9, output=io.BytesIO()),
            ["COPY SELECT users"],
        ),
        (lambda conn: conn.copy_to_table("users", source=io.BytesIO(b"900\tx\n")), ["COPY users"]),
        (lambda conn: conn.copy_records_to_table("users", records=[(901, "x")]), ["COPY users"]),
        (lambda conn: conn.prepare("SELECT * FROM users"), ["PREPARE SELECT users"]),
        (lambda conn: _prepared(conn, lambda one: one.fetch(1)), ["PREPARE SELECT users", "SELECT users"]),
        (lambda conn: _prepared(conn, lambda one: one.fetchrow(1)), ["PREPARE SELECT users", "SELECT users"]),
        (lambda conn: _prepared(conn, lambda one: one.fetchval(1)), ["PREPARE SELECT users", "SELECT users"]),
        (
            lambda conn: _prepared(conn, lambda one: one.executemany([(1,), (2,), (3,)])),
            ["PREPARE SELECT users", "BATCH SELECT users"],
        ),
    ],
)
async def test_each_call_is_told_once(telemetry, conn, does, expected):
    """One span for what the application asked for, whatever asyncpg makes of it."""
    await does(conn)

    assert names(telemetry) == expected


async def test_a_row_of_a_cursor_is_no_span(telemetry, conn):
    """A cursor makes a span per round trip to the server, not per row."""
    async with conn.transaction():
        rows = [row async for row in conn.cursor("SELECT * FROM users", prefetch=100)]
        open_cursor = await conn.cursor("SELECT * FROM users")
        await open_cursor.forward(10)
        assert len(await open_cursor.fetch(500)) == 190
        assert await open_cursor.fetch(500) == []

    assert len(rows) == 200
    assert names(telemetry) == [
        "BEGIN",
        *["FETCH SELECT users"] * 3,
        "DECLARE SELECT users",
        "MOVE SELECT users",
        "FETCH SELECT users",
        "COMMIT",
    ]


async def test_transactions_have_names_that_repeat(telemetry, conn):
    """The number in a savepoint's name is in the text only."""
    with pytest.raises(KeyError):
        async with conn.transaction(isolation="serializable"):
            async with conn.transaction():
                pass
            raise KeyError

    assert names(telemetry) == ["BEGIN", "SAVEPOINT", "RELEASE", "ROLLBACK"]


@pytest.mark.parametrize(
    ("sets", "size"),
    [([], 0), ([(1,)], None), ([(1,), (2,)], 2), (((n,) for n in range(3)), None), (((1,),), None)],
)
async def test_batch_size(telemetry, conn, sets, size):
    """Told where it is known and not one; an iterator is left for asyncpg to read."""
    await conn.executemany("INSERT INTO users VALUES (1000 + $1, 'x')", sets)

    (batch,) = telemetry.spans
    assert batch.attributes.get("db.operation.batch.size") == size
    assert batch.name == (
        "INSERT users" if size is None and not inspect.isgenerator(sets) else "BATCH INSERT users"
    )


async def test_a_pool_adds_no_spans(telemetry, postgres):
    """A call through a pool is one span; taking a connection back is none."""
    async with asyncpg.create_pool(postgres.dsn, min_size=1, max_size=2) as made:
        await made.fetchval("SELECT 1")
        async with made.acquire() as conn:
            await conn.fetchval("SELECT 2")
        await made.execute("SELECT 3")

    assert names(telemetry) == ["SELECT"] * 3


async def test_no_value_is_told(telemetry, conn):
    """Neither parameters nor literals, rows, comments, copied data or errors."""
    await conn.execute("INSERT INTO users VALUES (86753098, 's3cret')")
    await conn.fetch("SELECT * FROM users WHERE email = $1 /* s3cret */", "s3cret")
    await conn.execute("DO $$ BEGIN PERFORM 's3cret'; END $$")
    await conn.executemany("INSERT INTO users VALUES ($1, $2)", [(86753099, "s3cret"), (86753097, "s3cret")])
    await conn.copy_records_to_table("users", records=[(86753096, "s3cret")])
    await conn.copy_from_query("SELECT * FROM users WHERE email = $1", "s3cret", output=io.BytesIO())
    for query, args in [
        ("INSERT INTO users VALUES (86753098, 's3cret')", ()),
        ("SELECT 's3cret'::int", ()),
        ("SELECT $1::int", ("s3cret",)),
        ("SELECT 86753098s3cret", ()),
        ("SELECT 's3cret", ()),
        ("DO $$ BEGIN RAISE 's3cret' USING ERRCODE = 'unique_violation'; END $$", ()),
        ("SELECT '{s3cret'::int[]", ()),
        ("SELECT 'x'::timestamp + '86753098 s3cret'", ()),
    ]:
        with pytest.raises(asyncpg.PostgresError):
            await conn.execute(query, *args)

    told = repr(telemetry.spans) + repr(telemetry.metrics)
    assert len(telemetry.spans) == 14
    assert not [secret for secret in SECRETS if secret in told]


async def test_the_span_is_current_during_the_call(telemetry, conn):
    """What happens inside, such as a codec of the application's, belongs to the query."""
    seen = []

    def encode(value):
        seen.append(format(trace.get_current_span().get_span_context().span_id, "016x"))
        return value

    await conn.set_type_codec("text", schema="pg_catalog", encoder=encode, decoder=str)
    await conn.fetch("SELECT $1::text FROM users", "x")

    assert seen == [telemetry.span("SELECT users").span_id]
    assert not trace.get_current_span().get_span_context().is_valid


async def test_suppressed_calls_are_not_told(telemetry, conn):
    """Neither as spans nor as durations."""
    with suppress():
        await conn.fetch("SELECT 1")

    assert [] == telemetry.spans == telemetry.metrics


async def test_namespace_holds_the_schema_of_the_connection(telemetry, postgres):
    """The search path that the connection was made with; a socket's path is an address without port."""
    conn = await asyncpg.connect(postgres.dsn, server_settings={"search_path": '"$user", "app", public'})
    await conn.fetch("SELECT 1")
    await conn.close()
    conn = await asyncpg.connect(
        host=postgres.socket_folder, port=postgres.port, user=postgres.user, database=postgres.database
    )
    await conn.fetch("SELECT 1")
    await conn.close()

    first, second = telemetry.spans
    assert first.attributes["db.namespace"] == "postgres|app"
    assert second.attributes["server.address"].startswith(postgres.socket_folder)
    assert "server.port" not in second.attributes


# -- beside the official instrumentation -----------------------------------------------------------


async def _work(conn):
    """Everything that both instrumentations tell alike."""
    await conn.execute("SELECT 1")
    await conn.fetch("SELECT 2 FROM users")
    await conn.fetchrow("INSERT INTO users VALUES (700, 'x') RETURNING id")
    await conn.fetchval("UPDATE users SET email = 'y' WHERE id = 700 RETURNING id")
    await conn.executemany("DELETE FROM users WHERE id = $1", [(700,)])
    if hasattr(AsyncPGInstrumentor, "_do_prepared_execute"):  # not in its older versions
        statement = await conn.prepare("SELECT * FROM users WHERE id = $1")
        await statement.fetch(1)
        await statement.fetchrow(1)
        await statement.fetchval(1)
    async with conn.transaction():
        one = await conn.cursor("SELECT * FROM users")
        await one.fetch(2)
        await one.fetchrow()
        await one.forward(1)
        async for _ in conn.cursor("TABLE users", prefetch=500):
            pass
    for call in (conn.execute, conn.fetch, conn.fetchrow, conn.fetchval):
        with pytest.raises(asyncpg.UndefinedTableError):
            await call("SELECT * FROM nowhere")


async def test_the_official_instrumentation_tells_the_same(telemetry, conn):
    """The same methods, parents, kinds and errors; more only where it has no span for a round trip."""
    with span("request"):
        await _work(conn)
    root = telemetry.span("request")
    more = ("PREPARE", "DECLARE")
    ours = [
        (one.attributes["db.query.text"].split()[0].rstrip(";"), one.kind, one.status)
        for one in telemetry.spans
        if one is not root and one.parent_id == root.span_id and not one.name.startswith(more)
    ]

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    undone = instrument_asyncpg()
    AsyncPGInstrumentor().instrument(tracer_provider=provider)
    try:
        with provider.get_tracer("t").start_as_current_span("request") as parent:
            await _work(conn)
    finally:
        AsyncPGInstrumentor().uninstrument()
        undone()
    theirs = [
        (one.name.removeprefix("CURSOR: ").rstrip(";"), one.kind.name, one.status.status_code.name)
        for one in exporter.get_finished_spans()
        if one.parent is not None and one.parent.span_id == parent.get_span_context().span_id
    ]
    while theirs.count(("TABLE", "CLIENT", "UNSET")) > 1:  # theirs has one for each row
        theirs.remove(("TABLE", "CLIENT", "UNSET"))

    assert ours == theirs


async def test_never_both(telemetry, conn):
    """Where the application turns on the official instrumentation, there are its spans, and no others."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    AsyncPGInstrumentor().instrument(tracer_provider=provider)
    try:
        await conn.fetch("SELECT 1")
        await conn.fetchval("SELECT 2")
    finally:
        AsyncPGInstrumentor().uninstrument()
    assert [] == telemetry.spans
    assert len(exporter.get_finished_spans()) == 2
    assert (
        telemetry.metric("db.client.operation.duration", **{"db.operation.name": "SELECT"}).point.count == 2
    )

    await conn.fetch("SELECT 3")
    assert names(telemetry) == ["SELECT"]


async def test_official_first(conn, said):
    """Where the official instrumentation is on already, one line says who makes the spans."""
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    AsyncPGInstrumentor().instrument(tracer_provider=provider)
    try:
        with capture() as telemetry:
            undo = instrument_asyncpg()
            await conn.fetch("SELECT 1")
            undo()
    finally:
        AsyncPGInstrumentor().uninstrument()

    assert [] == telemetry.spans
    assert len(exporter.get_finished_spans()) == 1
    assert ["AsyncPGInstrumentor" in line for line in said()] == [True]


# -- on and off ------------------------------------------------------------------------------------


def _methods():
    classes = (
        connection.Connection,
        prepared_stmt.PreparedStatement,
        cursor.Cursor,
        cursor.CursorIterator,
        pool.Pool,
    )
    return {(kind, name): method for kind in classes for name, method in vars(kind).items()}


def test_every_method_is_put_back():
    """After the last user gave it up, asyncpg is what it was."""
    before = _methods()
    first, second = instrument_asyncpg(), LIBRARY.turn_on(None)
    changed = [key for key, method in _methods().items() if method is not before[key]]
    first()
    first()
    assert len(changed) > 15
    assert _methods() != before
    second()

    assert _methods() == before


async def test_twice_on_is_told_once(telemetry, conn):
    """A second user shares what the first has done."""
    undo = instrument_asyncpg()
    await conn.fetch("SELECT 1")
    undo()
    await conn.fetch("SELECT 2")

    assert names(telemetry) == ["SELECT", "SELECT"]


async def test_wrapped_by_others_meanwhile(conn, monkeypatch):
    """What somebody else put around our method stays; ours does nothing any more."""
    calls = []
    with capture() as telemetry:
        undo = instrument_asyncpg()
        ours = connection.Connection.fetch

        async def theirs(self, *args, **kwargs):
            calls.append(args)
            return await ours(self, *args, **kwargs)

        monkeypatch.setattr(connection.Connection, "fetch", theirs)
        undo()
        await conn.fetch("SELECT 1")

    assert calls == [("SELECT 1",)]
    assert [] == telemetry.spans


def test_methods_look_as_before():
    """Names, signatures, and what is a coroutine function and what is not."""

    def looks():
        return {
            key: (method.__qualname__, inspect.signature(method), inspect.iscoroutinefunction(method))
            for key, method in _methods().items()
            if inspect.isfunction(method)
        }

    before = looks()
    undo = instrument_asyncpg()
    during = looks()
    undo()

    assert during == before


async def test_many_tasks_keep_their_parents(telemetry, postgres):
    """Concurrent queries through one pool are children of the spans they were asked in."""
    async with asyncpg.create_pool(postgres.dsn, min_size=1, max_size=4) as made:

        async def ask(number):
            with span(f"task {number}"):
                await made.fetchval(f"SELECT {number} FROM pg_sleep(0.001)")

        await asyncio.gather(*(ask(number) for number in range(20)))

    parents = {one.span_id: one.name for one in telemetry.spans if one.name.startswith("task")}
    queries = [one for one in telemetry.spans if one.name == "SELECT pg_sleep"]
    assert sorted(parents[one.parent_id] for one in queries) == sorted(parents.values())


async def test_an_error_that_is_a_value_hides_the_server_s_detail(telemetry, conn):
    """As a field, an argument, a message, an exception or an attribute: on no line of any format, in no record."""
    with pytest.raises(asyncpg.UniqueViolationError) as caught, suppress():
        await conn.execute("INSERT INTO users VALUES ($1)", 86)
    error = caught.value
    out = io.StringIO()
    handler = logging.StreamHandler(out)
    logger = logging.getLogger("theirs")
    logger.addHandler(handler)
    for log in (logger, logging.getLogger("ours")):
        log.error("as an argument: %s %r", error, error)
        log.error(error)
        log.error("as a field", extra={"error": error}, exc_info=error)
    logger.removeHandler(handler)
    get_logger().error("as a field", error=error, errors=[error])
    with span("attribute", {"error": error}):
        pass

    assert "Key (id)=(86)" in str(error)
    assert 'duplicate key value violates unique constraint "users_pkey"' in out.getvalue()
    assert "(86)" not in out.getvalue() + repr((telemetry.spans, telemetry.logs))
