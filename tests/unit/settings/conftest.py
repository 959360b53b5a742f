"""Settings are tested in an empty folder, without any variable of otelkit or OpenTelemetry."""

from __future__ import annotations

import os

import pytest


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch, tmp_path):
    for name in os.environ:
        if name.startswith(("OTEL_", "OTELKIT_")) or name == "ENVIRONMENT":
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def setenv(monkeypatch):
    """Set variables: ``setenv(OTEL_SERVICE_NAME="shop")``."""

    def set_all(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)

    return set_all


@pytest.fixture
def write_file(tmp_path):
    """Write ``[tool.otelkit]`` of the working folder's pyproject.toml."""

    def write(table, *, head="[tool.otelkit]\n"):
        (tmp_path / "pyproject.toml").write_text(head + table, encoding="utf-8")

    return write
