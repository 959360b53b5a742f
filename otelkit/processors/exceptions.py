"""An exception in words, by the semantic conventions; never the values of local variables.

An exception class may break any part of its own formatting: nothing here raises.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING

from otelkit.processors.plain import safe_str

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["class_name", "has_words", "message", "put_words", "stacktrace", "status_text"]

Words = Callable[[BaseException], str]

_MAX_MESSAGE = 8_192
_words: dict[str, list[Words]] = {}


def put_words(package: str, words: Words) -> Callable[[], None]:
    """Let ``words`` say what the exceptions of a package say, wherever telemetry shows them.

    For packages whose messages repeat values: PostgreSQL says which key exists already, Redis which
    arguments it did not understand.

    Args:
        package: The top-level package in which the exception's class is defined.
        words: The message of an exception, without values.

    Returns:
        What takes it back.
    """
    _words.setdefault(package, []).append(words)

    def undo() -> None:
        left = _words.get(package, [])
        if words in left:
            left.remove(words)
        if not left:
            _words.pop(package, None)

    return undo


def message(error: BaseException) -> str:
    """What an exception says; without values where its package's messages repeat them."""
    words = _words.get(_package(error)) if _words else None
    if not words:
        return safe_str(error)
    try:
        return words[-1](error)
    except Exception:
        return ""


def has_words(error: BaseException) -> bool:
    """Whether somebody puts the messages of this exception's package in other words."""
    return bool(_words) and _package(error) in _words


def _package(error: BaseException) -> str:
    module = type(error).__module__
    return module.partition(".")[0] if isinstance(module, str) else ""


def class_name(kind: type) -> str:
    """The qualified name of an exception's class, without a module for built-in ones."""
    module = kind.__module__
    return kind.__qualname__ if module in {"builtins", None} else f"{module}.{kind.__qualname__}"


def stacktrace(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> str:
    """The traceback as Python prints it, causes and groups included; else class and message."""
    try:
        if not _words:
            return "".join(traceback.format_exception(kind, error, trace))
        shown = traceback.TracebackException(kind, error, trace)
        _put_messages(shown, error, set())
        return "".join(shown.format())
    except Exception:
        return f"{class_name(kind)}: {message(error)}"


def _put_messages(shown: traceback.TracebackException, error: BaseException, seen: set[int]) -> None:
    """Give the shown exception, its causes and the members of its group the messages they may have."""
    if id(error) in seen:
        return
    seen.add(id(error))
    if has_words(error):
        shown._str = message(error)  # type: ignore[attr-defined]
        shown.__notes__ = None
    pairs = [(shown.__cause__, error.__cause__), (shown.__context__, error.__context__)]
    pairs += zip(getattr(shown, "exceptions", None) or (), getattr(error, "exceptions", ()))
    for inner, cause in pairs:
        if inner is not None and cause is not None:
            _put_messages(inner, cause, seen)


def status_text(error: BaseException) -> str:
    """What a span's error status says of an exception, as the SDK has it."""
    return f"{type(error).__name__}: {message(error)[:_MAX_MESSAGE]}"
