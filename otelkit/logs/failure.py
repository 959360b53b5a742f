"""An exception as a log event shows it: class, message and traceback text, never local variables."""

from __future__ import annotations

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from otelkit.processors.exceptions import class_name, message, stacktrace, stand_in, traceback_of
from otelkit.processors.plain import is_true, items_of

if TYPE_CHECKING:
    from types import TracebackType
    from typing import TypeAlias

    from otelkit.processors.redact import Redactor

__all__ = ["ExcInfo", "Failure", "cut_failure", "exc_info_of", "failure_of", "stand_in_of"]

ExcInfo: TypeAlias = "tuple[type[BaseException], BaseException, TracebackType | None]"

_MAX_LENGTH = 65_536  # a recursion through many frames is collapsed by `traceback` itself


@dataclass(frozen=True, slots=True)
class Failure:
    """A redacted exception.

    Attributes:
        kind: Its class, with the module except for built-in ones.
        message: Its text.
        traceback: The traceback as Python prints it, causes and groups included.
        changed: Whether redaction hid something, or a `stand_in` did.
        stand_in: What may be printed in place of the exception; None where it may be printed itself.
    """

    kind: str
    message: str
    traceback: str
    changed: bool
    stand_in: ExcInfo | None = None


def exc_info_of(value: Any) -> ExcInfo | None:
    """The exception that an ``exc_info=`` argument means.

    Args:
        value: An exception, a triple, or anything true for the one being handled now.

    Returns:
        The triple, or None where there is no exception.
    """
    if value is None or value is False:
        return None
    kind: Any = type(value)
    if issubclass(kind, BaseException):  # also one that counts as false
        return kind, value, traceback_of(value)
    if issubclass(kind, tuple):
        parts: Any = items_of(value)
        return parts if len(parts) == 3 and issubclass(type(parts[1]), BaseException) else None  # noqa: PLR2004
    if not is_true(value):
        return None
    _, error, trace = sys.exc_info()
    return None if error is None else (type(error), error, trace)


def failure_of(exc_info: ExcInfo, redactor: Redactor, *, max_length: int = _MAX_LENGTH) -> Failure:
    """The exception as data.

    Args:
        exc_info: What `exc_info_of` gave.
        redactor: What hides secrets, in the message and in the traceback.
        max_length: How many characters each of them keeps, where that is more than 65,536.
    """
    max_length = max(max_length, _MAX_LENGTH)
    _, error, trace = exc_info
    kind = type(error)  # the first of the three may be anything
    said = message(error)[:max_length]
    text = _without_middle(stacktrace(kind, error, trace).rstrip("\n"), max_length)
    shown_message, shown_text = redactor.text(said), redactor.text(text)
    other = stand_in_of(exc_info)
    return Failure(
        kind=class_name(kind),
        message=shown_message,
        traceback=shown_text,
        changed=shown_message is not said or shown_text is not text or other is not None,
        stand_in=other,
    )


def stand_in_of(exc_info: ExcInfo) -> ExcInfo | None:
    """What may be printed in place of an exception whose message repeats values; else None."""
    _, error, trace = exc_info
    shown = stand_in(error)
    return None if shown is error else (type(shown), shown, trace)


def cut_failure(failure: Failure) -> Failure:
    """The same with 65,536 characters of the message and of the traceback."""
    return replace(
        failure,
        message=failure.message[:_MAX_LENGTH],
        traceback=_without_middle(failure.traceback, _MAX_LENGTH),
    )


def _without_middle(text: str, max_length: int) -> str:
    if len(text) > max_length:
        half = max_length // 2
        text = f"{text[:half]}\n  ... {len(text) - 2 * half} characters left out ...\n{text[-half:]}"
    return text
