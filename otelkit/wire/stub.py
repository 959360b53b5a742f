"""What is left of an item that cannot be encoded, so that it is still counted and can be found."""

from __future__ import annotations

from typing import Any

from otelkit.processors.plain import class_name
from otelkit.wire.values import Attributes

__all__ = ["error_field", "read"]

_MAX_MESSAGE = 200


def read(owner: Any, name: str) -> Any:
    """An attribute, None where it is missing or raises."""
    try:
        return getattr(owner, name)
    except Exception:
        return None


def error_field(attributes: Attributes, problem: Exception) -> bytes:
    """The attribute ``otelkit.encode_error``: the class of the exception, and its message if plain text.

    Args:
        attributes: Of the stub.
        problem: Only looked at: its ``__str__`` may be the application's.
    """
    shown = class_name(type(problem))
    arguments = read(problem, "args")
    if type(arguments) is tuple and len(arguments) == 1 and type(arguments[0]) is str:
        shown += f": {arguments[0][:_MAX_MESSAGE]}"
    return b"".join(attributes({"otelkit.encode_error": shown}))
