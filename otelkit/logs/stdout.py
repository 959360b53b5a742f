"""Lines to stdout: one write per line, whatever stdout is at that moment; a closed one is counted.

Lines are written in the caller's thread, like any logger's, so that their order is right and a
crash loses none.
"""

from __future__ import annotations

import re
import sys
from json.encoder import encode_basestring_ascii as quote

from otelkit.logs.running import LOCAL
from otelkit.processors.limits import repair_text

__all__ = ["lost_lines", "write_line"]

_lost = 0
_NOT_ASCII = re.compile(r"[^\x00-\x7f]")


def lost_lines() -> int:
    """How many lines could not be written since the process began (stdout closed, pipe broken)."""
    return _lost


def write_line(line: str) -> None:
    """Write one line to the present ``sys.stdout``; never raises.

    Args:
        line: Without its end. What stdout's encoding cannot say is escaped.
    """
    global _lost
    # A stdout that itself logs (Celery, the "stream to logger" recipe) comes back here.
    nested = LOCAL.writing
    LOCAL.writing = True
    try:
        stream = sys.__stdout__ if nested else sys.stdout
        text = line + "\n"
        try:
            stream.write(text)  # type: ignore[union-attr]  # None is one of the cases of the except
        except UnicodeEncodeError as error:
            stream.write(_encodable(text, error.encoding))  # type: ignore[union-attr]
        flush = getattr(stream, "flush", None)
        if flush is not None:
            flush()
    except Exception:
        _lost += 1
    finally:
        LOCAL.writing = nested


def _encodable(text: str, encoding: str) -> str:
    text = repair_text(text)
    try:
        text.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        # JSON's own escapes, so that a line of JSON stays one.
        return _NOT_ASCII.sub(_json_escape, text)
    return text


def _json_escape(match: re.Match[str]) -> str:
    return quote(match.group())[1:-1]
