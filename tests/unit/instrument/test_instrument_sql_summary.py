"""The summary of a statement, by the examples of the conventions and by PostgreSQL's grammar."""

from __future__ import annotations

import pytest

from otelkit.instrument._sql import describe, summary


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        # The conventions' own examples.
        ("SELECT * FROM wuser_table WHERE username = ?", "SELECT wuser_table"),
        (
            "INSERT INTO shipping_details (order_id, address) SELECT order_id, address FROM orders WHERE order_id = ?",
            "INSERT shipping_details SELECT orders",
        ),
        ("SELECT * FROM songs, artists WHERE songs.artist_id == artists.id", "SELECT songs artists"),
        (
            "SELECT order_date FROM (SELECT * FROM orders o JOIN customers c ON o.customer_id = c.customer_id)",
            "SELECT SELECT orders customers",
        ),
        ("SELECT * FROM \"song list\", 'artists'", 'SELECT "song list"'),
        ("call some_stored_procedure", "call some_stored_procedure"),
        # Where PostgreSQL says more.
        ("select a from Users", "select Users"),
        ("SELECT 1", "SELECT"),
        (
            "SELECT a FROM s.t1 x LEFT JOIN t2 USING (id), t3 CROSS JOIN LATERAL (SELECT 1 FROM t4) q",
            "SELECT s.t1 t2 t3 SELECT t4",
        ),
        (
            "SELECT * FROM a AS x, (b JOIN c ON b.i = c.i), ONLY d, f(1), ROWS FROM (g(2)) h",
            "SELECT a b c d f g",
        ),
        (
            "SELECT extract(year FROM ts), trim(both FROM n) FROM t WHERE a IS NOT DISTINCT FROM b FOR UPDATE OF t",
            "SELECT t",
        ),
        ("SELECT * FROM t WHERE x IN (SELECT y FROM u) ORDER BY z, w LIMIT 5", "SELECT t SELECT u"),
        ("(SELECT 1 FROM a) UNION ALL (SELECT 2 FROM b) ORDER BY 1", "SELECT a SELECT b"),
        ("SELECT a.select, a.update FROM x.from", "SELECT x.from"),
        (
            "WITH r AS (SELECT * FROM orders), x(a, b) AS NOT MATERIALIZED (VALUES (1, 2)) SELECT * FROM r JOIN users ON true, x",
            "SELECT orders SELECT users",
        ),
        ("WITH RECURSIVE r AS (SELECT 1 UNION SELECT n + 1 FROM r) SELECT * FROM r", "SELECT SELECT SELECT"),
        (
            "WITH gone AS (DELETE FROM a USING b WHERE true RETURNING *) INSERT INTO log SELECT * FROM gone",
            "DELETE a b INSERT log SELECT",
        ),
        ("UPDATE ONLY t SET a = 1, b = 2 FROM z, y WHERE z.id = t.id", "UPDATE t z y"),
        (
            "INSERT INTO t (update, delete) VALUES (1, 2) ON CONFLICT (a) DO UPDATE SET a = 5 RETURNING id",
            "INSERT t",
        ),
        (
            "MERGE INTO t USING s ON t.id = s.id WHEN MATCHED THEN UPDATE SET a = 1 WHEN NOT MATCHED THEN INSERT VALUES (1)",
            "MERGE t s",
        ),
        ("create table if not exists s.t (id int references x (id), update int)", "create table s.t"),
        ("CREATE TEMP TABLE x AS SELECT * FROM y", "CREATE TABLE x SELECT y"),
        ("CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS i ON t (a)", "CREATE INDEX i"),
        ("CREATE INDEX ON t (a)", "CREATE INDEX t"),
        (
            "CREATE OR REPLACE FUNCTION f(a int) RETURNS int AS $$ SELECT 1 FROM t $$ LANGUAGE sql",
            "CREATE FUNCTION f",
        ),
        ("CREATE MATERIALIZED VIEW v AS SELECT * FROM t", "CREATE MATERIALIZED VIEW v SELECT t"),
        ("REFRESH MATERIALIZED VIEW CONCURRENTLY v", "REFRESH MATERIALIZED VIEW v"),
        ("DROP TABLE IF EXISTS a, b CASCADE", "DROP TABLE a b"),
        ("CREATE ROLE bob PASSWORD 'x'", "CREATE ROLE"),
        ("TRUNCATE TABLE a, b", "TRUNCATE a b"),
        ("COPY t (a, b) FROM STDIN", "COPY t"),
        ("COPY (SELECT * FROM t) TO STDOUT", "COPY SELECT t"),
        ("EXPLAIN (ANALYZE, FORMAT JSON) UPDATE t SET a = 1", "EXPLAIN UPDATE t"),
        ("DECLARE c CURSOR FOR SELECT * FROM t", "DECLARE SELECT t"),
        ("START TRANSACTION READ ONLY", "START TRANSACTION"),
        ("BEGIN ISOLATION LEVEL SERIALIZABLE;", "BEGIN"),
        ("SAVEPOINT asyncpg_savepoint_17", "SAVEPOINT"),
        ("SET search_path TO tenant_17", "SET"),
        ("DO $$ BEGIN PERFORM 1; END $$", "DO"),
        ("TABLE t", "TABLE t"),
        ("VALUES (1), (2)", "VALUES"),
        ("-- get users\n/* all */ SELECT * FROM users", "SELECT users"),
        ("GRANT SELECT ON t TO bob", "GRANT"),
        # Scripts.
        (
            "INSERT INTO a VALUES (1); INSERT INTO a VALUES (2); INSERT INTO b VALUES (3);",
            "INSERT a INSERT b",
        ),
        ("SET x = y; SELECT * FROM t", "SET SELECT t"),
        # What is no SQL shows nothing of itself.
        ("secret value", ""),
        ("'secret'", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_summary(query, expected):
    """Operations and targets in the order of the text, as they were written, and no values."""
    assert summary(query) == expected


def test_operation_is_named_where_there_is_one():
    """Several operations in one text have no name of their own."""
    assert describe("SELECT * FROM a, b").operation == "SELECT"
    assert describe("CREATE  TABLE a (b int)").operation == "CREATE TABLE"
    assert describe("INSERT INTO a SELECT * FROM b").operation == ""
    assert describe("no SQL").operation == ""


def test_same_summary_for_other_values():
    """The summary of a statement does not depend on its values, their number, or its layout."""
    first = "SELECT * FROM users WHERE id IN (1, 2, 3) AND name = 'FROM x'"
    second = "SELECT *\nFROM users -- FROM y\nWHERE id IN (4) AND name = $$, z$$"

    assert summary(first) == summary(second) == "SELECT users"


def test_a_long_summary_is_cut_between_parts():
    """Never more than 255 characters, never half a name."""
    tables = [f"table_{number}" for number in range(100)]
    shown = summary(f"SELECT * FROM {', '.join(tables)}").split(" ")

    assert len(" ".join(shown)) <= 255
    assert shown == ["SELECT", *tables[: len(shown) - 1]]
    assert summary(f"SELECT * FROM {'x' * 300}, t") == "SELECT t"
