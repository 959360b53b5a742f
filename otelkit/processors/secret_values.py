"""How far the value behind a key reaches: quoted, in brackets, made by a call, or bare.

A text may be cut anywhere: what is opened and not closed reaches to the end of the text, that of a
call to the end of its line, as source code in a traceback ends there. Time is linear in the text's
length: nothing is read that the value does not take, apart from the few characters that tell its form.
"""

from __future__ import annotations

import re

from otelkit.processors.secret_shapes import PLACEHOLDER

__all__ = ["is_nothing", "is_quoted", "value_at"]

_NOTHING = re.compile(
    r"(?:null|none|nil|true|false|undefined|\$[0-9]{1,2}|\?|%s|%\(\w{1,64}\)s)(?=[\s&;,)\]}\"'\\]|$)",
    re.IGNORECASE,
)

# Python's prefixes, and the N of SQL. A quote that is doubled stands for itself in SQL.
_PREFIX = r"[bBuUrRfFN]{0,2}"
_OPENED = re.compile(_PREFIX + r"[\"']")
_TRIPLE = re.compile(_PREFIX + r"(?P<quote>'''|\"\"\")")
_QUOTED = re.compile(
    _PREFIX + r"(?P<quote>\\*[\"'])"
    r"(?:[^\"'\\]+|(?!(?P=quote))\\*[\"']|(?P=quote){2}(?=\w)|\\+(?![\"'\\]))*"
)

# UUID('x'), Password(value=x), Token{a b}: with the bracket at its end. The look ahead keeps a
# password such as "ab(cd" from being taken for a call.
_CALL = re.compile(
    r"[A-Za-z_][\w.]{0,127}[(\[{](?=[ \t]{0,64}(?:"
    + _PREFIX
    + r"\\{0,4}[\"']|[(\[{<]|[A-Za-z_][\w.]{0,127}[=:(\[{]|[^()\[\]{}\"'=&;\r\n]{0,128}[)\]}]))"
)
_BRACKETS = re.compile(
    r"(?P<quote>\\+[\"']).*?(?:(?<!\\)(?P=quote)|\Z)"  # a text inside a text
    r"|\"(?:[^\"\\]+|\\.)*\"?|'(?:[^'\\]+|\\.)*'?|[\[\](){}]",
    re.DOTALL,
)
_BRACKETS_IN_LINE = re.compile(
    r"(?P<quote>\\+[\"']).*?(?:(?<!\\)(?P=quote)|$)"
    r"|\"(?:[^\"\\\n]+|\\.)*\"?|'(?:[^'\\\n]+|\\.)*'?|[\[\](){}\n]",
    re.MULTILINE,
)
# <Secret 'x'> and <Secret <Inner 'x'>>, on one line.
_INSIDE = r"[^<>\"'\r\n]+|\"[^\"\r\n]*\"?|'[^'\r\n]*'?"
_ANGLED = re.compile(
    r"<[A-Za-z_][\w.-]{0,127}(?=[ \t>(]|:[ \t])"
    rf"(?:{_INSIDE}|<(?:{_INSIDE})*>?)*>?"
)

