"""The tables of docs/settings.md and docs/metrics.md, made from the code that they describe.

A page marks where a table belongs: ``<!-- table: settings -->`` before and ``<!-- end -->`` after
it. This program writes every table anew: ``python tests/docs/tables.py``.
"""

from __future__ import annotations

import inspect
import os
import re
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import otelkit
from otelkit import catalog
from otelkit.settings import SIGNALS
from otelkit.settings._foreign import FOREIGN
from otelkit.settings._otlp import OTLP_ITEMS
from otelkit.settings._problems import shown
from otelkit.settings._resolve import signal_variable
from otelkit.settings._row import Row, Variable
from otelkit.settings._settings import ROWS

__all__ = ["COMMAND", "PAGES", "written"]

COMMAND = "python tests/docs/tables.py"
DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGES = (DOCS / "settings.md", DOCS / "metrics.md")

_PLACE = re.compile(r"(<!-- table: (?P<name>[\w ]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def written(page: str) -> str:
    """The text of a page with all its tables as they should be."""
    return _PLACE.sub(lambda place: f"{place[1]}\n{TABLES[place['name']]()}\n\n{place[3]}", page)


def arguments() -> str:
    """The settings that `init` takes as arguments."""
    return _settings(row for row in ROWS if row.name in inspect.signature(otelkit.init).parameters)


def further() -> str:
    """The other settings: by variable, file or `Settings`."""
    return _settings(row for row in ROWS if row.name not in inspect.signature(otelkit.init).parameters)


def per_signal() -> str:
    """The OTLP variables of one signal alone."""
    cells = (
        (f"`{general}`", ", ".join(f"`{signal_variable(signal, item)}`" for signal in SIGNALS))
        for item, general in OTLP_ITEMS.items()
    )
    return _table(("Instead of", "Variables"), cells)


def read_by_others() -> str:
    """The standard variables that other parts of OpenTelemetry read."""
    return _foreign(effect=True)


def without_effect() -> str:
    """The standard variables that do nothing here."""
    return _foreign(effect=False)


def instruments() -> str:
    """The standard instruments."""
    cells = (
        (f"`{row.exposed}`", f"`{row.name}`", f"`{row.unit}`", row.kind.replace("_", "-"), _labels(row.labels),
         _numbers(row.buckets), f"`{row.key}`", row.meaning)
        for row in catalog.INSTRUMENTS
    )  # fmt: skip
    return _table(("On /metrics", "OTel name", "Unit", "Kind", "Labels", "Buckets", "Key", "Meaning"), cells)


def buckets() -> str:
    """The default buckets by unit."""
    cells = ((f"`{unit}`", _numbers(bounds)) for unit, bounds in catalog.BUCKETS_BY_UNIT.items())
    return _table(("Unit", "Buckets"), cells)


TABLES: Mapping[str, Callable[[], str]] = {
    "arguments": arguments,
    "further settings": further,
    "per signal": per_signal,
    "read by others": read_by_others,
    "without effect": without_effect,
    "instruments": instruments,
    "buckets": buckets,
}


def _settings(rows: Iterable[Row]) -> str:
    cells = (
        (
            f"`{row.name}`",
            "<br>".join(map(_variable, row.variables)) or "only as an argument",
            _default(row),
            row.help,
        )
        for row in rows
    )
    return _table(("Setting", "Variables", "Default", "Meaning"), cells)


def _variable(variable: Variable) -> str:
    inside = f" (`{variable.key}`)" if variable.key else ""
    return f"`{variable.name}`{inside}" + (" (ms)" if variable.milliseconds else "")


def _default(row: Row) -> str:
    value = row.default()
    text = shown(row, value) or "none"
    if value is None or text == "none":
        return text
    # The default service name ends with the program's name, which differs by machine.
    return f"`{text.replace(os.path.basename(sys.executable), 'python')}`"


def _foreign(*, effect: bool) -> str:
    return _table(
        ("Variable", "Why"), ((f"`{row.name}`", row.help) for row in FOREIGN if row.effect is effect)
    )


def _labels(names: Sequence[str]) -> str:
    return ", ".join(f"`{name}`" for name in names)


def _numbers(bounds: Sequence[float]) -> str:
    return " ".join(f"{int(bound)}" if bound == int(bound) else f"{bound:g}" for bound in bounds)


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cell.replace('|', '&#124;') for cell in line)} |" for line in lines)


if __name__ == "__main__":
    for path in PAGES:
        path.write_text(written(path.read_text(encoding="utf-8")), encoding="utf-8")
