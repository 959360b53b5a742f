"""An exception in words, by the semantic conventions; never the values of local variables.

An exception class may break any part of its own formatting: nothing here raises.
"""

from __future__ import annotations

import traceback
from typing import TYPE_CHECKING

from otelkit.processors.plain import safe_str

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["class_name", "stacktrace", "status_text"]

_MAX_MESSAGE = 8_192


def class_name(kind: type) -> str:
    """The qualified name of an exception's class, without a module for built-in ones."""
    module = kind.__module__
    return kind.__qualname__ if module in {"builtins", None} else f"{module}.{kind.__qualname__}"


def stacktrace(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> str:
    """The traceback as Python prints it, causes and groups included; else class and message."""
    try:
        return "".join(traceback.format_exception(kind, error, trace))
    except Exception:
        return f"{class_name(kind)}: {safe_str(error)}"


def status_text(error: BaseException) -> str:
    """What a span's error status says of an exception, as the SDK has it."""
    return f"{type(error).__name__}: {safe_str(error)[:_MAX_MESSAGE]}"
