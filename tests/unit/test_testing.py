import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
import threading

import httpx  # noqa: F401 - a library is instrumented once it is imported
import pytest
import requests  # noqa: F401 - likewise
from opentelemetry import propagate, trace
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import otelkit
from otelkit import _guard, _lifecycle, _switch, process, runtime
from otelkit.instrument import _libraries
from otelkit.instrument._library import Library
from otelkit.logs import running
from otelkit.measures import _observe
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


# -- `init` inside a capture -----------------------------------------------------------------------

QUIET = {"console": False, "log_setup": "off", "instrument": False}


def state():
    """What a test may leave behind in the process, as values that can be compared."""
    root = logging.getLogger()
    return {
        "runtime": runtime.current(),
        "threads": sorted(
            thread.name for thread in threading.enumerate() if thread.name.startswith("otelkit")
        ),
        "settings": {row.name: row.value for row in otelkit.settings.describe()},
        "log handlers": (set(root.handlers), root.level, logging.Handler.format, running.current()),
        "libraries": otelkit.instrument.instrumented(),
        "propagators": propagate.get_global_textmap(),
        "target": _switch.present(),
        "page": otelkit.prometheus.current(),
        "diagnostics": _guard._scrub,
        "signals": (signal.getsignal(signal.SIGTERM), sys.excepthook, threading.excepthook, os._exit),
        "process": (process._official._on, process._loop._on),
        "queues": dict(_observe._names),
    }


def start_service(**more):
    """An `init` that touches whatever it can."""
    settings = otelkit.Settings(
        service_name="under test",
        redact=["order"],
        log_setup="configure",
        prometheus_port=0,
        console=True,
        instrument=["requests", "httpx"],
        propagators=(),
        endpoint="http://127.0.0.1:1",
        flush_on_os_exit=True,
        process_metrics=True,
        metric_prefix="shop",
        **more,
    )
    return otelkit.init(settings=settings)


@pytest.fixture
def earlier():
    """A runtime from before the capture, with an exporter that keeps what it gets."""
    exporter = InMemorySpanExporter()
    settings = otelkit.Settings(
        service_name="earlier",
        span_exporters=[exporter],
        metric_readers=[InMemoryMetricReader()],
        redact=["iban"],
        log_setup="configure",
        log_format="json",
        console=False,
        instrument=["requests"],
        process_metrics=True,
    )
    with otelkit.init(settings=settings) as made:
        made.exporter = exporter
        yield made


def told(earlier, name):
    """The spans that the earlier runtime delivers after one more of this name."""
    with otelkit.span(name):
        pass
    assert otelkit.flush()
    return [span.name for span in earlier.exporter.get_finished_spans()]


def test_init_inside_a_capture_starts_no_export(said):
    """No thread, no server, no exporter, processor or reader of the user's; the runtime says so and works."""
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    with capture() as telemetry:
        made = start_service(span_exporters=[exporter], metric_readers=[reader])
        with otelkit.span("a"):
            pass
        assert [] == state()["threads"]
        assert (None, 0) == (made.prometheus_port, sum(counts.created for counts in made.stats().values()))
        assert {"traces", "logs", "metrics"} == set(made.stats())
        assert (True, True) == (made.flush(0.0), otelkit.flush(0.0))
        assert ("under test", made) == (made.settings.service_name, runtime.current())

    assert "traces: nowhere\nlogs: nowhere\nmetrics: nowhere" == str(made.plan)
    assert (["a"], ()) == ([span.name for span in telemetry.spans], exporter.get_finished_spans())
    assert [] == said()


def test_init_inside_a_capture_takes_effect_there(capsys):
    """Its log lines, redaction, libraries, propagators and settings are in force inside the block."""
    with capture():
        start_service(log_format="json")
        otelkit.get_logger().info("paid", order="A-17")
        inside = state()

    line = json.loads(capsys.readouterr().out.splitlines()[0])
    assert ("under test", "[redacted]") == (line["service"], line["order"])
    assert ("under test", ("httpx", "requests")) == (
        inside["settings"]["service_name"],
        inside["libraries"],
    )
    assert () == tuple(inside["propagators"].fields)


def test_init_inside_a_capture_leaves_nothing():
    """After the block nothing runs, listens, is patched or set; `flush` and `shutdown` have nothing to do."""
    otelkit.observe_queue("q", lambda: 1)
    before = state()
    with capture():
        start_service()

    assert before == state()
    assert (True, True) == (otelkit.flush(0.0), otelkit.shutdown(0.0))
    assert not trace.get_tracer("x").start_span("y").is_recording()


def test_earlier_runtime_is_as_before(earlier):
    """It is current again, delivers what is told, and its set-up of logs and libraries is in force."""
    assert ["before"] == told(earlier, "before")
    before = state()
    with capture():
        start_service()
        with otelkit.span("inside"):
            pass

    assert before == state()
    assert ["before", "after"] == told(earlier, "after")


