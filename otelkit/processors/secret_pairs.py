"""Secrets inside a text that stand behind their name: ``key=value``, ``"key": "value"``, headers.

This is what mappings become as text (JSON, ``repr``), and what queries of URLs, ODBC and libpq
connection strings, configuration files and header dumps look like. Only the value is replaced.
Time is linear in the text's length.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import unquote

from otelkit.processors.secret_keys import STEMS, Verdict
from otelkit.processors.secret_shapes import PLACEHOLDER
from otelkit.processors.secret_values import is_nothing, is_quoted, value_at

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
    r"[\[(]\s{0,4}b?(?P<quote>\\{0,4}[\"'])(?P<key>[\w-]{2,64})(?P=quote)(?P<mark>\s{0,4},\s{0,4})(?=[bBuUrRfF]{0,2}\\{0,4}[\"'])"
)
_HEADER_WORDS = ("authorization", "cookie")

# A URL that stands alone, as in `url.full`. Behind `?` only "#" and the next key end a value.
_URL = re.compile(r"(?:(?:https?|wss?)://[^\s?\"'<>]*|/[^\s?\"'<>]*)?\?\S*", re.IGNORECASE)
_PARAMETER = re.compile(r"(?:[^\s&#]+|&(?![^\s&#=]*=))*")
_ENCODED_LETTER = re.compile(r"%[4-7C-Fc-f][0-9A-Fa-f]")


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
    if any(stem in lower for stem in own_stems):
        return True
    if "%" not in text or not _ENCODED_LETTER.search(text):
        return False
    lower = unquote(lower)
    return any(stem in lower for stem in STEMS + own_stems)


def hide_pairs(text: str, judge: Judge) -> str:
    """``text`` without the values of secret keys.

    Args:
        text: Any string.
        judge: Tells whether a key is secret.

    Returns:
        The same object when there is nothing to hide.
    """
    in_url = "?" in text and _URL.fullmatch(text) is not None
    shown = _hide(text, _PAIR, lambda match: _is_secret_pair(match, judge), in_url=in_url)
    if '",' in text or "'," in text:
        shown = _hide(shown, _HEADER, lambda match: _is_secret_header(match, judge))
    return text if shown == text else shown


def _hide(
    text: str, pattern: re.Pattern[str], is_secret: Callable[[Match], bool], *, in_url: bool = False
) -> str:
    shown, done, place = [], 0, 0
    while match := pattern.search(text, place):
        place = match.end()
        if not is_secret(match):
            continue
        start, end, cover = _value(text, match, in_url=in_url)
        if start < end:
            shown += [text[done:start], cover]
            done = place = end
    return "".join([*shown, text[done:]]) if shown else text


def _is_secret_pair(match: Match, judge: Judge) -> bool:
    key, mark, start = match["key"], match["mark"], match.start()
    if start and match.string[start - 1] == "\\" and key[0] in "nrt":
        key = key[1:]  # an escaped line end stands before the key
    verdict = judge(key) if key else _OPEN
    if verdict is _OPEN and "%" in key:
        verdict = judge(unquote(key))
    if verdict is _SECRET or (verdict is _WORD and match["quote"]):
        return True
    # In a sentence ("unexpected token: x") the word alone means nothing.
    return verdict is _WORD and ":" not in mark and (" " not in mark or is_quoted(match.string, match.end()))


def _is_secret_header(match: Match, judge: Judge) -> bool:
    key = match["key"]
    return ("-" in key or key.lower() in _HEADER_WORDS) and judge(key) is _SECRET


def _value(text: str, match: Match, *, in_url: bool) -> tuple[int, int, str]:
    """Where the value behind ``match`` begins and ends, and what replaces it; start = end for none."""
    begin, start = match.start("key"), match.end()
    if in_url and begin and text[begin - 1] in "?&#" and not is_nothing(text, start):
        return start, _PARAMETER.match(text, start).end(), PLACEHOLDER  # type: ignore[union-attr]  # matches always
    return value_at(text, start, key=match["key"].lower(), quote=match["quote"])
