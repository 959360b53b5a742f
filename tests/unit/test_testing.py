import asyncio
import statistics
import subprocess
import sys
import threading
import time

import pytest
from opentelemetry import trace

import otelkit
from otelkit.testing import capture


def test_values_are_readable(telemetry):
    """A test reads attributes, values and log fields by plain names."""
    with otelkit.span("checkout", {"cart.items": 3}):
        otelkit.get_meter().create_counter("orders", unit="{order}").add(2, {"shop": "north"})

    assert 3 == telemetry.span("checkout").attributes["cart.items"]
    assert 2 == telemetry.metric("orders", shop="north").value
    assert 2 == telemetry.metric("orders_total", shop="north").value


def test_metric_with_several_points_lists_them(telemetry):
    """Asking for the value of several points is an error that shows them."""
    counter = otelkit.get_meter().create_counter("n")
    counter.add(1, {"k": "a"})
    counter.add(2, {"k": "b"})

    with pytest.raises(LookupError, match="2 points") as error:
        _ = telemetry.metric("n").value
    assert "'k': 'a'" in str(error.value)
    assert 2 == len(telemetry.metric("n").points)


def test_missing_names_are_listed(telemetry):
    """A wrong name is an error that lists what was captured."""
    with otelkit.span("present"):
        pass

    with pytest.raises(LookupError, match="'present'"):
        telemetry.span("absent")
    with pytest.raises(LookupError, match="none"):
        telemetry.log("absent")
    with pytest.raises(LookupError, match="no metric"):
        telemetry.metric("absent")


def test_inner_capture_takes_it():
    """Of nested captures the inner one gets what is told; the outer one goes on after it."""
    with capture() as outer:
        with otelkit.span("one"):
            pass
        with capture() as inner, otelkit.span("two"):
            pass
        with otelkit.span("three"):
            pass

    assert ["one", "three"] == [span.name for span in outer.spans]
    assert ["two"] == [span.name for span in inner.spans]


def test_other_threads_are_captured(telemetry):
    """What other threads tell is captured too."""

    def work():
        with otelkit.span("elsewhere"):
            pass

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert "elsewhere" == telemetry.spans[0].name


async def test_overlapping_captures_are_refused():
    """Two tasks that capture at once would take each other's data: an error says so."""
    inside = asyncio.Event()
    done = asyncio.Event()

    async def first():
        with capture():
            inside.set()
            await done.wait()

    async def second():
        await inside.wait()
        try:
            with capture():
                pass
        finally:
            done.set()

    results = await asyncio.gather(first(), second(), return_exceptions=True)

    assert isinstance(results[1], RuntimeError)
    assert results[0] is None


async def test_fixture_works_in_async_tests(telemetry):
    """The fixture captures what an async test tells, and captures inside it nest."""
    async with otelkit.span("a"):
        with capture() as inner, otelkit.span("b"):
            pass

    assert (["a"], ["b"]) == ([s.name for s in telemetry.spans], [s.name for s in inner.spans])


def test_init_inside_a_capture_does_not_end_it(telemetry):
    """Code under test may call `init`; the capture holds on."""
    with otelkit.init(service_name="under test", log_setup="off", instrument=False):
        with otelkit.span("a"):
            pass

    assert ["a"] == [span.name for span in telemetry.spans]


def test_everything_is_restored():
    """After a capture nothing records any more."""
    with capture():
        pass

    assert not trace.get_tracer("x").start_span("y").is_recording()


def test_captured_data_is_redacted(telemetry):
    """A capture shows what would have left: secrets are hidden."""
    with otelkit.span("a", {"password": "hunter2", "ok": "yes"}):
        otelkit.get_meter().create_counter("n").add(1, {"api_key": "abc"})

    assert {"password": "[redacted]", "ok": "yes"} == telemetry.span("a").attributes
    assert "[redacted]" == telemetry.metric("n").point.attributes["api_key"]


def test_clear_forgets_spans_and_logs(telemetry):
    """`clear` starts over for spans and log records."""
    with otelkit.span("a"):
        pass
    telemetry.clear()

    assert [] == telemetry.spans


def test_a_capture_is_cheap():
    """A fresh in-memory runtime costs 2 ms of the processor's time at the most, over many; fails at twice that."""
    with capture():
        pass
    costs = []
    for _ in range(60):
        begin = time.process_time()
        with capture():
            pass
        costs.append(time.process_time() - begin)

    assert statistics.median(costs) < 0.004


def test_plugin_costs_nothing_when_unused():
    """Loading the pytest plugin loads neither the SDK nor structlog."""
    program = (
        "import sys, otelkit._pytest;"
        "print([n for n in sys.modules if n.startswith(('opentelemetry.sdk', 'structlog', 'grpc'))])"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert "[]" == answer.stdout.strip()