def test_earlier_redaction_holds_again(earlier, capsys):
    """After the block the lines hide what the earlier runtime hides, and no more."""
    with capture():
        start_service()
    capsys.readouterr()
    otelkit.get_logger().info("paid", iban="DE02", order="A-17")

    line = json.loads(capsys.readouterr().out)
    assert ("earlier", "[redacted]", "A-17") == (line["service"], line["iban"], line["order"])


@pytest.mark.parametrize(
    "end",
    [
        lambda made: made.shutdown(),
        lambda made: otelkit.shutdown(),
        lambda made: made.__exit__(None, None, None),
    ],
    ids=["its own", "otelkit's", "as a context manager"],
)
def test_shutdown_inside_a_capture_ends_the_inner_runtime_only(earlier, end):
    """What the inner `init` set is taken back at once; the capture and the earlier runtime go on."""
    before = state()
    with capture() as telemetry:
        inside = state()
        made = start_service()
        end(made)
        assert inside == state()
        assert (True, True, True) == (made.ending, made.shutdown(), otelkit.shutdown())
        with otelkit.span("a"):
            pass

    assert before == state()
    assert ["a"] == [span.name for span in telemetry.spans]
    assert ["after"] == told(earlier, "after")


def test_shutdown_without_init_inside_a_capture_ends_nothing(earlier):
    """Code under test that ends telemetry does not end that of the process."""
    with capture():
        assert otelkit.shutdown()

    assert ["after"] == told(earlier, "after")


def test_equal_settings_are_the_same_inner_runtime_but_never_the_earlier(earlier):
    """Code under test may end what `init` gave it: that is its own."""
    with capture():
        first, again = otelkit.init(settings=earlier.settings), otelkit.init(settings=earlier.settings)
        assert first is again is not earlier
        with first:
            pass
        assert first is not otelkit.init(settings=earlier.settings)

    assert earlier is otelkit.init(settings=earlier.settings)
    assert ["after"] == told(earlier, "after")


def test_another_init_replaces_the_inner_runtime(earlier):
    """The closers of the first one run then, those of the second at the end of the capture, each once."""
    closed, before = [], state()
    with capture():
        otelkit.init("first", **QUIET).on_close(lambda: closed.append("first"))
        second = start_service()
        second.on_close(lambda: closed.append("second"))
        assert (["first"], second) == (closed, runtime.current())

    assert (["first", "second"], True) == (closed, second.ending)
    assert before == state()


def test_nested_captures_have_a_runtime_each():
    """The outer one's is current again after the inner capture, with what it had set."""
    with capture():
        outer = start_service()
        before = state()
        with capture():
            assert otelkit.flush()
            inner = otelkit.init("inner", redact=["other"], **QUIET)
            assert inner is runtime.current()
        assert (outer, False) == (runtime.current(), outer.ending)
        assert before == state()

    assert outer.ending


def test_captures_that_end_out_of_order():
    """Whichever ends first: after the last one all is as before."""
    before = state()
    one, other = capture(), capture()
    one.__enter__()
    start_service()
    other.__enter__()
    inner = otelkit.init("inner", **QUIET)
    one.__exit__(None, None, None)
    assert inner is runtime.current()
    assert ("inner", inner.redactor.scrub) == (state()["settings"]["service_name"], state()["diagnostics"])
    other.__exit__(None, None, None)

    assert before == state()


