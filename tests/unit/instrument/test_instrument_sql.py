"""No value of a statement survives `sanitize`, whatever the statement looks like."""

from __future__ import annotations

import string

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from otelkit.instrument import _sql
from otelkit.instrument._sql import StatementCache, describe, lexer, sanitize

SECRET = "zqxsecret"
NUMBER = "86753098675309"
MARKS = (SECRET, SECRET.upper(), NUMBER)

# -- statements with marked values -----------------------------------------------------------------

_filler = st.text(alphabet='ab -*/$\n\t.,;:()=?"é\x00', max_size=8)
_tags = st.sampled_from(["", "a", "body", "_x1", "é"])


def _literal(open_, close, escape):
    return st.tuples(_filler, _filler).map(
        lambda around: open_ + escape(around[0] + SECRET + around[1]) + close
    )


def _doubled(text):
    return text.replace("'", "''")


def _dollar(tag, body):
    quote = f"${tag}$"
    return f"{quote}{body.replace(quote, '')}{quote}"


def _comment(body):
    return f"/* {body.replace('/*', '').replace('*/', '')} /* {SECRET} */ {NUMBER} */"


_values = st.one_of(
    _literal("'", "'", lambda text: _doubled(text + "'x'")),
    _literal("E'", "'", lambda text: _doubled(text) + "\\' \\\\ ''"),
    _literal("e'", "'", lambda text: text.replace("'", "\\'")),
    _literal("U&'", "'", lambda text: _doubled(text) + "\\0061"),
    _literal("B'", "'", _doubled),
    _literal("x'", "'", _doubled),
    _literal("N'", "'", _doubled),
    st.builds(_dollar, _tags, _filler.map(lambda text: f"{text}'{SECRET}$ {text}")),
    st.sampled_from(
        [
            NUMBER,
            f"{NUMBER}.5",
            f".{NUMBER}",
            f"1.{NUMBER}e-5",
            f"1e+{NUMBER}",
            f"0x{NUMBER}",
            f"0b{NUMBER}",
            f"{NUMBER[:7]}_{NUMBER}",
            f"-{NUMBER}",
            f"{NUMBER}{SECRET}",
            f"${NUMBER}",
        ]
    ),
)
_comments = st.one_of(
    _filler.map(_comment), _filler.map(lambda text: f"-- {text.replace(chr(10), '')}{SECRET} '\"\n")
)
_names = st.sampled_from(
    ["users", "t1", "e", "x", "public.users", '"song list"', '"a""b"', "naïve", "a$b$", 'U&"d\\0061"']
)
_expressions = st.recursive(
    _values | _names | st.sampled_from(["$1", "NULL", "TRUE", "now()"]),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from(["=", "->>", "||", "::text ||", " IN ", "--\n+", "?"]), inner).map(
            "".join
        ),
        st.lists(inner, min_size=1, max_size=3).map(lambda parts: f"f({', '.join(parts)})"),
        st.tuples(inner, _comments).map(lambda pair: f"{pair[0]} {pair[1]}"),
        st.tuples(_names, inner).map(lambda pair: f"(SELECT * FROM {pair[0]} WHERE a = {pair[1]})"),
        inner.map(lambda part: f"CASE WHEN {part} THEN {part} ELSE ({part}) END"),
    ),
    max_leaves=8,
)
_statements = st.one_of(
    st.tuples(_names, _expressions).map(lambda pair: f"SELECT * FROM {pair[0]} WHERE {pair[1]}"),
    st.tuples(_names, _expressions).map(lambda pair: f"INSERT INTO {pair[0]} VALUES ({pair[1]}, {pair[1]})"),
    st.tuples(_names, _expressions).map(
        lambda pair: f"WITH w AS (SELECT {pair[1]}) UPDATE {pair[0]} SET a = {pair[1]}"
    ),
    st.tuples(_tags, _expressions).map(
        lambda pair: f"DO {_dollar(pair[0], f'BEGIN PERFORM {pair[1]}; END')}"
    ),
    st.tuples(_names, _tags, _expressions).map(
        lambda part: f"CREATE FUNCTION {part[0]}() RETURNS int AS {_dollar(part[1], part[2])} LANGUAGE sql"
    ),
    _expressions.map(lambda part: f"SET LOCAL app.user = {part}"),
    st.just(f"SET app.user TO {SECRET}, {SECRET}"),
    st.sampled_from(["ROLE", "SESSION AUTHORIZATION", "LOCAL TIME ZONE", "NAMES", "a.role TO"]).map(
        lambda what: f"SET {what} {SECRET}"
    ),
    st.just(f"ALTER ROLE bob SET app.key = {SECRET}"),
    st.sampled_from(["ALTER PROCEDURE", "CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"]).map(
        lambda what: f"{what} f(a int) SET app.key = {SECRET} AS $$x$$"
    ),
    _expressions.map(lambda part: f"/* {SECRET} */ EXPLAIN ANALYZE SELECT {part}"),
)
_scripts = st.lists(_statements, min_size=1, max_size=3).map("; ".join)
_with_data = st.tuples(_scripts, _names).map(
    lambda pair: f"{pair[0]};\nCOPY {pair[1]} (a) FROM STDIN WITH (FORMAT csv);\n1\t{SECRET}\n\\.\n{SECRET}"
)


