"""What PostgreSQL says of an error, without the values in it.

DETAIL, HINT and CONTEXT are never shown: ``Key (email)=(a@b.c) already exists``. The primary message is
shown without numbers, and a quoted word stays only where it names something that the statement or the
error names anyway. Texts that the application writes (``RAISE``) are not shown at all.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from otelkit.instrument._sql.lexer import NAME, WORD, tokens
from otelkit.processors.plain import safe_str

__all__ = ["first_line", "server_words", "without_numbers", "without_quoted"]

_MAX_MESSAGE = 1_024
# The signs that PostgreSQL's translations quote with: " ' ` and the typographic ones.
_QUOTES = frozenset("\"'`\u00ab\u00bb\u2018\u2019\u201a\u201c\u201d\u201e\u2039\u203a")
_NUMBER = re.compile(r"(?<![\w$])[0-9][\w.:+-]*")
_QUOTED = re.compile(r'"([^"]*)"')
# Classes of SQLSTATE whose messages are the server's own words; in class 22 the quoted ones are values.
# Source: PostgreSQL documentation, appendix "PostgreSQL Error Codes".
_OWN_WORDS = re.compile(r"0[89AB]|2[0-8BD]|3[4BDF]|4[024]|5[34578]")
_DATA = "22"
# The places where procedural languages raise what a function tells them, under any SQLSTATE.
_PROCEDURAL = frozenset({"pl_exec.c", "plpy_elog.c", "plperl.c", "pltcl.c"})


def server_words(
    message: str, sqlstate: str, *, source: object = None, names: Iterable[object] = (), statement: str = ""
) -> str:
    """The primary message of a server's error, as telemetry may show it; empty where nothing may.

    Args:
        message: Its first line.
        sqlstate: Its code, ``23505`` say.
        source: The server's source file that raised it.
        names: What the error names: schema, table, column, data type, constraint; None where it names none.
        statement: The text of the statement, without values.
    """
    if not _OWN_WORDS.match(sqlstate) or source in _PROCEDURAL:
        return ""
    if sqlstate[:2] == _DATA:
        return without_numbers(without_quoted(message))
    known = {word.strip('"') for kind, word in tokens(statement) if kind in {WORD, NAME}}
    known |= {name for name in names if isinstance(name, str)}
    return without_numbers(_with_known(message, known))


def first_line(text: object) -> str:
    """The beginning of a message, of which the rest may quote rows; at most 1,024 characters."""
    return safe_str(text)[:_MAX_MESSAGE].partition("\n")[0]


def without_quoted(message: str) -> str:
    """Nothing between the first and the last quote: what is quoted may hold quotes itself."""
    quotes = [at for at, character in enumerate(message) if character in _QUOTES]
    return message if not quotes else f"{message[: quotes[0]]}?{message[quotes[-1] + 1 :]}"


def without_numbers(message: str) -> str:
    """A question mark in the place of each number."""
    return _NUMBER.sub("?", message)


def _with_known(message: str, known: set[str]) -> str:
    """Quoted names stay up to the first quoted text that is none."""
    if message.count('"') % 2:  # a quote that is part of a value: nobody knows which
        return without_quoted(message)
    kept = 0
    for found in _QUOTED.finditer(message):
        if not known.issuperset(found[1].split(".")):
            break
        kept = found.end()
    return message[:kept] + without_quoted(message[kept:])
