"""Readings begin with their first use, follow the runtime, and end with it."""

from __future__ import annotations

import os
import threading
import time

import pytest
from opentelemetry.metrics import Observation

import otelkit
from otelkit import readings
from otelkit.readings import Reading

EMPTY = Reading(None, 0.0, 0.0)
QUIET = {
    "log_setup": "off",
    "instrument": False,
    "spool": "off",
    "endpoint": "http://127.0.0.1:9",
    "shutdown_timeout_s": 0.1,
}


@pytest.fixture
def running():
    """A runtime whose snapshots are 20 ms apart."""
    with otelkit.init(
        settings=otelkit.Settings(service_name="shop", readings_interval_s=0.02, **QUIET)
    ) as runtime:
        yield runtime


def threads():
    return sorted(
        thread.name for thread in threading.enumerate() if thread.name.startswith("otelkit-readings")
    )


def eventually(holds, *, within_s=10.0):
    """Whether it holds before the deadline."""
    deadline = time.monotonic() + within_s
    while not holds():
        if time.monotonic() > deadline:
            return False
        threading.Event().wait(0.005)
    return True


def test_nothing_runs_unless_it_is_used(running):
    """A process that takes no reading has no thread for them."""
    otelkit.get_meter().create_counter("orders").add(1)

    assert threads() == []


def test_the_first_reading_answers_and_starts_the_snapshots(running):
    """The first reading knows all that was counted since `init`, and snapshots follow by themselves."""
    orders = otelkit.get_meter().create_counter("orders")
    orders.add(3)

    assert readings.increase("orders", 3600).value == 3
    assert "otelkit-readings" in threads()
    assert eventually(lambda: readings.increase("orders", 0.05) == Reading(0.0, 1.0, 0.0))


def test_observed_instruments_are_asked_on_a_thread_of_their_own(running):
    """Their callbacks never run where a reading is taken, and one that blocks stops no snapshot."""
    asked, leave = [], threading.Event()

    def blocks(_):
        asked.append(threading.current_thread().name)
        leave.wait(20)
        return [Observation(5)]

    meter = otelkit.get_meter()
    meter.create_observable_gauge("level", callbacks=[blocks])
    meter.create_counter("orders").add(1)
    readings.start()
    assert eventually(lambda: asked)

    assert eventually(lambda: readings.increase("orders", 0.05) == Reading(0.0, 1.0, 0.0))
    leave.set()
    assert eventually(lambda: readings.last("level").value == 5)
    assert set(asked) == {"otelkit-readings-callbacks"}


def test_they_end_with_the_runtime(running):
    """After `shutdown` no thread is left and readings are empty."""
    otelkit.get_meter().create_counter("orders").add(1)
    assert readings.increase("orders", 60).value == 1

    otelkit.shutdown()

    assert eventually(lambda: threads() == [])
    assert readings.increase("orders", 60) == EMPTY


def test_a_callback_that_blocks_does_not_hold_the_shutdown(running):
    """A shutdown does not wait for the thread that asks the callbacks."""
    entered, leave = threading.Event(), threading.Event()

    def blocks(_):
        entered.set()
        leave.wait(20)
        return []

    otelkit.get_meter().create_observable_gauge("level", callbacks=[blocks])
    readings.start()
    assert entered.wait(10)
    begin = time.monotonic()
    running.shutdown(0.5)
    took = time.monotonic() - begin
    leave.set()

    assert took < 10


def test_a_later_init_begins_anew(running):
    """The meters of a new runtime begin at 0, and so do its windows; the threads are the new one's."""
    orders = otelkit.get_meter().create_counter("orders")
    orders.add(3)
    assert readings.increase("orders", 60).value == 3

    otelkit.init(settings=otelkit.Settings(service_name="other", readings_interval_s=0.02, **QUIET))
    orders.add(1)

    assert readings.increase("orders", 60).value == 1
    assert eventually(lambda: threads().count("otelkit-readings") == 1)


def test_without_telemetry_readings_are_empty():
    """Before `init` every reading is empty, and nothing is started."""
    assert readings.rate("orders", 60) == readings.increase("orders", 60) == EMPTY
    assert readings.ratio("bad", "all", 60) == readings.quantile("wait", 0.5, 60) == EMPTY
    assert readings.last("level") == EMPTY
    readings.refresh()
    assert threads() == []


def test_a_capture_has_readings_of_its_own(running):
    """A test sees what it has counted itself, by its own `refresh`; the program's readings go on after it."""
    orders = otelkit.get_meter().create_counter("orders")
    orders.add(3)
    assert readings.increase("orders", 60).value == 3
    otelkit.get_meter().create_observable_gauge("level", callbacks=[lambda _: [Observation(7)]])

    with otelkit.testing.capture():
        orders.add(1)
        assert readings.increase("orders", 60).value == 1
        assert readings.last("level").value is None
        readings.refresh()
        assert readings.last("level").value == 7

    assert readings.increase("orders", 60).value == 3


def test_a_capture_starts_no_thread():
    """What a test reads needs no thread, so none is left behind."""
    with otelkit.testing.capture():
        otelkit.get_meter().create_counter("orders").add(1)
        assert readings.increase("orders", 60).value == 1
        assert threads() == []


def test_the_prefix_of_the_setting_is_understood():
    """A reading by a standard name finds the instrument under the prefix that is set."""
    settings = otelkit.Settings(service_name="shop", metric_prefix="shop", **QUIET)
    with otelkit.init(settings=settings):
        otelkit.catalog.instrument("requests").add(2, {"status": "success"})
        otelkit.catalog.instrument("request_duration").record(0.4)
        names = ("agent_requests", "agent_requests_total", "shop_requests", "shop_requests_total")

        assert [readings.increase(name, 60).value for name in names] == [2.0] * 4
        assert readings.increase("agent_request_duration_seconds_sum", 60).value == 0.4
        readings.check("agent_requests")
        readings.check("shop_requests_total")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_forks_child_starts_empty(running):
    """A child has none of its parent's counts in its windows, and snapshots of its own."""
    orders = otelkit.get_meter().create_counter("orders")
    orders.add(3)
    assert readings.increase("orders", 60).value == 3
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            before = readings.increase("orders", 60).value
            orders.add(1)
            started = "otelkit-readings" in threads()
            os.write(write_end, repr((before, readings.increase("orders", 60).value, started)).encode())
        finally:
            os._exit(0)
    os.close(write_end)
    with os.fdopen(read_end) as answer:
        assert answer.read() == "(None, 1.0, True)"
    os.waitpid(child, 0)
    assert readings.increase("orders", 60).value == 3


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_a_child_that_goes_on_with_a_capture_starts_empty():
    """In a capture a child has its parent's sums; what it reads is what it has added itself."""
    with otelkit.testing.capture():
        orders = otelkit.get_meter().create_counter("orders")
        orders.add(3)
        assert readings.increase("orders", 60).value == 3
        read_end, write_end = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                readings.refresh()
                orders.add(1)
                os.write(write_end, repr(readings.increase("orders", 60).value).encode())
            finally:
                os._exit(0)
        os.close(write_end)
        with os.fdopen(read_end) as answer:
            assert answer.read() == "1.0"
        os.waitpid(child, 0)


async def test_readings_are_taken_on_an_event_loop(running):
    """A coroutine reads without a thread or an await."""
    otelkit.get_meter().create_counter("orders").add(1)

    assert readings.rate("orders", 60).events == 1
