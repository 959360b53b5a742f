"""How large the data of a result is, looked at within bounds."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from io import IOBase
from json.encoder import encode_basestring
from typing import Any

from otelkit.processors.plain import safe_str

__all__ = ["MOST_ITEMS", "data_of", "size_of"]

MOST_ITEMS = 10_000
"""How many values of nested data are looked at; what is beyond them is not counted."""

_MOST_ESCAPED = 65_536  # characters in which what JSON escapes is looked for; it is rare
_DEEPEST = 50
_ABSENT = object()


def data_of(result: Any) -> tuple[bool, Any]:
    """Whether ``result`` has ``data`` (attribute, or key of a mapping), and that data.

    Of a response that is still to be streamed (urllib3's, werkzeug's) nothing is read: to ask for its
    ``data`` would be to take it away from the application.
    """
    if result is None:
        return False, None
    kind: Any = type(result)
    try:
        if isinstance(result, Mapping):
            found = result.get("data", _ABSENT)
        elif _streams(kind) and getattr(result, "is_streamed", True) is True:
            found = _ABSENT
        else:
            found = getattr(result, "data", _ABSENT)
    except Exception:
        return False, None
    return (False, None) if found is _ABSENT else (True, found)


@lru_cache(maxsize=256)
def _streams(kind: type) -> bool:
    return issubclass(kind, IOBase) or hasattr(kind, "is_streamed")


def size_of(data: Any) -> int:
    """Bytes of ``data``: bytes as they are, text as UTF-8, anything else as compact JSON.

    What JSON has no form for counts as its ``str``. At most `MOST_ITEMS` values are looked at.
    """
    if isinstance(data, str):
        return _utf8(data)
    if isinstance(data, (bytes, bytearray)):
        return len(data)
    if isinstance(data, memoryview):
        return data.nbytes
    return _Walk().size(data)


def _utf8(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogatepass"))


class _Walk:
    """One look at nested data."""

    def __init__(self) -> None:
        self._left = MOST_ITEMS
        self._escaped_left = _MOST_ESCAPED
        self._path: set[int] = set()

    def size(self, data: Any) -> int:
        if self._left <= 0:
            return 0
        self._left -= 1
        if type(data) is float:
            return len(repr(data))
        if isinstance(data, str):
            return self._text(data)
        if data is None or data is True:
            return 4
        if data is False:
            return 5
        if isinstance(data, (dict, list, tuple, set, frozenset)):
            return self._inside(data)
        return _utf8(safe_str(data))

    def _text(self, text: str) -> int:
        self._escaped_left -= len(text)
        return _utf8(text) + 2 if self._escaped_left < 0 else _utf8(encode_basestring(text))

    def _inside(self, data: Any) -> int:
        if id(data) in self._path or len(self._path) > _DEEPEST:
            return 2
        self._path.add(id(data))
        try:
            size = 1 if data else 2  # the brackets; each item comes with a comma, the first without
            for item in data:
                if self._left <= 0:
                    break
                size += 1 + self.size(item)
                if isinstance(data, dict):
                    size += 1 + (0 if isinstance(item, str) else 2) + self.size(data[item])
            return size
        finally:
            self._path.discard(id(data))
