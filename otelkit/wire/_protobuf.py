"""The protobuf wire format, as much of it as OTLP needs: tags, varints, numbers of fixed size.

Source: https://protobuf.dev/programming-guides/encoding/. A field at its default value may be written
or left out, and fields may stand in any order: the reader sees no difference.
"""

from __future__ import annotations

import math
from struct import Struct, pack
from struct import error as StructError  # noqa: N812 - it is a class
from typing import Any

__all__ = [
    "DOUBLE",
    "FIXED32",
    "FIXED64",
    "LEN",
    "VARINT",
    "count",
    "delimited",
    "double",
    "fixed64s",
    "is_whole",
    "prefixes",
    "tag",
    "uint32_or_0",
    "uint64",
    "uint64_or_0",
    "varint",
    "zigzag32",
]

VARINT, FIXED64, LEN, FIXED32 = 0, 1, 2, 5
DOUBLE = FIXED64

_MORE = tuple(bytes((low | 0x80,)) for low in range(128))
_LAST = tuple(bytes((low,)) for low in range(128))

_LOW = 0x7F  # the seven bits of a group
_UINT32_MAX, _UINT64_MAX = (1 << 32) - 1, (1 << 64) - 1

uint64 = Struct("<Q").pack
_double = Struct("<d").pack


def tag(field: int, wire_type: int) -> bytes:
    """The bytes before a field's value."""
    return varint(field << 3 | wire_type)


def varint(number: int) -> bytes:
    """A whole number of 64 bits; a negative one as its two's complement, in ten bytes."""
    if 0 <= number < 1 << 7:
        return _LAST[number]
    if 0 <= number < 1 << 14:
        return _MORE[number & _LOW] + _LAST[number >> 7]
    number &= _UINT64_MAX
    groups = bytearray()
    while number > _LOW:
        groups.append(number & _LOW | 0x80)
        number >>= 7
    groups.append(number)
    return bytes(groups)


def delimited(field_tag: bytes, body: bytes) -> bytes:
    """A field of text, bytes, a message or packed numbers."""
    return field_tag + varint(len(body)) + body


def prefixes(field_tag: bytes) -> tuple[bytes, ...]:
    """What stands before the body of a delimited field, by the body's length, for the short ones."""
    return tuple(field_tag + varint(length) for length in range(512))


def fixed64s(numbers: Any) -> bytes:
    """Packed unsigned numbers of 8 bytes each.

    Raises:
        struct.error: One of them is none.
    """
    return pack(f"<{len(numbers)}Q", *numbers)


def double(number: Any) -> bytes:
    """A double; an integer that is too large becomes infinite.

    Raises:
        struct.error: It is no number.
    """
    try:
        return _double(number)
    except StructError:
        if not issubclass(type(number), int):
            raise
        return _double(math.inf if number > 0 else -math.inf)


def zigzag32(number: int) -> bytes:
    """A ``sint32``: numbers near zero are short, whatever their sign.

    Raises:
        OverflowError: It has more than 32 bits.
    """
    if not -(1 << 31) <= number < 1 << 31:
        raise OverflowError("a sint32 of more than 32 bits")
    return varint(number << 1 if number >= 0 else (~number << 1) | 1)


def count(field_tag: bytes, number: Any) -> bytes:
    """A ``uint32`` field that counts something; nothing for zero and for what is no count."""
    if not is_whole(number, 64) or not number:
        return b""
    return field_tag + varint(min(number, _UINT32_MAX))


def is_whole(number: Any, bits: int) -> bool:
    """Whether ``number`` is an unsigned integer of so many bits; a subclass's own methods do not run."""
    return issubclass(type(number), int) and 0 <= int.__index__(number) < 1 << bits


def uint64_or_0(number: Any) -> int:
    """A time in nanoseconds: ``number`` where it can be one, else 0, which OTLP reads as unknown."""
    if type(number) is float and 0 <= number <= _UINT64_MAX:
        return int(number)
    return int.__index__(number) if is_whole(number, 64) else 0


def uint32_or_0(number: Any) -> int:
    """Flags: ``number`` where it fits, else none of them."""
    return int.__index__(number) if is_whole(number, 32) else 0
