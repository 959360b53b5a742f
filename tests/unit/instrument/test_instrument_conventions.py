"""Which conventions the official instrumentations follow."""

from __future__ import annotations

import os

import pytest

from otelkit._otel import instrumentations
from otelkit.instrument._conventions import VARIABLE, stable_conventions


def test_the_stable_ones_are_chosen_and_the_variable_is_put_back(said):
    """Nothing is said, and a child process inherits no choice that the user has not made."""
    stable_conventions()

    assert {"http": "http", "database": "database"} == instrumentations.conventions_in_force()
    assert VARIABLE not in os.environ
    assert [] == said()


@pytest.mark.parametrize(
    "given, http",
    [("http/dup", "http/dup"), ("database", "default"), ("gen_ai_latest_experimental", "default")],
)
def test_the_users_variable_decides(monkeypatch, said, given, http):
    """It is followed as it is, without a word, and stays."""
    monkeypatch.setenv(VARIABLE, given)
    stable_conventions()
    stable_conventions()

    assert http == instrumentations.conventions_in_force()["http"]
    assert given == os.environ[VARIABLE]
    assert [] == said()


def test_an_empty_variable_is_not_set(monkeypatch):
    """As everywhere; it is empty again afterwards."""
    monkeypatch.setenv(VARIABLE, "")
    stable_conventions()

    assert "http" == instrumentations.conventions_in_force()["http"]
    assert "" == os.environ[VARIABLE]


def test_one_that_came_first_is_named_once(said):
    """Where the old ones are in force for good, one line says so and what to do."""
    instrumentations.read_conventions()
    stable_conventions()
    stable_conventions()

    lines = said()
    assert 1 == len(lines)
    assert "http and database" in lines[0]
    assert VARIABLE in lines[0]
