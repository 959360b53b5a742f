"""Every setting and standard variable with its value and origin, as rows that print as a table."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING

from otelkit.settings import _url
from otelkit.settings._foreign import FOREIGN
from otelkit.settings._otlp import OTLP_ITEMS, SIGNALS
from otelkit.settings._problems import shown
from otelkit.settings._resolve import resolve, signal_variable
from otelkit.settings._running import running
from otelkit.settings._settings import ROWS, ROWS_BY_NAME

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otelkit.settings._row import Row, Variable
    from otelkit.settings._settings import Settings

__all__ = ["Description", "DescriptionRow", "describe"]

_NO_EFFECT = "no effect here"
_VALUE_WIDTH = 48


@dataclasses.dataclass(frozen=True, slots=True)
class DescriptionRow:
    """One setting, or one standard variable that is no setting.

    Attributes:
        name: The setting's name, ``traces.endpoint`` for one signal's, or the variable's name.
        value: Its value as text; secrets are masked.
        origin: ``"argument"``, ``"variable OTEL_X"``, ``"file"`` or ``"default"``.
        variables: The variables it is read from, in the order of precedence.
        effect: Whether it has an effect in a process that uses otelkit.
        help: What it is for.
    """

    name: str
    value: str
    origin: str
    variables: tuple[str, ...]
    effect: bool
    help: str


class Description(tuple[DescriptionRow, ...]):
    """The rows of `describe`; ``str`` of it is an aligned table."""

    __slots__ = ()

    def __str__(self) -> str:
        """The table: name, value, origin, help, variables."""
        lines = [("SETTING", "VALUE", "ORIGIN", "MEANING", "VARIABLES"), *map(_cells, self)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
            for line in lines
        )

    __repr__ = __str__


def describe(settings: Settings | None = None) -> Description:
    """Every setting with its value and origin, and every other standard variable.

    Args:
        settings: What to describe. None: the settings that run now, else those that the
            environment and pyproject.toml make at this moment.

    Returns:
        Rows in the order of the table of settings; print them to read them. Header values, the
        user and password of an address and the values of its query are masked.
    """
    if settings is None:
        settings = running() or resolve(strict=False)
    return Description((*_general(settings), *_signals(settings), *_foreign()))


def _general(settings: Settings) -> Iterator[DescriptionRow]:
    for row in ROWS:
        value = getattr(settings, row.name)
        origin = settings.origins[row.name]
        names = tuple(dict.fromkeys(_written(v) for v in row.variables))
        yield DescriptionRow(row.name, _text(row, value), origin, names, True, row.help)


def _written(variable: Variable) -> str:
    return f"{variable.name}[{variable.key}]" if variable.key else variable.name


def _signals(settings: Settings) -> Iterator[DescriptionRow]:
    for signal in SIGNALS:
        own = settings.signal_overrides.get(signal)
        for item, general in OTLP_ITEMS.items():
            row, variable = ROWS_BY_NAME[general], signal_variable(signal, item)
            value = getattr(own, item, None)
            origin = "default" if value is None else f"variable {variable}"
            text = "as for all signals" if value is None else _text(row, value)
            yield DescriptionRow(
                f"{signal}.{item}", text, origin, (variable,), True, f"{general} of {signal} alone"
            )


def _foreign() -> Iterator[DescriptionRow]:
    for name, effect, meaning in FOREIGN:
        value = os.environ.get(name, "").strip()
        origin = f"variable {name}" if value else "default"
        yield DescriptionRow(
            name, _one_line(_url.mask(value)) if value else "not set", origin, (name,), effect, meaning
        )


def _text(row: Row, value: object) -> str:
    text = shown(row, value)
    if row.show is None and "://" in text:
        text = _url.mask(text)
    return _one_line(text) or "none"


def _one_line(text: str) -> str:
    return text if text.isprintable() else text.encode("unicode_escape").decode()


def _cells(row: DescriptionRow) -> tuple[str, ...]:
    value = row.value if len(row.value) <= _VALUE_WIDTH else row.value[: _VALUE_WIDTH - 1] + "…"
    meaning = row.help if row.effect else f"{_NO_EFFECT}: {row.help}"
    variables = "" if row.variables == (row.name,) else ", ".join(row.variables)
    return (row.name, value, row.origin, meaning, variables)
