"""PostgreSQL's lexical rules, as far as they are needed to tell values from the rest of a statement.

Source: PostgreSQL documentation, "SQL Syntax: Lexical Structure". Where a text cannot be read with
certainty, everything from there on counts as one value: an unterminated quote or comment; a quote
behind a backslash, whose meaning depends on a server setting; a letter directly behind a string, as in
the text of somebody who forgot to escape ``'O'Brien'``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

__all__ = ["LITERAL", "MARK", "NAME", "SPACE", "WORD", "Token", "tokens"]

WORD = 0
"""A keyword, an unquoted identifier or a parameter such as ``$1``."""
NAME = 1
"""A quoted identifier, with its quotes."""
LITERAL = 2
"""A value of any kind; its text is always ``?``."""
MARK = 3
"""One character of an operator or of punctuation."""
SPACE = 4
"""White space and comments; its text is always one blank."""

Token = tuple[int, str]

_VALUE: Token = (LITERAL, "?")
_BLANK: Token = (SPACE, " ")
_LETTER = "A-Za-z_\x80-\U0010ffff"
_OWNERS = frozenset({"ALTER", "CREATE"})
_NEXT = re.compile(
    rf"""
      (?P<blank>   (?: [ \t\n\r\f\v]+ | --[^\n\r]* )+ )
    | (?P<comment> /\* )
    | (?P<escaped> [eE]' )
    | (?P<string>  (?: [uU]& | [bBxXnN] )? ' )
    | (?P<name>    (?: [uU]& )? " )
    | (?P<word>    [{_LETTER}] [{_LETTER}0-9$]* | \$[0-9]{{1,5}} (?![0-9]) )
    | (?P<number>  \.?[0-9] (?: [eE][+-][0-9] | [A-Za-z0-9_.] )* )
    | (?P<dollar>  \$ (?: [{_LETTER}] [{_LETTER}0-9]* )? \$ )
    | (?P<mark>    [^\\$] )
    """,
    re.VERBOSE,
)
_COMMENT_ENDS = re.compile(r"/\*|\*/")
_ESCAPED_BODY = re.compile(r"(?:[^'\\]+|\\.|'')*", re.DOTALL)
_STRINGS = frozenset({"escaped", "string", "dollar"})
_GOES_ON = re.compile(rf"[{_LETTER}0-9]")
_OWN_SETTINGS = frozenset({"ROLE", "USER", "DATABASE", "SYSTEM", "FUNCTION", "PROCEDURE", "ROUTINE"})
_NO_KIND = frozenset({"OR", "REPLACE"})
# The words of a SET behind which its value stands: TO, ROLE, SESSION AUTHORIZATION, TIME ZONE, NAMES.
_BEFORE_VALUE = frozenset({"TO", "ROLE", "AUTHORIZATION", "ZONE", "NAMES"})


def tokens(text: str) -> Iterator[Token]:
    """The tokens of a statement or script, in linear time; no text of a value is among them.

    The data behind ``COPY ... FROM STDIN`` and all that follows is left out. What a ``SET`` statement
    sets counts as a value, quoted or not.
    """
    statement = _Statement()
    for token in _lexical(text):
        shown = statement.passes(token)
        if shown is not None:
            yield shown
        if statement.ended:
            return


class _Statement:
    """What is known of the statement so far: whether its words are names or values."""

    __slots__ = ("_first", "_second", "_sets", "_value_next", "_value_shown", "ended")

    def __init__(self) -> None:
        self.ended = False
        self._begin()

    def _begin(self) -> None:
        self._first = ""
        self._second = ""
        self._sets = False
        self._value_next = False
        self._value_shown = False

    def passes(self, token: Token) -> Token | None:
        """The token as it may be shown; None where it belongs to a value that was shown already."""
        kind, text = token
        if kind == SPACE:
            return None if self._value_shown else token
        if text == ";" and kind == MARK:
            self._begin()
            return token
        if self._value_shown:
            return None
        if self._value_next:
            self._value_shown = True
            return _VALUE
        self._look_at(kind, text)
        return token

    def _look_at(self, kind: int, text: str) -> None:
        if kind == WORD:
            word = text.upper()
            self._value_next = self._sets and word in _BEFORE_VALUE
            if not self._first:
                self._first = word
                self._sets = word == "SET"
            elif not self._second:
                self._second = "" if word in _NO_KIND else word
            elif word == "SET" and self._first in _OWNERS and self._second in _OWN_SETTINGS:
                self._sets = True
            self.ended = word == "STDIN" and self._first == "COPY"
        elif text == "=":
            self._value_next = self._sets


def _lexical(text: str) -> Iterator[Token]:
    position, end = 0, len(text)
    while position < end:
        found = _NEXT.match(text, position)
        if found is None:  # a backslash or a lone dollar sign: no SQL
            yield _VALUE
            return
        kind = found.lastgroup
        start, position = position, found.end()
        if kind == "word":
            yield (WORD, found.group())
        elif kind == "blank":
            yield _BLANK
        elif kind == "mark":
            yield (MARK, found.group())
        elif kind == "number":
            yield _VALUE
        else:
            position = _BODIES[kind or ""](text, start, position)
            if position < 0 or (kind in _STRINGS and _GOES_ON.match(text, position)):
                yield _VALUE
                return
            yield _shown(kind, text, start, position)


def _shown(kind: str | None, text: str, start: int, end: int) -> Token:
    if kind == "name":
        return (NAME, text[start:end])
    return _BLANK if kind == "comment" else _VALUE


# Each takes the text, where the token begins and where its body begins; returns where it ends, or -1
# where it has no certain end.


def _comment(text: str, start: int, body: int) -> int:
    del start
    depth = 1
    for found in _COMMENT_ENDS.finditer(text, body):
        depth += 1 if found.group() == "/*" else -1
        if not depth:
            return found.end()
    return -1


def _escaped(text: str, start: int, body: int) -> int:
    del start
    found = _ESCAPED_BODY.match(text, body)
    end = body if found is None else found.end()
    return end + 1 if text[end : end + 1] == "'" else -1


def _string(text: str, start: int, body: int) -> int:
    del start
    while True:
        end = text.find("'", body)
        # Behind a backslash it is the end, or not: as `standard_conforming_strings` says.
        if end < 0 or text[end - 1] == "\\":
            return -1
        if text[end + 1 : end + 2] != "'":
            return end + 1
        body = end + 2


def _name(text: str, start: int, body: int) -> int:
    del start
    while True:
        end = text.find('"', body)
        if end < 0:
            return -1
        if text[end + 1 : end + 2] != '"':
            return end + 1
        body = end + 2


def _dollar(text: str, start: int, body: int) -> int:
    tag = text[start:body]
    end = text.find(tag, body)
    return -1 if end < 0 else end + len(tag)


_BODIES = {"comment": _comment, "escaped": _escaped, "string": _string, "name": _name, "dollar": _dollar}
