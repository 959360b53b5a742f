"""How settings, and what is wrong with them, are put into words; nothing here repeats a secret."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from otelkit.settings import _url

if TYPE_CHECKING:
    from otelkit.settings._row import Row

__all__ = ["complaint", "given", "place", "refused", "shown", "similar", "unused"]

_LENGTH = 80
_USING = "; using "
_MAX_BITS = 256


def shown(row: Row, value: object) -> str:
    """The value of a setting as text without secrets."""
    if value is None:
        return row.unset
    if row.show is not None:
        return row.show(value)
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def given(raw: object, *, secret: bool = False) -> str:
    """A value that cannot be used, as it was given; of an unexpected object only its type."""
    if secret:
        return "***"
    if isinstance(raw, str):
        return repr(_url.mask(raw, length=_LENGTH))
    if isinstance(raw, int) and raw.bit_length() > _MAX_BITS:
        return "<a very long number>"  # CPython refuses to print it
    if type(raw) in (bool, int, float):
        return repr(raw)
    return f"<{type(raw).__name__}>"


def place(origin: str) -> str:
    """Where a value came from, for a message."""
    return "[tool.otelkit] in pyproject.toml" if origin == "file" else origin


def refused(row: Row, raw: object, origin: str, remedy: object, used: str) -> str:
    """The line for a value that is not used at all."""
    value = given(raw, secret=row.secret)
    return f"{row.name}={value} ({place(origin)}) cannot be used: it {remedy}{_USING}{used}."


def unused(line: str) -> str:
    """A line of `refused` where nothing is used, as it becomes an error."""
    what, _, used = line.rpartition(_USING)
    return f"{what}." if what else used


def complaint(row: Row, origin: str, text: str) -> str:
    """The line for a value of which a part is not used."""
    return f"{row.name} ({place(origin)}): {text}."


def similar(name: str, known: Iterable[str]) -> str:
    """A question with the known name that is closest to ``name``, or nothing."""
    from difflib import get_close_matches

    close = get_close_matches(name, list(known), n=1)
    return f"; did you mean {close[0]!r}?" if close else ""
