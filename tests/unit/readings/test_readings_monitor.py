"""Readings over what `otelkit.monitor_performance` counts: right at once, and from the beginning."""

from __future__ import annotations

import threading

import pytest

import otelkit
from otelkit import readings
from otelkit.readings import Reading, Series
from otelkit.testing import capture


class OutOfStock(Exception):
    """Of a type that the decorator was not told of."""


@pytest.fixture(autouse=True)
def telemetry():
    with capture() as telemetry:
        yield telemetry


@otelkit.monitor_performance("readings", "/buy", log=False, span=False)
def buy(*, fails=False, meanwhile=None):
    if fails:
        raise OutOfStock
    return meanwhile and meanwhile()


def bought(times, *, fails=False):
    for _ in range(times):
        try:
            buy(fails=fails)
        except OutOfStock:
            pass


def increase(name, **where):
    return readings.increase(name, 3600, where={"method": "readings", **where}).value


def test_what_came_before_the_first_reading_is_known():
    """No snapshot and no collection is needed: the counts are looked up where the process keeps them."""
    bought(3)
    bought(2, fails=True)

    assert 5 == increase("agent_requests_total")
    assert 2 == increase("agent_requests", status="error")
    assert 2 == increase("agent_errors", error_type="OutOfStock")


def test_the_first_error_of_a_type_counts():
    """Also between two snapshots of the observed instruments, and only once."""
    readings.refresh()
    bought(1, fails=True)
    readings.refresh()
    bought(1, fails=True)

    assert 2 == increase("agent_errors_total")


def test_ratios_agree_with_the_durations():
    """Requests, errors and durations of one moment fit together."""
    readings.refresh()
    bought(9)
    bought(3, fails=True)
    mine = {"method": "readings"}
    failed = Series("agent_requests", {"status": "error"})

    assert 0.25 == readings.ratio(failed, "agent_requests", 3600, where=mine).value
    assert 0.25 == readings.ratio("agent_errors", "agent_request_duration_seconds", 3600, where=mine).value


def test_calls_under_way_are_those_of_now():
    """A reading inside a call sees it, without a snapshot."""
    assert Reading(1.0, 1.0, 1) == buy(meanwhile=lambda: readings.last("agent_active_connections"))
    assert 0 == readings.last("agent_active_connections").value


def test_counts_of_the_application_are_added_up(telemetry):
    """What the application measures in the standard instrument itself is summed with these."""
    bought(1)
    otelkit.catalog.instrument("requests").add(5, {"method": "readings", "status": "success"})

    assert 6 == increase("agent_requests", status="success")


def test_a_snapshot_holds_the_counts_of_its_time():
    """A window that begins after some calls does not count them, whatever other threads add."""
    thread = threading.Thread(target=bought, args=(1_000,))
    thread.start()
    thread.join()
    readings.refresh()
    bought(4)

    assert 4 == readings.increase("agent_requests", 1e-9, where={"method": "readings"}).value
