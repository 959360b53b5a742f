"""What goes wrong on a real PostgreSQL looks to the application as if otelkit were not there."""

from __future__ import annotations

import asyncio
import gc
import io
import traceback

import asyncpg
import pytest

import otelkit
from otelkit.instrument._asyncpg import errors as _asyncpg_errors
from otelkit.instrument._asyncpg import instrument_asyncpg
from otelkit.processors.context import suppress
from otelkit.testing import capture

# -- things that go wrong --------------------------------------------------------------------------


async def wrong_sql(conn, postgres):
    await conn.execute("SELEC 1")


async def missing_table(conn, postgres):
    await conn.fetch("SELECT * FROM nowhere")


async def duplicate(conn, postgres):
    await conn.execute("INSERT INTO users VALUES (1, 'a@b.example')")


async def bad_batch(conn, postgres):
    await conn.executemany("INSERT INTO users VALUES ($1, 'x')", [(800,), (1,)])


async def bad_iterator(conn, postgres):
    def sets():
        yield (900,)
        raise LookupError("the application's own")

    await conn.executemany("INSERT INTO users VALUES ($1, 'x')", sets())


async def wrong_type(conn, postgres):
    await conn.fetch("SELECT $1::int", "no number")


async def too_few_arguments(conn, postgres):
    await conn.fetchrow("SELECT $1::int, $2::int", 1)


async def no_query(conn, postgres):
    await conn.fetch()


async def unknown_keyword(conn, postgres):
    await conn.fetch("SELECT 1", nonsense=1)


async def query_of_another_type(conn, postgres):
    await conn.fetch(b"SELECT 1")


async def query_is_none(conn, postgres):
    await conn.execute(None)


async def closed_connection(conn, postgres):
    await conn.close()
    await conn.fetch("SELECT 1")


async def statement_of_closed_connection(conn, postgres):
    statement = await conn.prepare("SELECT 1")
    await conn.close()
    statement.fetch()  # raises before it is awaited


async def server_timeout(conn, postgres):
    await conn.execute("SET statement_timeout = 20")
    await conn.fetch("SELECT pg_sleep(30)")


async def client_timeout(conn, postgres):
    await conn.fetch("SELECT pg_sleep(30)", timeout=0.02)


async def cancelled(conn, postgres):
    await asyncio.wait_for(conn.fetch("SELECT pg_sleep(30)"), 0.02)


async def cancelled_by_another(conn, postgres):
    query = asyncio.ensure_future(conn.fetch("SELECT pg_sleep(30)"))
    other = await asyncpg.connect(postgres.dsn)
    while not await other.fetchval(
        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE pid = $1 AND wait_event = 'PgSleep'",
        conn.get_server_pid(),
    ):
        pass
    await other.close()
    await query


async def two_at_once(conn, postgres):
    first = asyncio.ensure_future(conn.fetch("SELECT pg_sleep(0.05)"))
    await asyncio.sleep(0)
    try:
        await conn.fetch("SELECT 1")
    finally:
        await first


async def cursor_without_transaction(conn, postgres):
    await conn.cursor("SELECT 1")


async def cursor_that_breaks(conn, postgres):
    async with conn.transaction():
        async for _ in conn.cursor("SELECT 1 / (60 - n) FROM generate_series(1, 100) n", prefetch=50):
            pass


async def cursor_of_none(conn, postgres):
    async with conn.transaction():
        one = await conn.cursor("SELECT 1")
        await one.fetch(0)


async def broken_transaction(conn, postgres):
    async with conn.transaction():
        try:
            await conn.execute("SELECT 1 / 0")
        except asyncpg.DivisionByZeroError:
            pass
        await conn.execute("SELECT 1")


async def copy_into_nothing(conn, postgres):
    await conn.copy_to_table("nowhere", source=io.BytesIO(b"1\n"))


async def copy_of_nonsense(conn, postgres):
    await conn.copy_to_table("users", source=io.BytesIO(b"no number\tx\n"))


async def copy_to_nothing(conn, postgres):
    await conn.copy_from_query("SELECT 1", output=5)


async def copy_query_that_breaks(conn, postgres):
    await conn.copy_from_query("SELECT 1 / $1::int", 0, output=io.BytesIO())


async def raised_by_a_function(conn, postgres):
    await conn.execute("DO $$ BEGIN RAISE 'secret %', 1 USING ERRCODE = 'ZZ123'; END $$")


async def terminated(conn, postgres):
    await conn.fetch("SELECT pg_terminate_backend(pg_backend_pid())")


async def released_connection(conn, postgres):
    async with asyncpg.create_pool(postgres.dsn, min_size=1, max_size=1) as pool:
        async with pool.acquire() as kept:
            statement = await kept.prepare("SELECT 1")
        try:
            await statement.fetch()
        except asyncpg.InterfaceError as error:
            raise error from None
        finally:
            await kept.fetch("SELECT 1")


