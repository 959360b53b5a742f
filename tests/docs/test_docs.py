"""The pages say all that there is to say: every setting, every instrument, every mode."""

from __future__ import annotations

import inspect
import re

import pytest
import tables
from pages import HOME

import otelkit
from otelkit import catalog
from otelkit.settings._foreign import FOREIGN
from otelkit.settings._settings import ROWS, ROWS_BY_NAME

SETTINGS = (HOME / "docs/settings.md").read_text(encoding="utf-8")
METRICS = (HOME / "docs/metrics.md").read_text(encoding="utf-8")
LOGS = (HOME / "docs/logs.md").read_text(encoding="utf-8")
ARGUMENTS = inspect.signature(otelkit.init).parameters


@pytest.mark.parametrize("page", tables.PAGES, ids=lambda page: page.name)
def test_tables_are_those_of_the_code(page):
    """The generated tables of a page are up to date, and each kind of table is on some page."""
    text = page.read_text(encoding="utf-8")

    assert tables.written(text) == text, f"{page.name} is out of date. Run: {tables.COMMAND}"


def test_every_table_has_its_place():
    """No table that can be made is forgotten on the pages."""
    assert set(tables.TABLES) == set(re.findall(r"<!-- table: ([\w ]+) -->", SETTINGS + METRICS))


def test_every_setting_is_documented():
    """Each setting with each of its variables, and each other standard variable, has its row."""
    missing = [
        row.name for row in ROWS if not re.search(rf"^\| `{row.name}` \|.*\S \|$", SETTINGS, re.MULTILINE)
    ]
    names = [variable.name for row in ROWS for variable in row.variables] + [row.name for row in FOREIGN]

    assert missing == []
    assert [name for name in names if f"`{name}`" not in SETTINGS] == []


def test_every_argument_is_a_setting_and_described():
    """Each argument of `init` but ``settings`` is a setting, and stands in its docstring."""
    described = re.findall(
        r"^        (\w+): ", inspect.getdoc(otelkit.init).replace("\n    ", "\n        "), re.MULTILINE
    )

    assert set(ARGUMENTS) - {"settings"} <= set(ROWS_BY_NAME)
    assert list(ARGUMENTS) == [name for name in described if name in ARGUMENTS]


def test_every_standard_instrument_is_documented():
    """Each instrument of the catalog has a row with its exposed name, unit and labels."""
    for row in catalog.INSTRUMENTS:
        line = re.search(rf"^\| `{row.exposed}` \|.*$", METRICS, re.MULTILINE)
        assert line is not None, row.exposed
        assert all(f"`{word}`" in line[0] for word in (row.name, row.unit, row.key, *row.labels))


@pytest.mark.parametrize(
    "setting, values", [("log_setup", "auto configure attach off"), ("log_format", "json console")]
)
def test_every_way_of_logging_is_shown(setting, values):
    """Each mode and each format of logging stands in docs/logs.md as it is written in code."""
    for value in values.split():
        assert getattr(otelkit.Settings(**{setting: value}), setting) == value
        assert f'{setting}="{value}"' in LOGS