def _shown(query):
    found = describe(query)
    return f"{sanitize(query, max_length=100_000)}\n{found.text}\n{found.summary}\n{found.operation}"


@settings(max_examples=400, deadline=None)
@given(_scripts | _with_data)
def test_no_literal_survives(query):
    """Wherever a value stands, neither text nor summary show a part of it."""
    shown = _shown(query)

    assert not [mark for mark in MARKS if mark in shown], query


@settings(max_examples=300, deadline=None)
@given(_scripts | _with_data, st.data())
def test_broken_statements_leak_nothing(query, data):
    """Cut anywhere, or with a quote that is never closed or was not escaped, nothing more is shown."""
    cut = data.draw(st.integers(0, len(query)))
    open_quote = data.draw(st.sampled_from(["'", "E'", "$x$", "$", "/* */ /*", "-- ", "\\", "= 'O'"]))
    for broken in (query[:cut], f"{query} {open_quote}{SECRET}", f"{query} {open_quote}{SECRET} '{NUMBER}'"):
        shown = _shown(broken)
        assert not [mark for mark in MARKS if mark in shown], broken


@settings(max_examples=300, deadline=None)
@given(st.text(alphabet=string.printable + "é\ud83d" + "'\"$\\/*-" * 5, max_size=300))
@example("'" * 99)
@example("$$" * 99)
@example("(" * 500)
@example(")" * 500 + "SELECT")
def test_anything_is_taken(text):
    """Any text gives a text and a summary within their limits."""
    found = describe(text)

    assert len(sanitize(text, max_length=50)) <= 50
    assert len(found.summary) <= 255