async def closed_pool(conn, postgres):
    pool = await asyncpg.create_pool(postgres.dsn, min_size=1, max_size=1)
    await pool.close()
    await pool.fetch("SELECT 1")


async def pool_before_its_start(conn, postgres):
    await asyncpg.create_pool(postgres.dsn).fetch("SELECT 1")


async def exhausted_pool(conn, postgres):
    async with asyncpg.create_pool(postgres.dsn, min_size=1, max_size=1) as pool:
        async with pool.acquire():
            await pool.acquire(timeout=0.02)


async def cancelled_acquire(conn, postgres):
    async with asyncpg.create_pool(postgres.dsn, min_size=1, max_size=1) as pool:
        async with pool.acquire():
            await asyncio.wait_for(pool.acquire(), 0.02)


async def foreign_release(conn, postgres):
    async with asyncpg.create_pool(postgres.dsn, min_size=1, max_size=1) as pool:
        await pool.release(conn)


async def wrong_password(conn, postgres):
    await asyncpg.create_pool(postgres.dsn, database="no_such_database", min_size=1)


async def lost_server(conn, postgres):
    query = asyncio.ensure_future(conn.fetch("SELECT pg_sleep(30)"))
    other = await asyncpg.connect(postgres.dsn)
    while not await other.fetchval("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"):
        pass
    postgres.kill()
    try:
        await query
    finally:
        other.terminate()
        postgres.start()


async def restarted_server(conn, postgres):
    async with asyncpg.create_pool(postgres.dsn, min_size=1, max_size=1) as pool:
        assert await pool.fetchval("SELECT 1") == 1
        postgres.restart()
        failures = []
        for _ in range(3):
            try:
                assert await pool.fetchval("SELECT 1") == 1
            except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
                failures.append(type(error).__name__)
        assert len(failures) <= 1
        raise LookupError(await pool.fetchval("SELECT 2"))


GO_WRONG = [
    wrong_sql, missing_table, duplicate, bad_batch, bad_iterator, wrong_type, too_few_arguments, no_query,
    unknown_keyword, query_of_another_type, query_is_none, closed_connection, statement_of_closed_connection,
    server_timeout, client_timeout, cancelled, cancelled_by_another, two_at_once, cursor_without_transaction,
    cursor_that_breaks, cursor_of_none, broken_transaction, copy_into_nothing, copy_of_nonsense,
    copy_to_nothing, copy_query_that_breaks, raised_by_a_function, terminated, released_connection,
    closed_pool, pool_before_its_start, exhausted_pool, cancelled_acquire, foreign_release, wrong_password,
    lost_server, restarted_server,
]  # fmt: skip


async def _outcome(goes_wrong, postgres):
    """What the application sees of the failure."""
    with suppress():
        conn = await asyncpg.connect(postgres.dsn)
        await conn.execute("CREATE TEMP TABLE users (id int PRIMARY KEY, email text)")
        await conn.execute("INSERT INTO users SELECT n, 'a@b.example' FROM generate_series(1, 100) n")
    try:
        await goes_wrong(conn, postgres)
    except BaseException as error:
        return error
    finally:
        conn.terminate()
    raise AssertionError("nothing went wrong")


def _seen(error):
    fields = {key: value for key, value in vars(error).items() if key != "server_source_line"}
    text = str(error)
    for varying in ("0x", "port "):
        text = text.partition(varying)[0]
    links = [type(link) for link in (error.__cause__, error.__context__)]
    return type(error), text, len(error.args), fields, links, error.__suppress_context__


@pytest.mark.parametrize("goes_wrong", GO_WRONG, ids=lambda one: one.__name__)
async def test_the_application_sees_the_same(goes_wrong, postgres):
    """The same class, words, fields, cause and context, with one frame more at the most."""
    bare = await _outcome(goes_wrong, postgres)
    with capture():
        undo = instrument_asyncpg()
        instrumented = await _outcome(goes_wrong, postgres)
        undo()

    assert _seen(instrumented) == _seen(bare)
    walk = traceback.extract_tb(instrumented.__traceback__)
    assert len([frame for frame in walk if "/otelkit/instrument/" in frame.filename]) <= 2
    del bare, instrumented
    gc.collect()


async def test_the_exception_is_the_same_object(instrumented_asyncpg, postgres):
    """What asyncpg raised is what the application gets."""
    conn = await asyncpg.connect(postgres.dsn)
    logged = []
    with conn.query_logger(logged.append):
        with pytest.raises(asyncpg.UndefinedTableError) as caught:
            await conn.fetch("SELECT * FROM nowhere")
        await conn.fetch("SELECT 1")
    await conn.close()

    assert logged[0].exception is caught.value


