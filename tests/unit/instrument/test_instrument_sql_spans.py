"""Statements of databases that do not read signs as PostgreSQL does: no value survives there either."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otelkit.instrument._sql.spans import _read

SECRET = "zqxsecret"

_filler = st.text(alphabet="'`[]-/*$!\n\rq a,;@=%{}", max_size=8)


def _value(open_, close, escape=lambda text: text):
    return st.tuples(_filler, _filler).map(
        lambda around: f"{open_}{escape(f'{around[0]}{SECRET}{around[1]}')}{close}"
    )


def _name(open_, close):
    return _filler.map(lambda text: f"{open_}{text.replace(close, close * 2)}{close}")


_string = _value("'", "'", lambda text: text.replace("'", "''"))
_line = _filler.map(lambda text: "-- " + text.replace("\n", "") + "\n")
_block = _filler.map(lambda text: f"/* {text.replace('*/', '').replace('/*', '')} */")
DIALECTS = {
    "mysql": [
        _string, _line, _name("`", "`"), _string.map(lambda text: f"5--{text}"),
        _filler.map(lambda text: f"/* {text.replace('*/', '')} */"),
        _string.map(lambda text: f"/*!50000 {text} */"),
    ],
    "mssql": [_string, _line, _block, _name("[", "]"), _filler.map(lambda text: f"--{text.split()}\n")],
    "oracle": [
        _string, _line, _block,
        _value("q'[", "]'", lambda text: text.replace("]'", "")),
        _value("nQ'!", "!'", lambda text: text.replace("!'", "")),
    ],
    "sqlite": [_string, _line, _block, _name("[", "]").filter(lambda text: "]]" not in text), _name("`", "`")],
    "snowflake": [
        _string, _line, _block, _value("$$", "$$", lambda text: text.replace("$", "")),
        _filler.map(lambda text: "//" + text.replace("\n", "") + "\n"),
    ],
}  # fmt: skip


@pytest.mark.parametrize("database", DIALECTS)
@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_no_literal_of_another_database_survives(database, data):
    """However names, strings and comments are written there, and wherever the text is cut."""
    pieces = data.draw(st.lists(st.one_of(DIALECTS[database]), max_size=5))
    query = "SELECT " + " , ".join(pieces)
    cut = data.draw(st.integers(0, len(query)))

    for text in (query, query[:cut]):
        found = _read(text, postgresql=False)
        assert SECRET not in f"{found.text}\n{found.summary}", text


@pytest.mark.parametrize("query", [
    "SELECT * FROM t WHERE `owner's name` = ' topsecret '",
    "SELECT * FROM t WHERE [a'b c] = ' topsecret '",
    "SELECT q'[it' topsecret ]' FROM dual",
    "SELECT 5--'\n topsecret'",
    "SELECT $$, 'it$$ topsecret'",
    "SELECT /*! 'a */ topsecret' */",
    "SELECT 1 // it's\n , ' topsecret '",
    'SELECT "it\'s topsecret"',
])  # fmt: skip
def test_doubtful_statements_show_their_first_word(query):
    """Where another database may read a sign in another way, nothing behind the operation is told."""
    found = _read(query, postgresql=False)

    assert ("SELECT", "SELECT", "SELECT") == (found.text, found.summary, found.operation)


@pytest.mark.parametrize(("query", "shown"), [
    ("SELECT `a b` FROM `t` WHERE c = 'it''s `x` [y] -- /* $$'", "SELECT `a b` FROM `t` WHERE c = ?"),
    ("SELECT [a b], c[1] FROM [t] -- it's\n WHERE d = 'q'", "SELECT [a b], c[?] FROM [t] WHERE d = ?"),
    ("SELECT /* it's */ a-b FROM t WHERE c = 'unterminated", "SELECT a-b FROM t WHERE c = ?"),
    ("SELECT a FROM t WHERE b = 'faq' AND c = :c", "SELECT a FROM t WHERE b = ? AND c = :c"),
])  # fmt: skip
def test_what_all_databases_read_alike_is_shown(query, shown):
    """Plain strings, comments and quoted names without an apostrophe in them are no reason to hide the rest."""
    assert shown == _read(query, postgresql=False).text


def test_a_long_statement_is_read_to_its_bound():
    """What stands behind the part that is read decides nothing, and takes no time."""
    query = "SELECT a FROM t WHERE b IN ('" + "x" * 9_000 + "', `it's`, \"\\#\")"

    assert "SELECT a FROM t WHERE b IN (?…" == _read(query, postgresql=False).text