def test_init_inside_a_capture_sets_no_hooks_of_the_process():
    """In a process without another `init`, signals, `os._exit` and the excepthooks stay as they were."""
    program = (
        "import os, signal, sys, threading, otelkit\n"
        "from otelkit.testing import capture\n"
        "hooks = lambda: (signal.getsignal(signal.SIGTERM), os._exit, sys.excepthook, threading.excepthook)\n"
        "before = hooks()\n"
        "with capture():\n"
        "    otelkit.init('shop', instrument=False)\n"
        "print(before == hooks(), otelkit.runtime.current(), threading.active_count())"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert ("True None 1", "") == (answer.stdout.strip(), answer.stderr)


@pytest.mark.parametrize("test", ["first", "second"])
def test_fixture_in_several_tests(telemetry, test):
    """Each test finds no runtime, also after one that has called `init` and has not ended it."""
    assert (None, []) == (runtime.current(), state()["threads"])
    start_service()
    otelkit.get_logger().info(test)

    assert [test] == [record.event for record in telemetry.logs]


def test_earlier_runtime_may_end_inside():
    """Whoever holds it may shut it down inside the block; then nothing runs after the block."""
    before = state()
    earlier = otelkit.init("earlier", **QUIET)
    with capture():
        start_service()
        earlier.shutdown()

    assert (before["runtime"], before["settings"], before["target"]) == tuple(
        state()[name] for name in ("runtime", "settings", "target")
    )


def test_libraries_follow_the_earlier_settings_again(monkeypatch):
    """A library that both want is instrumented by the earlier runtime's settings after the block."""
    events = []

    def turn_on(settings):
        events.append(settings.service_name)
        return lambda: events.append("off")

    library = Library(name="diary", modules=(), pip="diary", turn_on=turn_on)
    monkeypatch.setattr(_libraries, "chosen", lambda wish: [library] if wish else [])
    with otelkit.init("earlier", log_setup="off", console=False):
        with capture():
            otelkit.init("inner", log_setup="off")
            assert ["earlier", "off", "inner"] == events

        assert ["earlier", "off", "inner", "off", "earlier"] == events
    assert "off" == events[-1]


def test_readings_of_an_earlier_runtime_go_on():
    """Its snapshots are taken during the capture too, and its readings are its own afterwards."""
    settings = otelkit.Settings(service_name="earlier", readings_interval_s=0.01, **QUIET)
    with otelkit.init(settings=settings):
        orders = otelkit.get_meter().create_counter("orders")
        orders.add(3)
        assert 3 == otelkit.readings.increase("orders", 60).value
        (thread,) = [thread for thread in threading.enumerate() if thread.name == "otelkit-readings"]
        with capture():
            start_service()
            thread.join(0.2)
            assert thread.is_alive()

        assert 3 == otelkit.readings.increase("orders", 60).value


def test_end_of_the_process_inside_a_capture_delivers_what_was_told_before(earlier):
    """A test run that is stopped inside a block loses nothing of the earlier runtime's."""
    with otelkit.span("before"):
        pass
    with capture():
        start_service()
        _lifecycle._shutdown()

    assert (True, ["before"]) == (
        earlier.ending,
        [span.name for span in earlier.exporter.get_finished_spans()],
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_fork_inside_a_capture(earlier):
    """In a child the capture goes on; after it the child has the runtime that replaces its parent's."""
    with capture():
        start_service()
        child = os.fork()
        if child != 0:
            assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        else:
            status = 1
            try:
                outside = runtime._current
                status = 0 if outside is not earlier and otelkit.shutdown() and not outside.ending else 2
            finally:
                os._exit(status)

    assert ["after"] == told(earlier, "after")


def test_init_that_ends_after_the_capture_is_taken_back():
    """The end of a capture waits for an `init` of another thread, which leaves nothing either."""
    before, inside, go_on = state(), threading.Event(), threading.Event()

    class Slow(InMemorySpanExporter):
        def __eq__(self, other):
            inside.set()
            go_on.wait(10)
            return False

        __hash__ = None

    with capture():
        otelkit.init("slow", span_exporters=[Slow()], **QUIET)
        thread = threading.Thread(target=lambda: otelkit.init("slow", span_exporters=[Slow()], **QUIET))
        thread.start()
        inside.wait(10)
        threading.Timer(0.05, go_on.set).start()
    thread.join(10)

    assert before == state()


def test_failed_init_inside_a_capture_leaves_nothing():
    """With ``strict``, an `init` that raises has made no runtime; the capture goes on."""
    before = state()
    with capture() as telemetry:
        with pytest.raises(otelkit.ConfigurationError):
            otelkit.init("x", instrument=["no such library"], strict=True)
        assert runtime.current() is None
        with otelkit.span("a"):
            pass

    assert (1, before) == (len(telemetry.spans), state())


# -- what it costs ----------------------------------------------------------------------------------


CAPTURES = """
import statistics, time
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.trace import TracerProvider
from otelkit.testing import capture
def plain():
    providers = [TracerProvider(shutdown_on_exit=False), MeterProvider(shutdown_on_exit=False)]
    for provider in providers:
        provider.shutdown()
def ours():
    with capture():
        pass
def cost(work):
    begin = time.process_time()
    work()
    return time.process_time() - begin
ours(), plain()
rounds = [(cost(ours), cost(plain)) for _ in range(60)]
print(*(statistics.median(costs) for costs in zip(*rounds)))
"""


def test_a_capture_is_cheap():
    """A fresh in-memory runtime costs 2 ms of the processor's time at the most where two plain providers cost 1.5 ms."""
    answer = subprocess.run([sys.executable, "-c", CAPTURES], capture_output=True, text=True, check=True)
    ours, control = map(float, answer.stdout.split())

    assert ours < 2 * 0.002 * max(1.0, control / 0.0015), (ours, control)


def test_plugin_costs_nothing_when_unused():
    """Loading the pytest plugin loads neither the SDK nor structlog."""
    program = (
        "import sys, otelkit._pytest;"
        "print([n for n in sys.modules if n.startswith(('opentelemetry.sdk', 'structlog', 'grpc'))])"
    )
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert "[]" == answer.stdout.strip()
