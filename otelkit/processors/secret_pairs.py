"""Secrets inside a text that stand behind their name: ``key=value``, ``"key": "value"``, headers.

This is what mappings become as text (JSON, ``repr``), and what queries of URLs, ODBC and libpq
connection strings, configuration files and header dumps look like. Only the value is replaced.
Time is linear in the text's length.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from otelkit.processors.secret_keys import STEMS, Verdict
from otelkit.processors.secret_shapes import PLACEHOLDER

__all__ = ["hide_pairs", "mentions_key"]

Match = re.Match[str]
_OPEN, _WORD, _SECRET = Verdict.OPEN, Verdict.WORD, Verdict.SECRET  # slow to reach on Python 3.10
Judge = Callable[[str], Verdict]

# A key is read from its first character on only, so that a long word is not read again and again.
_PAIR = re.compile(
    r"(?<![\w%.\-\[\]$])(?P<key>[\w%.\-\[\]$]+)(?P<quote>\\{0,4}[\"']?)"
    r"(?P<mark>[ \t]*(?:=>|={1,3}|:=?)[ \t]*)"
)
# ("authorization", "x"): one pair of a list of headers.
_HEADER = re.compile(
    r"[\[(]\s{0,4}b?(?P<quote>\\{0,4}[\"'])(?P<key>[\w-]{2,64})(?P=quote)(?P<mark>\s{0,4},\s{0,4})(?=b?\\{0,4}[\"'])"
)
_HEADER_WORDS = ("authorization", "cookie")

_NOTHING = re.compile(
    r"(?:null|none|nil|true|false|undefined|\$[0-9]{1,2}|\?|%s|%\(\w{1,64}\)s)(?=[\s&;,)\]}\"'\\]|$)",
    re.IGNORECASE,
)
_QUOTED = re.compile(r"b?(?P<quote>\\*[\"'])(?:[^\"'\\]+|(?!(?P=quote))\\*[\"']|\\+(?![\"'\\]))*")
_BRACKETS = re.compile(r"\"(?:[^\"\\]+|\\.)*\"?|'(?:[^'\\]+|\\.)*'?|[\[\](){}]", re.DOTALL)
_AUTH_SCHEME = re.compile(
    r"(?:bearer|basic|token|digest|apikey|negotiate|hawk|aws4-hmac-sha256)[ \t]+", re.IGNORECASE
)
_AUTH_LIST = re.compile(
    r"[\w-]+=(?:\"[^\"\r\n]*\"?|[^\s,\"']*)(?:,[ \t]*[\w-]+=(?:\"[^\"\r\n]*\"?|[^\s,\"']*))*"
)
_LINE = re.compile(r"[^\r\n\"']*")
# A delimiter ends the value only where something that is no part of it follows.
_BARE = re.compile(
    r"(?:\[redacted\]|[^\s&;\"'<>,)\]}\\]+|\\(?![\"'])|;(?!\s|$|[\w .-]*=)"
    r"|[&,)\]}](?!\s|$|[&;,)\]}\"'<>\\]|[\w.%-]*(?:\[[\w-]{0,64}\])?[=:]))+"
)


def mentions_key(text: str, own_stems: tuple[str, ...] = ()) -> bool:
    """Whether a secret key and its value can stand in ``text``; cheap.

    Args:
        text: Any string.
        own_stems: Parts in lower case of which every further key holds one.
    """
    if "=" not in text and ":" not in text and '",' not in text and "'," not in text:
        return False
    lower = text.lower()
    for stem in STEMS:  # a loop: a generator costs twice as much here
        if stem in lower:
            return True
    return any(stem in lower for stem in own_stems)


def hide_pairs(text: str, judge: Judge) -> str:
    """``text`` without the values of secret keys.

    Args:
        text: Any string.
        judge: Tells whether a key is secret.

    Returns:
        The same object when there is nothing to hide.
    """
    shown = _hide(text, _PAIR, lambda match: _is_secret_pair(match, judge))
    if '",' in text or "'," in text:
        shown = _hide(shown, _HEADER, lambda match: _is_secret_header(match, judge))
    return text if shown == text else shown


def _hide(text: str, pattern: re.Pattern[str], is_secret: Callable[[Match], bool]) -> str:
    shown, done, place = [], 0, 0
    while match := pattern.search(text, place):
        place = match.end()
        if not is_secret(match):
            continue
        start, end, cover = _value(text, match)
        if start < end:
            shown += [text[done:start], cover]
            done = place = end
    return "".join([*shown, text[done:]]) if shown else text


def _is_secret_pair(match: Match, judge: Judge) -> bool:
    key, mark, start = match["key"], match["mark"], match.start()
    if start and match.string[start - 1] == "\\" and key[0] in "nrt":
        key = key[1:]  # an escaped line end stands before the key
    verdict = judge(key) if key else _OPEN
    if verdict is _SECRET or (verdict is _WORD and match["quote"]):
        return True
    # In a sentence ("unexpected token: x") the word alone means nothing.
    return (
        verdict is _WORD
        and ":" not in mark
        and (" " not in mark or match.string[match.end() : match.end() + 1] in ("'", '"'))
    )


def _is_secret_header(match: Match, judge: Judge) -> bool:
    key = match["key"]
    return ("-" in key or key.lower() in _HEADER_WORDS) and judge(key) is _SECRET


def _value(text: str, match: Match) -> tuple[int, int, str]:
    """Where the value behind ``match`` begins and ends, and what replaces it; start = end for none."""
    start, key = match.end(), match["key"].lower()
    if _NOTHING.match(text, start) or text.startswith(PLACEHOLDER + "@", start):
        return start, start, ""  # the latter is the password of an address, hidden before
    if quoted := _QUOTED.match(text, start):
        return quoted.end("quote"), quoted.end(), PLACEHOLDER
    quote = match["quote"]
    if text.startswith(("{", "[", "("), start) and not text.startswith(PLACEHOLDER, start):
        return start, _closing(text, start), f"{quote}{PLACEHOLDER}{quote}"
    if "cookie" in key and not quote:
        return start, _LINE.match(text, start).end(), PLACEHOLDER  # type: ignore[union-attr]  # matches always
    return *_bare(text, start, key), f"{quote}{PLACEHOLDER}{quote}"


def _bare(text: str, start: int, key: str) -> tuple[int, int]:
    if "auth" in key and (scheme := _AUTH_SCHEME.match(text, start)):
        start = scheme.end()
        if listed := _AUTH_LIST.match(text, start):
            return start, listed.end()
    bare = _BARE.match(text, start)
    return start, bare.end() if bare else start


def _closing(text: str, start: int) -> int:
    """Where the bracket at ``start`` is closed; the end of the text when it is not."""
    depth = 0
    for token in _BRACKETS.finditer(text, start):
        if token[0] in "{[(":
            depth += 1
        elif token[0] in "}])":
            depth -= 1
            if depth == 0:
                return token.end()
    return len(text)
