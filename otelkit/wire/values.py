"""Attribute values and bodies: ``AnyValue``, ``KeyValue`` and text.

Source: opentelemetry/proto/common/v1/common.proto. Nothing here raises for a value, and no code of
the application runs: what OTLP cannot carry is mended as `otelkit.processors.repair` does it.

An ``AnyValue`` is made with its length in front, as each one stands behind a tag.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from struct import Struct
from typing import Any

from otelkit.processors.plain import NUMBERS, class_name, is_wide, items_of, scalar_text
from otelkit.processors.repair import repair_text
from otelkit.wire._protobuf import LEN, VARINT, count, delimited, prefixes, tag, varint

__all__ = ["Attributes", "TextField", "any_value", "utf8"]

# AnyValue: string 1, bool 2, int 3, double 4, array 5, kvlist 6, bytes 7.
_STRING, _INT, _ARRAY, _KVLIST, _BYTES = b"\x0a", b"\x18", b"\x2a", b"\x32", b"\x3a"
# KeyValue: key 1, value 2. ArrayValue and KeyValueList: values 1.
_KEY, _VALUE, _VALUES = b"\x0a", b"\x12", b"\x0a"

# A reader refuses messages in more than 100 levels (protobuf's default), and a mapping takes three of
# them; otelkit's own snapshots hold 8.
_MAX_DEPTH = 24

# What is remembered: texts no longer than this, so many of them; some 300 KB if all are that long.
_MAX_REMEMBERED_LENGTH = 64
_MAX_REMEMBERED = 1_024


def utf8(text: Any) -> bytes:
    """Text in UTF-8, mended where need be; what is no text is shown by its class."""
    if type(text) is not str:
        text = str.__str__(text) if issubclass(type(text), str) else f"<{class_name(type(text))}>"
    try:
        return text.encode()  # type: ignore[no-any-return]
    except UnicodeEncodeError:
        return repair_text(text).encode()


class TextField(dict[Any, bytes]):
    """A text field whose values come again and again, such as a span's name: ``field[text]``.

    Short texts are remembered; all are forgotten when it is full. Only exact strings are kept, as
    ``1``, ``True`` and ``1.0`` would be one key. Safe to ask from several threads: at worst
    something is made twice. Nothing for None and for empty text.

    Args:
        field: Its number.
    """

    __slots__ = ("_tag",)

    def __init__(self, field: int) -> None:
        self._tag = tag(field, LEN)

    def __missing__(self, text: Any) -> bytes:
        return _remember(self, text, self.of(text))

    def of(self, text: Any) -> bytes:
        """The field for anything, also for what is not hashable; nothing is remembered."""
        return delimited(self._tag, utf8(text)) if text is not None else b""


def _remember(known: dict[Any, bytes], text: Any, made: bytes) -> bytes:
    if type(text) is str and len(text) <= _MAX_REMEMBERED_LENGTH:
        if len(known) >= _MAX_REMEMBERED:
            known.clear()
        known[text] = made
    return made


def any_value(value: Any, above: tuple[int, ...] = ()) -> bytes:
    """An ``AnyValue`` with its length in front.

    Args:
        value: Anything. A container within itself and a nesting beyond 24 levels become a marker,
            other objects the name of their class.
        above: The ids of the containers that ``value`` is in.
    """
    kind = type(value)
    scalar = _BY_TYPE.get(kind)
    if scalar is not None:
        return scalar(value)
    if issubclass(kind, (list, tuple, dict)):
        return _container(value, above)
    for base, plain in _PLAIN_OF.items():
        if issubclass(kind, base):
            return _BY_TYPE[base](plain(value))
    return _string(f"<{class_name(kind)}>")


def _string(text: str) -> bytes:
    try:
        raw = text.encode()
    except UnicodeEncodeError:
        raw = repair_text(text).encode()
    length = len(raw)
    return (_BEFORE_STRING[length] if length < 512 else _before_string(length)) + raw  # noqa: PLR2004


def _before_string(length: int) -> bytes:
    field = _STRING + varint(length)
    return varint(len(field) + length) + field


_BEFORE_STRING = tuple(_before_string(length) for length in range(512))


def _int(number: int) -> bytes:
    if 0 <= number < len(_INTS):
        return _INTS[number]
    return _string(scalar_text(number)) if is_wide(number) else _made_int(number)


def _made_int(number: int) -> bytes:
    return delimited(b"", _INT + varint(number))


_INTS = tuple(_made_int(number) for number in range(1_024))


def _bytes(octets: bytes) -> bytes:
    return delimited(b"", delimited(_BYTES, octets))


def _container(value: Any, above: tuple[int, ...]) -> bytes:
    if id(value) in above:
        return _string("<circular reference>")
    if len(above) >= _MAX_DEPTH:
        return _string(f"<{class_name(type(value))}: nested too deeply>")
    inside = (*above, id(value))
    if isinstance(value, dict):
        pairs = [_pair(key, item, inside) for key, item in dict.items(value)]
        return delimited(b"", delimited(_KVLIST, b"".join(pairs)))
    items: Any = items_of(value)
    if any(type(item) is int and is_wide(item) for item in items):
        # As `repair` does it: the numbers of a sequence stay of one type.
        items = [scalar_text(item) if type(item) in NUMBERS else item for item in items]
    values = [_VALUES + any_value(item, inside) for item in items]
    return delimited(b"", delimited(_ARRAY, b"".join(values)))


def _pair(key: Any, value: Any, above: tuple[int, ...]) -> bytes:
    return delimited(_VALUES, _head(key) + any_value(value, above))


def _head(key: Any) -> bytes:
    """A ``KeyValue`` as far as its value."""
    plain = key is None or type(key) in NUMBERS or type(key) is bytes
    return _remember(_heads, key, delimited(_KEY, utf8(scalar_text(key) if plain else key)) + _VALUE)


_heads: dict[Any, bytes] = {}  # of short keys


_BY_TYPE: dict[type, Callable[[Any], bytes]] = {
    str: _string,
    bool: (b"\x02\x10\x00", b"\x02\x10\x01").__getitem__,
    int: _int,
    float: partial(Struct("<2sd").pack, b"\x09\x21"),
    type(None): lambda _: b"\x00",
    bytes: _bytes,
}

# The value of an instance of a subclass, read past whatever the subclass overrides.
_PLAIN_OF: dict[type, Callable[[Any], Any]] = {
    str: str.__str__,
    int: int.__index__,
    float: float.__float__,
    bytes: lambda value: bytes(memoryview(value)),
}


class Attributes:
    """The attributes of one message: a repeated field of ``KeyValue``.

    Args:
        field: Its number.
        dropped: The number of the field that counts the attributes that were dropped before.
    """

    __slots__ = ("_dropped", "_prefixes", "_tag")

    def __init__(self, field: int, *, dropped: int | None = None) -> None:
        self._tag = tag(field, LEN)
        self._prefixes = prefixes(self._tag)
        self._dropped = None if dropped is None else tag(dropped, VARINT)

    def __call__(self, attributes: Any) -> list[bytes]:
        """The fields, in pieces to be joined, and the count of those dropped if there are any.

        Args:
            attributes: The SDK's container, a mapping or None.

        Raises:
            Exception: ``attributes`` is no mapping, or changes meanwhile.
        """
        if attributes is None:
            return []
        # The SDK's container holds a dict; going through its own methods takes a lock for each key.
        held = getattr(attributes, "_dict", attributes)
        if type(held) is not dict:
            held = dict(attributes)
        parts: list[bytes] = []
        add, prefix = parts.append, self._prefixes
        for key, value in held.items():
            try:
                head = _heads[key]
                if type(value) is str:
                    raw = value.encode()
                    before = _BEFORE_STRING[len(raw)]
                    add(prefix[len(head) + len(before) + len(raw)])
                    add(head)
                    add(before)
                    add(raw)
                else:
                    shown = _BY_TYPE[type(value)](value)
                    add(prefix[len(head) + len(shown)])
                    add(head)
                    add(shown)
            except (LookupError, UnicodeEncodeError):  # a new key, a long text, no scalar, to be mended
                add(delimited(self._tag, _head(key) + any_value(value)))
        if self._dropped is not None:
            dropped = getattr(attributes, "dropped", 0)
            if dropped:
                add(count(self._dropped, dropped))
        return parts
