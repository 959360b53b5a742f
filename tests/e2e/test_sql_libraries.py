"""psycopg and SQLAlchemy on a real PostgreSQL: a span for each statement, and no value anywhere."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager

import pytest

import otelkit
from otelkit import instrument
from otelkit.settings import Settings
from otelkit.testing import capture

psycopg = pytest.importorskip("psycopg")
sqlalchemy = pytest.importorskip("sqlalchemy")

SECRET = "sesame42"
INSERT = f"INSERT INTO members VALUES ('{SECRET}', 4711)"
AGAIN = "INSERT INTO members VALUES ({}, 4711)"
SELECT = "SELECT email FROM members WHERE email = "


@contextmanager
def instrumented(*names):
    settings = Settings(service_name="test", instrument=names)
    with capture(settings=settings) as telemetry:
        undo = instrument.install(settings)
        try:
            yield telemetry
        finally:
            undo()


@pytest.fixture
def dsn(postgres):
    """A database with a table of members in it."""
    with psycopg.connect(postgres.dsn, autocommit=True) as connection:
        connection.execute("DROP TABLE IF EXISTS members")
        connection.execute("CREATE TABLE members (email text UNIQUE, number int)")
    return postgres.dsn


def by_psycopg(dsn):
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(INSERT)
        assert [(SECRET,)] == connection.execute(f"{SELECT}%s", (SECRET,)).fetchall()
        connection.execute(AGAIN.format("%s"), (SECRET,))


def by_psycopg_async(dsn):
    async def ask():
        async with await psycopg.AsyncConnection.connect(dsn, autocommit=True) as connection:
            await connection.execute(INSERT)
            found = await connection.execute(f"{SELECT}%s", (SECRET,))
            assert [(SECRET,)] == await found.fetchall()
            await connection.execute(AGAIN.format("%s"), (SECRET,))

    asyncio.run(ask())


def statements(text):
    return [
        (text(INSERT), {}),
        (text(f"{SELECT}:email"), {"email": SECRET}),
        (text(AGAIN.format(":email")), {"email": SECRET}),
    ]


def by_sqlalchemy(dsn):
    engine = sqlalchemy.create_engine(dsn.replace("postgresql:", "postgresql+psycopg:"))
    try:
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            for statement, values in statements(sqlalchemy.text):
                connection.execute(statement, values)
    finally:
        engine.dispose()


def by_sqlalchemy_async(dsn):
    from sqlalchemy.ext.asyncio import create_async_engine

    async def ask():
        engine = create_async_engine(
            dsn.replace("postgresql:", "postgresql+asyncpg:"), isolation_level="AUTOCOMMIT"
        )
        try:
            async with engine.connect() as connection:
                for statement, values in statements(sqlalchemy.text):
                    await connection.execute(statement, values)
        finally:
            await engine.dispose()

    asyncio.run(ask())


WAYS = [
    pytest.param("psycopg", by_psycopg, psycopg.Error, id="psycopg"),
    pytest.param("psycopg", by_psycopg_async, psycopg.Error, id="psycopg async"),
    pytest.param("sqlalchemy", by_sqlalchemy, sqlalchemy.exc.IntegrityError, id="sqlalchemy over psycopg"),
    pytest.param(
        "sqlalchemy", by_sqlalchemy_async, sqlalchemy.exc.IntegrityError, id="sqlalchemy over asyncpg"
    ),
]


@pytest.mark.parametrize("library, use, refusal", WAYS)
def test_a_statement_is_one_span_without_values(dsn, library, use, refusal, capsys):
    """Below the span it was asked in; neither it, nor the application's span and line about an error, has a value."""
    with instrumented(library) as telemetry:
        with pytest.raises(refusal, match=SECRET), otelkit.span("registration"):
            try:
                use(dsn)
            except Exception:
                otelkit.get_logger().exception("refused")
                raise

    parent = telemetry.span("registration")
    spans = [span for span in telemetry.spans if span.kind == "CLIENT"]
    assert ["INSERT members", "SELECT members", "INSERT members"] == [span.name for span in spans]
    assert {parent.span_id} == {span.parent_id for span in spans}
    assert ["UNSET", "UNSET", "ERROR"] == [span.status for span in spans]
    assert ("23505", True) == (
        spans[2].attributes["db.response.status_code"],
        spans[2].attributes["error.type"].endswith(("UniqueViolation", "IntegrityError")),
    )
    assert "members_email_key" in parent.error
    told = str(telemetry.spans) + str(telemetry.logs) + str(telemetry.metrics) + "".join(capsys.readouterr())
    assert "refused" in told
    for value in (SECRET, "4711", "DETAIL"):
        assert value not in told


@pytest.mark.parametrize("use", [by_sqlalchemy, by_sqlalchemy_async])
def test_sqlalchemy_goes_off_and_on_again(dsn, use):
    """Each time: engines of the meantime are let go, and a new one has its spans, once."""
    for _ in range(2):
        with psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute("DELETE FROM members")
        with instrumented("sqlalchemy") as telemetry:
            with pytest.raises(sqlalchemy.exc.IntegrityError):
                use(dsn)
            assert ("sqlalchemy",) == instrument.instrumented()

        assert 3 == len(telemetry.spans)
        assert {"INSERT", "SELECT"} == {span.attributes["db.operation.name"] for span in telemetry.spans}


def test_what_the_user_has_turned_on_of_sqlalchemy_stays(dsn):
    """With the user's own provider and the span of each connection borrowed."""
    from opentelemetry.instrumentation.sqlalchemy import SQLAlchemyInstrumentor

    SQLAlchemyInstrumentor().instrument()
    try:
        with instrumented("sqlalchemy") as telemetry, pytest.raises(sqlalchemy.exc.IntegrityError):
            by_sqlalchemy(dsn)
        assert SQLAlchemyInstrumentor().is_instrumented_by_opentelemetry
    finally:
        SQLAlchemyInstrumentor().uninstrument()

    assert "connect" in [span.name for span in telemetry.spans]


def test_a_session_that_must_be_rolled_back_repeats_no_value(dsn):
    """SQLAlchemy then says what had failed before, with its parameters; telemetry does not."""
    from sqlalchemy.orm import Session, declarative_base

    class Member(declarative_base()):
        __tablename__ = "members"
        email = sqlalchemy.Column(sqlalchemy.Text, primary_key=True)

    with instrumented("sqlalchemy") as telemetry:
        engine = sqlalchemy.create_engine(dsn.replace("postgresql:", "postgresql+psycopg:"))
        with Session(engine) as session:
            session.execute(sqlalchemy.text(INSERT))
            session.add(Member(email=SECRET))
            with pytest.raises(sqlalchemy.exc.IntegrityError):
                session.flush()
            with pytest.raises(sqlalchemy.exc.PendingRollbackError, match=SECRET), otelkit.span("again"):
                session.execute(sqlalchemy.text("SELECT 1"))
        engine.dispose()

    assert telemetry.span("again").error.startswith("PendingRollbackError: This Session's transaction")
    assert SECRET not in str(telemetry.spans)


def test_no_server_is_told_in_the_drivers_words(postgres):
    """Where no server answered there are no values, and the address is what one needs."""
    nowhere = f"postgresql://{postgres.user}@127.0.0.1:1/postgres"
    with instrumented("psycopg") as telemetry:
        with pytest.raises(psycopg.OperationalError), otelkit.span("connecting"):
            psycopg.connect(nowhere, connect_timeout=5)

    assert "port 1" in telemetry.span("connecting").error
