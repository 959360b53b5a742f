"""`describe`: every setting with value and origin, secrets masked."""

from __future__ import annotations

import dataclasses
import importlib

import pytest

from otelkit.settings import Settings, describe, resolve, running, set_running


@pytest.fixture
def rows():
    """The rows by name."""
    return lambda settings=None: {row.name: row for row in describe(settings)}


def test_every_setting_is_listed(rows):
    """Each field of Settings that is a choice has a row with help."""
    bookkeeping = {"signal_overrides", "origins", "problems", "advice"}
    listed = rows()

    assert {f.name for f in dataclasses.fields(Settings)} - bookkeeping <= listed.keys()
    assert all(row.help for row in listed.values())


def test_every_variable_of_the_sdk_is_listed():
    """Each variable that API and SDK know stands in some row, with or without an effect."""
    known = set()
    for module in ("opentelemetry.sdk.environment_variables", "opentelemetry.environment_variables"):
        constants = vars(importlib.import_module(module))
        known |= {v for k, v in constants.items() if k.lstrip("_").startswith("OTEL_") and isinstance(v, str)}
    known = {name for name in known if "JAEGER" not in name and "EVENT_LOGGER" not in name}
    listed = {variable.partition("[")[0] for row in describe() for variable in row.variables}

    assert len(known) > 50
    assert set() == known - listed


def test_value_and_origin(setenv, rows, write_file):
    """A row says the value in use and where it came from."""
    setenv(OTEL_SERVICE_NAME="shop", OTEL_EXPORTER_OTLP_LOGS_TIMEOUT="3", OTEL_CONFIG_FILE="/x")
    write_file('log_level = "debug"')

    listed = rows(resolve(sample_ratio=0.5))

    assert ("shop", "variable OTEL_SERVICE_NAME") == _said(listed["service_name"])
    assert ("0.5", "argument") == _said(listed["sample_ratio"])
    assert ("DEBUG", "file") == _said(listed["log_level"])
    assert ("http/protobuf", "default") == _said(listed["protocol"])
    assert ("3", "variable OTEL_EXPORTER_OTLP_LOGS_TIMEOUT") == _said(listed["logs.timeout_s"])
    assert ("/x", "variable OTEL_CONFIG_FILE") == _said(listed["OTEL_CONFIG_FILE"])


def _said(row):
    return row.value, row.origin


def test_no_effect_is_marked(rows):
    """Standard variables that do nothing here are marked so."""
    listed = rows()

    assert not listed["OTEL_CONFIG_FILE"].effect
    assert not listed["OTEL_EXPORTER_ZIPKIN_ENDPOINT"].effect
    assert listed["OTEL_SEMCONV_STABILITY_OPT_IN"].effect
    (line,) = [line for line in str(describe()).splitlines() if line.startswith("OTEL_CONFIG_FILE ")]
    assert "no effect here" in line


def test_secrets_are_masked(setenv):
    """Header values, credentials of addresses and query values are not shown."""
    setenv(
        OTEL_EXPORTER_OTLP_HEADERS="authorization=s3cret", OTEL_EXPORTER_OTLP_ENDPOINT="https://u:s3cret@c?k=s3cret",
        OTEL_EXPORTER_OTLP_TRACES_HEADERS="a=s3cret", OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="http://s3cret@c",
        OTEL_EXPORTER_ZIPKIN_ENDPOINT="http://u:s3cret@z", OTEL_RESOURCE_ATTRIBUTES="api.token=s3cret",
    )  # fmt: skip

    text = repr(describe()) + "".join(row.value for row in describe())

    assert "s3cret" not in text
    assert "authorization=***" in text
    assert "https://***@c?k=***" in text


def test_prints_as_an_aligned_table():
    """The columns of the table stand under each other."""
    head, *lines = str(describe()).splitlines()
    column = head.index("ORIGIN")

    assert len(describe()) == len(lines)
    assert all(line[column - 2 : column] == "  " and line[column] != " " for line in lines)


def test_describes_what_runs(rows):
    """Without settings those that run are described; the former ones come back."""
    settings = resolve(service_name="running")
    before = set_running(settings)
    try:
        assert settings is running()
        assert "running" == rows()["service_name"].value
    finally:
        assert settings is set_running(before)