# -- what telemetry says of it ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("goes_wrong", "state", "message"),
    [
        (wrong_sql, "42601", 'PostgresSyntaxError: syntax error at or near "SELEC"'),
        (missing_table, "42P01", 'UndefinedTableError: relation "nowhere" does not exist'),
        (
            duplicate,
            "23505",
            'UniqueViolationError: duplicate key value violates unique constraint "users_pkey"',
        ),
        (wrong_type, "22000", "DataError: invalid input for query argument $1"),
        (
            too_few_arguments,
            None,
            "InterfaceError: the server expects ? arguments for this query, ? was passed",
        ),
        (server_timeout, "57014", "QueryCanceledError: canceling statement due to statement timeout"),
        (client_timeout, None, "TimeoutError"),
        (
            copy_of_nonsense,
            "22P02",
            "InvalidTextRepresentationError: invalid input syntax for type integer: ?",
        ),
        (raised_by_a_function, "ZZ123", "UnknownPostgresError"),
        (bad_iterator, None, "LookupError"),
        (
            lost_server,
            "08003",
            "ConnectionDoesNotExistError: connection was closed in the middle of operation",
        ),
    ],
    ids=lambda one: getattr(one, "__name__", ""),
)
async def test_a_failure_is_told_without_values(instrumented_asyncpg, postgres, goes_wrong, state, message):
    """Class and SQLSTATE as attributes, the message without what it quotes, as status and event."""
    await _outcome(goes_wrong, postgres)

    (failed,) = [one for one in instrumented_asyncpg.spans if one.status == "ERROR"]
    kind, _, text = message.partition(": ")
    (event,) = failed.events
    assert failed.error == message
    assert failed.attributes.get("db.response.status_code") == state
    assert failed.attributes["error.type"].rpartition(".")[2] == kind
    assert event.name == "exception"
    assert event.attributes.get("exception.message", "") == text
    assert event.attributes["exception.type"] == failed.attributes["error.type"]
    assert "asyncpg" in event.attributes["exception.stacktrace"]


@pytest.mark.parametrize("goes_wrong", [cancelled, cancelled_acquire], ids=lambda one: one.__name__)
async def test_cancellation_is_no_error(instrumented_asyncpg, postgres, goes_wrong):
    """A span that was cancelled ends without a status, and is measured without an error."""
    await _outcome(goes_wrong, postgres)

    assert {one.status for one in instrumented_asyncpg.spans} <= {"UNSET"}
    for metric in instrumented_asyncpg.metrics:
        assert not [point for point in metric.points if "error.type" in point.attributes]


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"C": "22P02", "M": 'invalid input syntax for type integer: "users" secret "t"'}, "invalid input syntax for type integer: ?"),
        ({"C": "42601", "M": 'syntax error at or near "\'secret\'"'}, "syntax error at or near ?"),
        ({"C": "42601", "M": 'syntax error at or near "users"secret"'}, "syntax error at or near ?"),
        ({"C": "42703", "M": 'column "secret" does not exist'}, "column ? does not exist"),
        ({"C": "42703", "M": 'column "id" of relation "public.users" does not exist'}, 'column "id" of relation "public.users" does not exist'),
        ({"C": "42703", "M": "la colonne « secret » n'existe pas"}, "la colonne ?existe pas"),
        ({"C": "22003", "M": "value 12345secret is out of range, 6.7e8 too, $1 and c2 stay"}, "value ? is out of range, ? too, $1 and c2 stay"),
        ({"C": "23505", "M": 'unique constraint "u_key"', "n": "u_key", "D": "Key (a)=(secret)"}, 'unique constraint "u_key"'),
        ({"C": "P0001", "M": "secret"}, ""),
        ({"C": "23505", "M": "secret", "F": "pl_exec.c"}, ""),
        ({"C": "XX000", "M": "secret"}, ""),
        ({"C": "22012", "M": "division\nsecret"}, "division"),
    ],
)  # fmt: skip
def test_words_of_the_server(fields, text):
    """Only what the statement or the error names anyway, and the server's own words, are left."""
    error = asyncpg.PostgresError.new({"S": "ERROR", **fields})
    failure = _asyncpg_errors.of(error, "SELECT id FROM public.users WHERE a = ?")

    assert failure.message == text
    assert failure.sqlstate == fields["C"]


async def test_the_application_s_own_spans_and_lines_hide_the_values(postgres, instrumented_asyncpg):
    """An error that passes the application's span and is logged there shows no DETAIL and no value."""
    secret = "s3cr3t@example.org"
    connection = await asyncpg.connect(postgres.dsn)
    try:
        await connection.execute("CREATE TEMP TABLE people (email text UNIQUE)")
        await connection.execute("INSERT INTO people VALUES ($1)", secret)
        with pytest.raises(asyncpg.UniqueViolationError, match=secret):
            with otelkit.span("application"):
                try:
                    await connection.execute("INSERT INTO people VALUES ($1)", secret)
                except asyncpg.UniqueViolationError:
                    otelkit.get_logger().exception("failed")
                    raise
    finally:
        await connection.close()

    (event,) = instrumented_asyncpg.span("application").events
    assert "duplicate key value violates unique constraint" in event.attributes["exception.message"]
    assert secret not in repr((instrumented_asyncpg.spans, instrumented_asyncpg.logs))
