"""How long texts may be: in the record as the settings say, on a line as always."""

from __future__ import annotations

import io
import json
import logging
import time

import pytest
import structlog
from opentelemetry import _logs

import otelkit
from otelkit import settings
from otelkit.processors.limits import MAX_LENGTH
from otelkit.testing import capture

LONG = 300_000


@pytest.fixture
def resolved(monkeypatch):
    """The settings of a program with these variables, whose lines are ours."""

    def resolve(**variables):
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return settings.resolve(service_name="shop", log_setup="configure", log_format="json")

    return resolve


def own(event, **fields):
    otelkit.get_logger("shop").info(event, **fields)


def plain(event, **fields):
    structlog.get_logger().info(event, **fields)


def standard(event, **fields):
    logging.getLogger("shop").warning("%s", event, extra=fields)


def by_the_api(event, **fields):
    _logs.get_logger("shop").emit(_logs.LogRecord(body=event, attributes=fields))


@pytest.mark.parametrize(
    "variable", ["OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT"]
)
@pytest.mark.parametrize("log", [own, plain, standard, by_the_api])
def test_records_are_as_long_as_the_settings_say(resolved, log, variable):
    """Either variable alone lets long events, fields and items of fields into the record, whole."""
    with capture(settings=resolved(**{variable: str(LONG)})) as telemetry:
        log("e" * LONG, text="x" * LONG, order={"note": "n" * LONG, "lines": ["l" * 99_000]})
    (record,) = telemetry.logs

    assert ("e" * LONG, "x" * LONG) == (record.event, record.attributes["text"])
    assert {"note": "n" * LONG, "lines": ("l" * 99_000,)} == record.attributes["order"]


@pytest.mark.parametrize("log", [own, plain, standard, by_the_api])
def test_nothing_is_longer_than_the_settings_say(resolved, log):
    """What is longer than a limit that was raised is cut there."""
    with capture(settings=resolved(OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT="50000")) as telemetry:
        log("e" * LONG, text="x" * LONG, order={"note": "n" * LONG})
    (record,) = telemetry.logs

    assert ("e" * 50_000, "x" * 50_000) == (record.event, record.attributes["text"])
    assert {"note": "n" * 50_000} == record.attributes["order"]


@pytest.mark.parametrize("log", [own, plain, standard, by_the_api])
def test_without_a_setting_the_limit_is_the_default(resolved, log):
    """A text keeps 32,768 characters."""
    with capture(settings=resolved()) as telemetry:
        log("e" * LONG, text="x" * LONG)
    (record,) = telemetry.logs

    assert ("e" * MAX_LENGTH, "x" * MAX_LENGTH) == (record.event, record.attributes["text"])


@pytest.mark.parametrize("log", [own, plain, standard])
def test_lines_stay_short(resolved, log, capsys):
    """A line has 32,768 characters of each text, however long the record is."""
    with capture(settings=resolved(OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT="100000000")):
        log("e" * LONG, text="x" * LONG, order={"notes": ["n" * LONG] * 9})
    line = json.loads(capsys.readouterr().out)

    assert ("e" * MAX_LENGTH, "x" * MAX_LENGTH) == (line["event"], line["text"])
    assert 4 * MAX_LENGTH == len("".join(line["order"]["notes"]))


def test_long_exceptions(resolved, capsys):
    """Message and traceback are whole in the record; the line has 65,536 characters, both ends among them."""
    with capture(settings=resolved(OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT="100000000")) as telemetry:
        try:
            raise ValueError("e" * LONG + " end")
        except ValueError:
            logging.getLogger("shop").exception("failed")
    attributes, line = telemetry.logs[0].attributes, json.loads(capsys.readouterr().out)

    assert "e" * LONG + " end" == attributes["exception.message"]
    assert attributes["exception.stacktrace"].endswith("e" * LONG + " end")
    assert 65_536 <= len(line["exception"]) < 65_700
    assert line["exception"].startswith("Traceback") and line["exception"].endswith(" end")


def test_exceptions_of_the_logs_api_are_cut(resolved):
    """The message and the traceback of a record's exception keep 32,768 characters, the traceback its end."""
    with capture(settings=resolved()) as telemetry:
        _logs.get_logger("lib").emit(body="failed", exception=ValueError("e" * LONG + " end"))
    attributes = telemetry.logs[0].attributes

    assert "e" * MAX_LENGTH == attributes["exception.message"]
    assert MAX_LENGTH == len(attributes["exception.stacktrace"])
    assert attributes["exception.stacktrace"].endswith(" end\n")


def test_a_redact_callback_cuts_nothing(install, exported):
    """What a callback makes of a long value may be as long."""

    def remade(_key, value):
        return value.replace("a", "b") if isinstance(value, str) else dict(value)

    install(log_setup="configure", log_attribute_length=LONG, redact=remade)
    own("told", text="a" * LONG, order={"note": "a" * LONG})
    attributes = exported.one().attributes

    assert [LONG, LONG] == [len(attributes["text"]), len(attributes["order"]["note"])]
    assert {"b"} == set(attributes["text"])


def test_bound_fields_on_lines_of_the_application_stay_short(install, exported, make_logger):
    """What is added to a line in the application's own format has 32,768 characters at most."""
    install(log_setup="attach", log_attribute_length=LONG)
    out = io.StringIO()
    with otelkit.bind(note="n" * LONG):
        make_logger("app", stream=out).warning("told")

    assert f"WARNING:told note={'n' * MAX_LENGTH}\n" == out.getvalue()
    assert "n" * LONG == exported.one().attributes["note"]


def test_what_was_cut_from_a_list_is_named_rightly(install, exported):
    """The record says how many items are missing."""
    install(log_setup="configure")
    own("told", ids=list(range(300)), order={"ids": tuple(range(300))})
    attributes = exported.one().attributes

    assert attributes["ids"].endswith('255,"... 44 more"]')
    assert attributes["order"]["ids"].endswith('255,"... 44 more"]')


def test_time_is_linear_in_the_length(resolved):
    """Ten times the text takes about ten times the processor's time, whatever is looked for in it."""
    chosen = resolved(OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT="100000000")

    def cost(length):
        text = ('{"password": "x", "url": "http://u:p@h/?token=%3D"}, eyJ-' * length)[:length]
        with capture(settings=chosen):
            began = time.thread_time()
            own("told", text=text)
            return time.thread_time() - began

    cost(1_000)
    small = min(cost(50_000) for _ in range(3))

    assert cost(500_000) < 40 * small