@pytest.mark.parametrize(
    ("query", "shown"),
    [
        (
            "SELECT  *\n FROM t -- why\n WHERE a='x' AND b IN (1, 2)",
            "SELECT * FROM t WHERE a=? AND b IN (?, ?)",
        ),
        ("SELECT 'it''s', E'it\\'s', $$it's$$, $a$ $b$ $a$, U&'x', b'1', X'F'", "SELECT ?, ?, ?, ?, ?, ?, ?"),
        ('SELECT "a b"."C""d", e\'x\'::text FROM "T"', 'SELECT "a b"."C""d", ?::text FROM "T"'),
        ("SELECT -1.5e-3, .5, 0x1F, 1_000, t1.c2", "SELECT -?, ?, ?, ?, t1.c2"),
        ("SELECT $1, $12, TRUE, NULL", "SELECT $1, $12, TRUE, NULL"),
        ("SELECT a$b$c FROM x$1", "SELECT a$b$c FROM x$1"),
        ("/* a /* b */ c */ SELECT/**/1", "SELECT ?"),
        ("SELECT 5--1\n+2", "SELECT ? +?"),
        ("DO LANGUAGE plpgsql $$ BEGIN PERFORM 'x'; END $$", "DO LANGUAGE plpgsql ?"),
        ("COPY t (a) FROM STDIN;\n1\tx\n\\.\n", "COPY t (a) FROM STDIN"),
        ("COPY t TO STDOUT WITH (NULL 'x')", "COPY t TO STDOUT WITH (NULL ?)"),
        ("SET LOCAL a.b TO c, d; SELECT 1", "SET LOCAL a.b TO ?; SELECT ?"),
        ("SET ROLE a; SET LOCAL ROLE 'a'", "SET ROLE ?; SET LOCAL ROLE ?"),
        ("SET SESSION AUTHORIZATION a; SET TIME ZONE x", "SET SESSION AUTHORIZATION ?; SET TIME ZONE ?"),
        ("ALTER FUNCTION f() SET x TO a, b", "ALTER FUNCTION f() SET x TO ?"),
        ("CREATE OR REPLACE FUNCTION f() SET x = a AS $$b$$", "CREATE OR REPLACE FUNCTION f() SET x = ?"),
        ("SET TRANSACTION READ ONLY", "SET TRANSACTION READ ONLY"),
        ("SET CONSTRAINTS a DEFERRED", "SET CONSTRAINTS a DEFERRED"),
        ("ALTER FUNCTION f() SET SCHEMA s", "ALTER FUNCTION f() SET SCHEMA s"),
        ("CREATE TABLE t (role text, a int)", "CREATE TABLE t (role text, a int)"),
        ("UPDATE t SET a = b WHERE c", "UPDATE t SET a = b WHERE c"),
        ("SELECT 1 'unterminated", "SELECT ? ?"),
        ("SELECT 1 /* unterminated", "SELECT ? ?"),
        ("SELECT $x$ unterminated $y$", "SELECT ?"),
        ('SELECT "unterminated', "SELECT ?"),
        ("SELECT 'a\\' , b FROM c -- '", "SELECT ?"),
        ("SELECT \\ x", "SELECT ?"),
        ("SELECT 'O'Brien', a FROM b", "SELECT ?"),
        ("", ""),
        (None, ""),
        (b"SELECT 1", ""),
    ],
)
def test_text_of_a_statement(query, shown):
    """Values become ``?``, comments go, and all else stays as it was written."""
    assert sanitize(query, max_length=200) == shown


def test_a_long_text_is_cut_between_words():
    """A cut text has an ellipsis and keeps to the limit."""
    text = sanitize("SELECT aaaa, bbbb, cccc FROM dddd", max_length=20)

    assert text == "SELECT aaaa, bbbb,…"
    assert sanitize("SELECT aaaa", max_length=11) == "SELECT aaaa"
    assert sanitize("SELECT aaaa", max_length=0) == ""
    assert sanitize("SELECT " + "a + " * 50_000).endswith("…")


@pytest.mark.parametrize(
    "piece", ["'", "''", "/*", "$a$", "--", "E'\\", '"', "1e", "(", "a.", "SELECT ", "$"]
)
def test_reading_takes_linear_time(piece):
    """A megabyte of the worst is read in one pass: no quote is looked for twice."""
    found = list(lexer.tokens(piece * (1_000_000 // len(piece))))

    assert len(found) <= 1_000_001


def test_a_text_of_another_class_is_only_read():
    """A subclass of `str` runs none of its own methods."""

    class Loud(str):
        __slots__ = ()

        def __getitem__(self, item):
            raise AssertionError(item)

        __str__ = __len__ = __iter__ = __hash__ = __getitem__

    assert sanitize(Loud("SELECT 1")) == "SELECT ?"
    assert _sql.statements.get(Loud("SELECT 1")).summary == "SELECT"


def test_the_cache_is_bounded_in_entries_and_characters():
    """The least recently used queries go first; what is asked for again stays."""
    cache = StatementCache(max_entries=10, max_size=100_000)
    kept = cache.get("SELECT 1 FROM kept")
    for number in range(100):
        cache.get(f"SELECT {number}")
        assert cache.get("SELECT 1 FROM kept") is kept
    assert len(cache) == 10

    cache = StatementCache(max_entries=1_000, max_size=100_000)
    for number in range(100):
        cache.get(f"SELECT {number} FROM {'x' * 2_000}")
        assert 0 < cache.size <= 100_000
    kept = len(cache)
    cache.get("SELECT " + "y" * 50_000)
    assert 10 < len(cache) == kept < 50
