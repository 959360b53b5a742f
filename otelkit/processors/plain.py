"""Plain scalars and what they look like as text, whatever the object."""

from __future__ import annotations

import math
from typing import Any

__all__ = ["NUMBERS", "PLAIN", "class_name", "is_true", "is_wide", "items_of", "safe_str", "scalar_text"]

NUMBERS = frozenset((bool, int, float))
PLAIN = frozenset((bool, int, float, type(None)))

_MAX_INT_BITS = 2_048  # str() of an int is quadratic, and refused beyond 4,300 digits (640 at least)
_name_of = type.__dict__["__name__"].__get__  # a metaclass can make `cls.__name__` raise


def class_name(kind: type) -> str:
    """The name of a class; never raises."""
    return str(_name_of(kind))


def is_true(obj: object) -> bool:
    """``bool(obj)``, or True where that raises."""
    try:
        return bool(obj)
    except Exception:
        return True


def safe_str(obj: object) -> str:
    """``str(obj)``, or ``"<unprintable ClassName>"`` where that raises.

    Args:
        obj: Anything; its ``__str__`` runs here and now.

    Returns:
        An exact ``str``, of any length. Never raises; ``KeyboardInterrupt`` and its like pass.
    """
    try:
        text = str(obj)
        return text if type(text) is str else str.__str__(text)
    except Exception:
        return f"<unprintable {class_name(type(obj))}>"


def scalar_text(plain: Any) -> str:
    """The text of one plain scalar (``str``, ``bytes``, ``bool``, ``int``, ``float`` or ``None``)."""
    if type(plain) is bytes:
        return plain.decode("utf-8", "backslashreplace")
    if type(plain) is int and plain.bit_length() > _MAX_INT_BITS:
        return f"<integer of {plain.bit_length()} bits>"
    if type(plain) is float and not math.isfinite(plain):
        return "NaN" if math.isnan(plain) else ("Infinity" if plain > 0 else "-Infinity")
    return str(plain)


def items_of(items: list[Any] | tuple[Any, ...]) -> tuple[Any, ...]:
    """The items of a list or tuple; a subclass's own iteration does not run."""
    own: Any = list if issubclass(type(items), list) else tuple
    return tuple(own.__iter__(items))


def is_wide(number: int) -> bool:
    """Whether ``number`` does not fit into a signed 64-bit integer."""
    return not -(1 << 63) <= number < 1 << 63
