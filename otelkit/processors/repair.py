"""Plain data as OTLP can carry it: the last change before encoding.

Plain data can still hold two things that OTLP cannot: lone surrogates, and integers beyond signed 64
bits. One of them would cost the whole batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from otelkit.processors.plain import NUMBERS, PLAIN, class_name, is_wide, safe_str, scalar_text

__all__ = ["repair", "repair_text"]

_MAX_DEPTH = 64


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
        if kind is dict and all(map(_is_fine, value)) and all(map(_is_fine, value.values())):
            return value
        return _repair_nested(value, 0)
    except Exception:
        return f"<{class_name(kind)}>"


def _is_fine(item: Any) -> bool:
    kind = type(item)
    if kind is str:
        return bool(item.isascii())
    return not is_wide(item) if kind is int else kind in PLAIN


def _repair_nested(value: Any, depth: int) -> Any:
    kind = type(value)
    if depth > _MAX_DEPTH:
        return f"<{class_name(kind)}: nested too deeply>"
    if kind is tuple or kind is list:
        return _repair_sequence(value, depth)
    if issubclass(kind, Mapping):
        mended = {
            repair_text(key if type(key) is str else safe_str(key)): _repair_nested(item, depth + 1)
            for key, item in value.items()
        }
        return value if kind is dict and _same(value, mended) else mended
    if issubclass(kind, str):
        return repair_text(value if kind is str else str.__str__(value))
    if kind in PLAIN or kind is bytes:
        return repair(value)
    return f"<{class_name(kind)}>"


def _repair_sequence(value: Sequence[Any], depth: int) -> Any:
    items = [_repair_nested(item, depth + 1) for item in value]
    if all(map(_is_same, items, value)):
        return value
    if any(type(old) is int and type(new) is str for old, new in zip(value, items, strict=True)):
        items = [scalar_text(item) if type(item) in NUMBERS else item for item in items]
    return tuple(items)


def _same(before: Mapping[Any, Any], after: Mapping[str, Any]) -> bool:
    return len(before) == len(after) and all(
        old is new and before[old] is after[new] for old, new in zip(before, after, strict=True)
    )


def _is_same(one: object, other: object) -> bool:
    return one is other
