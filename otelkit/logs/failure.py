"""An exception as a log event shows it: class, message and traceback text, never local variables."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from otelkit.processors.exceptions import class_name, message, stacktrace, stand_in

if TYPE_CHECKING:
    from types import TracebackType
    from typing import TypeAlias

    from otelkit.processors.redact import Redactor

__all__ = ["ExcInfo", "Failure", "exc_info_of", "failure_of", "stand_in_of"]

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
    if not value:
        return None
    if isinstance(value, BaseException):
        return type(value), value, value.__traceback__
    if isinstance(value, tuple):
        return value if len(value) == 3 and isinstance(value[1], BaseException) else None  # noqa: PLR2004
    kind, error, trace = sys.exc_info()
    return (kind, error, trace) if kind is not None and error is not None else None


def failure_of(exc_info: ExcInfo, redactor: Redactor) -> Failure:
    """The exception as data.

    Args:
        exc_info: What `exc_info_of` gave.
        redactor: What hides secrets, in the message and in the traceback.
    """
    kind, error, trace = exc_info
    said = message(error)[:_MAX_LENGTH]
    text = _traceback_text(kind, error, trace)
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


def _traceback_text(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> str:
    text = stacktrace(kind, error, trace).rstrip("\n")
    if len(text) > _MAX_LENGTH:
        half = _MAX_LENGTH // 2
        text = f"{text[:half]}\n  ... {len(text) - 2 * half} characters left out ...\n{text[-half:]}"
    return text