_AUTH_SCHEME = re.compile(
    r"(?:bearer|basic|token|digest|apikey|negotiate|hawk|aws4-hmac-sha256)[ \t]+", re.IGNORECASE
)
_AUTH_LIST = re.compile(
    r"[\w-]+=(?:\"[^\"\r\n]*\"?|[^\s,\"']*)(?:,[ \t]*[\w-]+=(?:\"[^\"\r\n]*\"?|[^\s,\"']*))*"
)
# An apostrophe; a quote that closes stands before something else.
_GLUE = r"\\{0,4}[\"'](?=[\w$@#*^~]|[!?%.+-]\w)"
_COOKIES = re.compile(rf"(?:[^\r\n\"'\\]+|(?<==)\"[^\"\r\n,;\\]*\"(?=[;\s]|$)|{_GLUE}|\\(?![\"']))*")
_PLAIN = r"[^\s&;\"'<>,()\[\]{}\\]"
_TAG = r"(?<=<)[A-Za-z][\w-]{0,64}/?>"
_NEXT_KEY = r"[\w.%-]*(?:\[[\w-]{0,64}\])?[=:]"
# A delimiter ends the value only where something that is no part of it follows.
_BARE = re.compile(
    rf"(?:{_PLAIN}+|[(\[{{]{_PLAIN}*[)\]}}]|[(\[{{]|{_GLUE}|\\(?![\"'])|;(?!\s|$|[\w .-]*=)"
    rf"|[<>](?![\s&;,)\]}}\"'<>\\/=]|$|{_TAG})"
    rf"|(?:[)\]}}]+|[&,])(?!\s|$|[&;,)\]}}\"'<>\\]|{_NEXT_KEY}))+"
)
_GLUED = re.compile(rf"(?=\w)|(?={_GLUE})")


def is_nothing(text: str, start: int) -> bool:
    """Whether the value at ``start`` is none (``null``, ``true``, ``$1``), or hidden already."""
    # Before "@" stands the password of an address.
    return _NOTHING.match(text, start) is not None or text.startswith(PLACEHOLDER + "@", start)


def is_quoted(text: str, start: int) -> bool:
    """Whether the value at ``start`` begins with a quote."""
    return _OPENED.match(text, start) is not None


def value_at(text: str, start: int, *, key: str, quote: str) -> tuple[int, int, str]:
    """Where the value behind a secret key begins and ends, and what replaces it.

    Args:
        text: Any string.
        start: Where the value is expected, behind the key and its mark.
        key: The key in lower case.
        quote: What encloses the key, ``""`` for nothing; a value without quotes gets the same.

    Returns:
        A begin that equals the end where there is nothing to hide.
    """
    if is_nothing(text, start):
        return start, start, ""
    if triple := _TRIPLE.match(text, start):
        end = text.find(triple["quote"], triple.end())
        return triple.end(), end if end >= 0 else len(text), PLACEHOLDER
    if quoted := _QUOTED.match(text, start):
        begin, end, mark = quoted.end("quote"), quoted.end(), quoted["quote"]
        if _GLUED.match(text, end + len(mark)):
            return begin, _bare(text, end + len(mark)), PLACEHOLDER + mark
        return begin, end, PLACEHOLDER
    if "cookie" in key and not quote:
        return start, _COOKIES.match(text, start).end(), PLACEHOLDER  # type: ignore[union-attr]  # matches always
    if "auth" in key and (scheme := _AUTH_SCHEME.match(text, start)):
        start = scheme.end()
        if listed := _AUTH_LIST.match(text, start):
            return start, _bare(text, listed.end()), f"{quote}{PLACEHOLDER}{quote}"
    return start, _bare(text, _head(text, start)), f"{quote}{PLACEHOLDER}{quote}"


def _head(text: str, start: int) -> int:
    """Where the brackets end in which the value at ``start`` stands; ``start`` without any."""
    if text.startswith(("{", "[", "("), start):
        return start if text.startswith(PLACEHOLDER, start) else _closing(text, start, _BRACKETS)
    if call := _CALL.match(text, start):
        return _closing(text, call.end() - 1, _BRACKETS_IN_LINE)
    angled = _ANGLED.match(text, start)
    return angled.end() if angled else start


def _bare(text: str, start: int) -> int:
    bare = _BARE.match(text, start)
    return bare.end() if bare else start


def _closing(text: str, start: int, tokens: re.Pattern[str]) -> int:
    """Where the bracket at ``start`` is closed; the end of the line or text when it is not."""
    depth = 0
    for token in tokens.finditer(text, start):
        if token[0] in "{[(":
            depth += 1
        elif token[0] in "}])":
            depth -= 1
            if depth == 0:
                return token.end()
        elif token[0] == "\n":
            return token.start()
    return len(text)
