"""Parsers for single values: text, numbers, booleans, choices, log levels."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING
from urllib.parse import unquote

from otelkit.settings._row import Wrong

if TYPE_CHECKING:
    from otelkit.settings._row import Complain, Parser

_FEW_DIGITS = re.compile(r"[0-9]{1,8}")
TRUE = frozenset({"true", "1", "yes", "on"})
FALSE = frozenset({"false", "0", "no", "off"})


def text(raw: object, complain: Complain) -> str:
    """Text without blanks around it, not empty, lone surrogates repaired."""
    if not isinstance(raw, str):
        raise Wrong("must be text")
    value = raw.strip()
    if not value:
        raise Wrong("must not be blank")
    try:
        value.encode()
    except UnicodeEncodeError:
        complain("characters that are not Unicode text are replaced")
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return value


def word(pattern: str, remedy: str) -> Parser:
    """A parser for text that matches ``pattern`` whole."""
    compiled = re.compile(pattern)

    def parse(raw: object, complain: Complain) -> str:
        value = text(raw, complain)
        if not compiled.fullmatch(value):
            raise Wrong(remedy)
        return value

    return parse


def boolean(raw: object, _complain: Complain) -> bool:
    """A boolean, or text such as true, false, yes, no, on, off, 1, 0 in any case."""
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, str):
        lower = raw.strip().lower()
        if lower in TRUE:
            return True
        if lower in FALSE:
            return False
    raise Wrong("must be true or false")


def otel_boolean(raw: object, _complain: Complain) -> bool:
    """A boolean of the specification: the words true and false only, as in the SDK."""
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, str) and raw.strip().lower() in ("true", "false"):
        return raw.strip().lower() == "true"
    raise Wrong("must be the word true or false")


def switch(raw: object, complain: Complain) -> bool | None:
    """A boolean, or the word auto for None."""
    if isinstance(raw, str) and raw.strip().lower() == "auto":
        return None
    try:
        return boolean(raw, complain)
    except Wrong:
        raise Wrong("must be true, false or auto") from None


def number(*, low: float, high: float = math.inf, above: bool = False, unit: str = "") -> Parser:
    """A parser for a finite number from ``low`` to ``high``; ``above`` leaves ``low`` itself out."""
    if math.isfinite(high):
        remedy = f"must be a number from {low:g} to {high:g}{unit}"
    else:
        remedy = f"must be a number {'above' if above else 'of at least'} {low:g}{unit}"

    def parse(raw: object, _complain: Complain) -> float:
        if isinstance(raw, bool) or not (isinstance(raw, str) or hasattr(raw, "__float__")):
            raise Wrong(remedy)
        try:
            value = float(raw)
        except (ValueError, OverflowError):
            raise Wrong(remedy) from None
        if not math.isfinite(value) or value < low or value > high or (above and value == low):
            raise Wrong(remedy)
        return value

    return parse


def integer(*, low: int, high: int = 2**31 - 1) -> Parser:
    """A parser for a whole number from ``low`` to ``high``."""
    remedy = f"must be a whole number from {low} to {high}"

    def parse(raw: object, _complain: Complain) -> int:
        if isinstance(raw, bool) or not (isinstance(raw, str) or hasattr(raw, "__index__")):
            raise Wrong(remedy)
        try:
            value = int(raw)
        except ValueError:
            raise Wrong(remedy) from None
        if not low <= value <= high:
            raise Wrong(remedy)
        return int(value)

    return parse


def choice(*known: str, none: str | None = None) -> Parser:
    """A parser for one of the words ``known`` in any case; the word ``none`` stands for None."""
    words = (*known, none) if none else known
    remedy = f"must be {alternatives(words)}"

    def parse(raw: object, _complain: Complain) -> str | None:
        value = raw.strip().lower() if isinstance(raw, str) else raw
        if value not in words:
            raise Wrong(remedy)
        return None if value == none else str(value)

    return parse


def log_level(raw: object, _complain: Complain) -> int:
    """A level of the standard library by name, in any case, or by number."""
    if isinstance(raw, str):
        name = raw.strip().upper()
        level = int(name) if _FEW_DIGITS.fullmatch(name) else logging.getLevelName(name)
    else:
        level = raw
    if isinstance(level, bool) or not isinstance(level, int) or level < 0:
        raise Wrong("must be a level such as DEBUG, INFO, WARNING, ERROR or a number such as 20")
    return int(level)


def alternatives(words: Iterable[str]) -> str:
    """The words as a list for people."""
    *first, last = [repr(word) for word in words]
    return f"{', '.join(first)} or {last}" if first else last


def from_milliseconds(raw: str) -> float:
    """Seconds from text that holds milliseconds."""
    try:
        return float(raw) / 1000
    except ValueError:
        raise Wrong("must be a number of milliseconds") from None


def quiet(_message: str) -> None:
    """A `Complain` that says nothing."""


def show_level(level: int) -> str:
    """The name of a log level, or its number."""
    name = str(logging.getLevelName(level))
    return str(level) if name.startswith("Level ") else name


def unquoted(raw: str) -> str:
    """A percent-encoded value as it was meant, blanks around it removed."""
    return unquote(raw.strip())
