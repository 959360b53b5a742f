"""What could never be read is said where it is declared, with the remedy."""

from __future__ import annotations

import re

import pytest
from opentelemetry.metrics import get_meter

import otelkit
from otelkit import ConfigurationError, readings
from otelkit.readings import Series


@pytest.fixture
def capture():
    with otelkit.testing.capture() as telemetry:
        yield telemetry


def refused(*args, **kwargs):
    """The message with which a check is refused."""
    with pytest.raises(ConfigurationError) as refusal:
        readings.check(*args, **kwargs)
    return str(refusal.value)


@pytest.mark.parametrize(
    "name, use",
    [
        ("agent_requests", "rate"),
        ("agent_requests_total", "rate"),
        ("agent_request_duration_seconds", "quantile"),
        ("agent_request_duration_seconds_sum", "rate"),
        ("agent_queue_size", "last"),
        (Series("agent_request_duration", le=0.5), "rate"),
    ],
)
def test_the_standard_instruments_are_known(name, use):
    """They may be read before they are made, also while no telemetry runs."""
    readings.check(name, use=use)


def test_an_instrument_that_measured_nothing_yet_is_known(capture):
    """It is enough that an instrument was made."""
    get_meter("checks").create_histogram("check.wait", unit="s")

    readings.check("check.wait", use="quantile")
    readings.check("check_wait_seconds_count")


def test_a_name_that_nothing_has_is_refused_with_those_that_are_near():
    """A slip of the finger is named, and so is what may have been meant."""
    assert "'agent_reqests'" in refused("agent_reqests")
    assert "agent_requests" in refused("agent_reqests")


@pytest.mark.parametrize(
    "name, use, words",
    [
        ("agent_queue_size", "rate", "is of the kind gauge, which has no rate"),
        ("agent_active_connections", "rate", "is of the kind up down counter"),
        ("agent_requests", "quantile", "read this one with rate"),
    ],
)
def test_a_kind_without_such_a_reading_is_refused(name, use, words):
    """A gauge has no rate and a counter no quantile; the message says what it has."""
    assert words in refused(name, use=use)


def test_a_bound_that_is_none_is_refused():
    """Only a histogram's own bounds can be counted up to."""
    assert "its bounds are 0.01, 0.05" in refused(Series("agent_request_duration", le=0.3))
    assert "it is no histogram" in refused(Series("agent_requests", le=0.5))


def test_a_label_that_a_standard_instrument_has_not_is_refused():
    """The labels of the standard instruments are known; those of others may be any."""
    assert "no label 'state'; it has method, status, endpoint" in refused(
        "agent_requests", where={"state": "error"}
    )
    assert re.search("no label 'x'", refused(Series("agent_requests", {"x": 1}), where={"status": "error"}))
