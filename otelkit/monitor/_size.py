"""How large data is, looked at within bounds and without running any code of the application."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from functools import lru_cache
from json.encoder import encode_basestring
from types import FunctionType, SimpleNamespace, WrapperDescriptorType
from typing import Any

from otelkit.monitor._data import ABSENT, found_in, is_from, is_slot, mro_of, own_attributes, stored
from otelkit.processors.plain import safe_str

__all__ = ["MOST_ITEMS", "size_of"]

MOST_ITEMS = 10_000
"""How many values of nested data are looked at; what is beyond them is not counted."""

_MOST_ESCAPED = 65_536  # characters in which what JSON escapes is looked for; it is rare
_MOST_BITS = 2_048  # the text of an int takes the square of its length
_DEEPEST = 50
_FIELDS = (
    "__dataclass_fields__",
    "__pydantic_fields__",
    "__fields__",
    "__attrs_attrs__",
    "__struct_fields__",
)
_UNKNOWN = 2


def size_of(data: Any) -> int | None:
    """Bytes of ``data``: bytes as they are, text as UTF-8, anything else as compact JSON.

    What Python itself prints (dates, decimals, enums) counts as its ``str``; dataclasses and models as
    their fields. At most `MOST_ITEMS` values are looked at.

    Returns:
        None for an object that only its own code could tell the size of.
    """
    kind: Any = type(data)
    if issubclass(kind, str):
        return _utf8(data)
    if issubclass(kind, (bytes, bytearray)):
        return _length(data)
    if kind is memoryview:
        return int(data.nbytes)
    return _Walk().size(data) if _is_plain(kind) and _is_known(kind) else None


def _utf8(text: str) -> int:
    return str.__len__(text) if str.isascii(text) else len(str.encode(text, "utf-8", "surrogatepass"))


def _length(data: Any) -> int:
    return bytes.__len__(data) if issubclass(type(data), bytes) else bytearray.__len__(data)


def _number(data: Any) -> int:
    if issubclass(type(data), float):
        return len(float.__repr__(data))
    bits = int.bit_length(data)
    return len(int.__repr__(data)) if bits <= _MOST_BITS else bits * 77 // 256


_ITEMS: dict[type, Any] = {
    dict: dict.items,
    list: list.__iter__,
    tuple: tuple.__iter__,
    set: set.__iter__,
    frozenset: frozenset.__iter__,
}
_PLAIN = (str, bytes, bytearray, int, float, type(None))


def _is_plain(kind: type) -> bool:
    """Whether nothing of a class has to be run to look it up."""
    return type(kind).__hash__ is type.__hash__


@lru_cache(maxsize=256)
def _is_known(kind: Any) -> bool:
    return issubclass(kind, (*_PLAIN, *_ITEMS)) or _has_fields(kind) or _prints_itself(kind)


@lru_cache(maxsize=256)
def _items(kind: type) -> Any:
    """What iterates over a collection past the class's own iteration; None for what is no collection."""
    return next((_ITEMS[each] for each in _ITEMS if issubclass(kind, each)), None)


@lru_cache(maxsize=256)
def _has_fields(kind: type) -> bool:
    if is_from("unittest", kind):  # a mock
        return False
    return issubclass(kind, SimpleNamespace) or any(found_in(kind, each) is not ABSENT for each in _FIELDS)


@lru_cache(maxsize=256)
def _prints_itself(kind: type) -> bool:
    """Whether ``str`` of such an object is Python's own code: not a mock's, a proxy's, a query's."""
    if any(found_in(kind, name) is not ABSENT for name in ("__getattr__", "__iter__")):
        return False
    for name in ("__str__", "__repr__"):
        says = found_in(kind, name)
        if says is not object.__dict__[name]:
            break
    else:
        return False
    if isinstance(says, WrapperDescriptorType):
        return True
    return isinstance(says, FunctionType) and says.__module__.partition(".")[0] in sys.stdlib_module_names


def _fields(data: Any) -> Iterable[tuple[str, Any]]:
    """The fields of an object as they are stored."""
    kind: Any = type(data)
    read = stored(kind)
    if read is not None:
        yield from read(data).items()
    for each in mro_of(kind):
        for name, attribute in own_attributes(each).items():
            if is_slot(attribute) and name != "__dict__":
                try:
                    yield name, attribute.__get__(data)
                except AttributeError:  # not set
                    continue


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
        kind: Any = type(data)
        if issubclass(kind, str):
            return self._text(data)
        if data is None or data is True:
            return 4
        if data is False:
            return 5
        if kind is int or kind is float or issubclass(kind, (int, float)):
            return _number(data)
        if issubclass(kind, (bytes, bytearray)):
            return _length(data)
        return self._object(data, kind)

    def _object(self, data: Any, kind: Any) -> int:
        if not _is_plain(kind):
            return _UNKNOWN
        items = _items(kind)
        if items is not None:
            return self._inside(data, items(data), pairs=issubclass(kind, dict))
        if _has_fields(kind):
            return self._inside(data, (pair for pair in _fields(data) if pair[0][:1] != "_"), pairs=True)
        return _utf8(safe_str(data)) if _prints_itself(kind) else _UNKNOWN

    def _text(self, text: str) -> int:
        self._escaped_left -= str.__len__(text)
        return _utf8(text) + 2 if self._escaped_left < 0 else _utf8(encode_basestring(text))

    def _inside(self, data: Any, items: Iterable[Any], *, pairs: bool) -> int:
        if id(data) in self._path or len(self._path) > _DEEPEST:
            return 2
        self._path.add(id(data))
        try:
            size = 1  # the brackets; each item comes with a comma, the first without
            for item in items:
                if self._left <= 0:
                    break
                if pairs:
                    key, value = item
                    size += 1 + self.size(key)
                    size += 1 + (0 if issubclass(type(key), str) else 2) + self.size(value)
                else:
                    size += 1 + self.size(item)
            return max(size, 2)
        finally:
            self._path.discard(id(data))
