"""Measurements that come while their own thread measures or collects: none hangs, none is lost."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading

import pytest

from otelkit._otel import reentry
from otelkit.testing import capture


def within(seconds, work):
    """Run ``work`` in a thread that may hang."""
    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(seconds)
    assert not thread.is_alive(), "the thread waits for itself"


class Meanwhile(float):
    """A number whose addition calls something: the SDK adds while it holds its lock."""

    def __new__(cls, value, call):
        made = super().__new__(cls, value)
        made.call = call
        return made

    def __radd__(self, other):
        self.call()
        return other + float(self)


@pytest.fixture
def histogram():
    from opentelemetry import metrics

    with capture() as telemetry:
        yield metrics.get_meter("reentry").create_histogram("h"), telemetry


def test_a_measurement_inside_a_measurement(histogram):
    """The same series of the same instrument, as a finalizer or a signal handler may do it."""
    instrument, telemetry = histogram
    instrument.record(1.0)
    within(10, lambda: instrument.record(Meanwhile(2.0, lambda: instrument.record(4.0))))

    (point,) = telemetry.metric("h").points
    assert (3, 7.0) == (point.count, point.sum)
    assert not reentry.BUSY
    assert not reentry.POSTPONED


def test_the_first_measurement_of_another_instrument_inside_one(histogram):
    """What is bound at its first use is bound afterwards."""
    from opentelemetry import metrics

    instrument, telemetry = histogram
    counter = metrics.get_meter("reentry").create_counter("c")
    within(10, lambda: instrument.record(Meanwhile(2.0, lambda: counter.add(5, {"a": "b"}))))

    assert 5 == telemetry.metric("c").value
    assert {"a": "b"} == telemetry.metric("c").points[0].attributes


def test_a_measurement_keeps_the_span_of_its_moment(histogram):
    """The exemplar of a measurement that was put off is of the span in which it came."""
    from opentelemetry import trace

    instrument, telemetry = histogram
    spans = []

    def measure():
        with trace.get_tracer("t").start_as_current_span("inner") as span:
            spans.append(span.get_span_context().span_id)
            instrument.record(4.0, {"inner": True})

    within(10, lambda: instrument.record(Meanwhile(2.0, measure)))
    found = [
        exemplar.span_id
        for resource in telemetry._reader.pull().resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
        if point.attributes
        for exemplar in point.exemplars
    ]

    assert spans == found


def test_a_measurement_inside_a_collection(histogram):
    """The garbage collector may end something that measures at any allocation of a collection."""
    instrument, telemetry = histogram
    for number in range(50):
        instrument.record(1.0, {"n": number})
    made = []

    def measure(phase, _):
        if phase == "start" and threading.current_thread().name == "collects" and len(made) < 40:
            made.append(1)
            for number in range(50):
                instrument.record(1.0, {"n": number})

    def collect():
        threading.current_thread().name = "collects"
        thresholds = gc.get_threshold()
        gc.callbacks.append(measure)
        gc.set_threshold(1)
        try:
            telemetry.metric("h")
        finally:
            gc.set_threshold(*thresholds)
            gc.callbacks.remove(measure)

    within(30, collect)
    assert made
    assert 50 * (len(made) + 1) == sum(point.count for point in telemetry.metric("h").points)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs timers")
def test_a_signal_handler_that_measures(histogram):
    """It interrupts the same measurement of the main thread at any line; every one is counted."""
    instrument, telemetry = histogram
    handled = []

    def handler(*_):
        handled.append(1)
        instrument.record(1.0)

    earlier = signal.signal(signal.SIGALRM, handler)
    own = 0
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
        while len(handled) < 300:
            instrument.record(1.0)
            own += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, earlier)

    assert own + len(handled) == telemetry.metric("h").points[0].count


@pytest.mark.skipif(sys.platform != "linux", reason="fork")
def test_a_fork_meanwhile(histogram):
    """The child measures on, and does not make the parent's measurements again."""
    instrument, _ = histogram
    codes = []

    def fork():
        reentry.BUSY.add(1)  # another thread of the parent's
        reentry.postpone(lambda: None)
        child = os.fork()
        if child == 0:
            os._exit(0 if {threading.get_ident()} == reentry.BUSY and not reentry.POSTPONED else 1)
        codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        reentry.BUSY.discard(1)

    instrument.record(Meanwhile(1.0, fork))
    assert [0] == codes
