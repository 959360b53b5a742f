"""Plain data as OTLP can carry it: the last change before encoding.

Plain data can still hold two things that OTLP cannot: lone surrogates, and integers beyond signed 64
bits. One of them would cost the whole batch.
"""

from __future__ import annotations

from typing import Any

from otelkit.processors.plain import NUMBERS, PLAIN, class_name, is_wide, items_of, scalar_text

__all__ = ["repair", "repair_text"]

_MAX_DEPTH = 64
_INT64_MIN, _INT64_MAX = -(1 << 63), (1 << 63) - 1


def repair_text(text: str) -> str:
    """``text`` as something UTF-8 can hold: a lone surrogate becomes U+FFFD.

    Args:
        text: Any string.

    Returns:
        The same object when nothing is wrong; surrogates that form a pair become their character.
    """
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def repair(value: Any) -> Any:
    """``value`` as OTLP can carry it: no lone surrogate, no integer beyond signed 64 bits.

    Args:
        value: Plain data as `snapshot` makes it; other objects are replaced by their class's name,
            as no application code may run at export.

    Returns:
        The same object when nothing is wrong. An integer beyond 64 bits is text, and so are the
        others of its sequence. Never raises.
    """
    kind = type(value)
    if kind is str:
        return value if value.isascii() else repair_text(value)
    if kind is int:
        return scalar_text(value) if is_wide(value) else value
    if kind in PLAIN or kind is bytes:
        return value
    try:
        if kind is dict and _all_fine(value):
            return value
        return _repair_nested(value, 0)
    except Exception:
        return f"<{class_name(kind)}>"


def _all_fine(value: dict[Any, Any]) -> bool:
    """Whether keys and values are scalars that can be encoded; written out, as it sees every attribute."""
    for key, item in value.items():
        kind = type(item)
        if kind is str:
            if not item.isascii():
                return False
        elif kind is int:
            if not _INT64_MIN <= item <= _INT64_MAX:
                return False
        elif kind not in PLAIN:
            return False
        if not (_is_fine(key) if type(key) is not str else key.isascii()):
            return False
    return True


def _is_fine(item: Any) -> bool:
    kind = type(item)
    if kind is str:
        return bool(item.isascii())
    return not is_wide(item) if kind is int else kind in PLAIN


def _repair_nested(value: Any, depth: int) -> Any:
    kind = type(value)
    if depth > _MAX_DEPTH:
        return f"<{class_name(kind)}: nested too deeply>"
    if issubclass(kind, (tuple, list)):
        return _repair_sequence(value, depth)
    if issubclass(kind, dict):
        mended = {
            key if _is_fine(key) and type(key) is str else _text(key): _repair_nested(item, depth + 1)
            for key, item in dict.items(value)
        }
        return value if kind is dict and _same(value, mended) else mended
    return repair(value) if kind in PLAIN or kind is bytes else _text(value)


def _text(value: Any) -> str:
    kind = type(value)
    if issubclass(kind, str):
        return repair_text(str.__str__(value))
    return scalar_text(value) if kind in PLAIN or kind is bytes else f"<{class_name(kind)}>"


def _repair_sequence(value: list[Any] | tuple[Any, ...], depth: int) -> Any:
    before = items_of(value)
    items = [_repair_nested(item, depth + 1) for item in before]
    if all(map(_is_same, items, before)):
        return value
    if any(type(old) is int and type(new) is str for old, new in zip(before, items, strict=True)):
        items = [scalar_text(item) if type(item) in NUMBERS else item for item in items]
    return tuple(items)


def _same(before: dict[Any, Any], after: dict[str, Any]) -> bool:
    return len(before) == len(after) and all(
        old is new and before[old] is after[new] for old, new in zip(before, after, strict=True)
    )


def _is_same(one: object, other: object) -> bool:
    return one is other
