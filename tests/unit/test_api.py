import inspect
import re
import types

import pytest
from opentelemetry import trace
from opentelemetry.metrics import Meter
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanContext, SpanKind, TraceFlags

import otelkit
from otelkit import _api
from otelkit.settings._settings import ROWS_BY_NAME
from otelkit.testing import capture


def test_every_argument_of_init_is_a_setting_and_documented():
    """An argument has the name of a field of `Settings`, None as its default, and a line of its own."""
    parameters = inspect.signature(otelkit.init).parameters
    arguments = {name: parameter for name, parameter in parameters.items() if name != "settings"}

    assert set(arguments) <= set(ROWS_BY_NAME)
    assert {None} == {parameter.default for parameter in arguments.values()}
    assert ["service_name"] == [
        name for name, parameter in arguments.items() if parameter.kind is not inspect.Parameter.KEYWORD_ONLY
    ]
    assert all(re.search(rf"^ +{name}: ", otelkit.init.__doc__, re.MULTILINE) for name in parameters)


def test_without_init_nothing_happens_and_nothing_raises(said):
    """Spans, instruments, flush and shutdown before any `init` are silent; there is nothing to lose."""
    with otelkit.span("a", {"n": object()}) as span:
        span.set_attribute("k", object())
        otelkit.get_meter().create_counter("n").add(1)

    assert span.is_recording() is False
    assert (True, True) == (otelkit.flush(0.0), otelkit.shutdown(0.0))
    assert [] == said()


async def test_aflush_without_init():
    """The coroutine answers like `flush`."""
    assert await otelkit.aflush(0.0) is True


def test_scope_is_the_calling_module(telemetry):
    """Spans, tracers and meters of a module carry its name unless another is given."""
    module = types.ModuleType("shop.checkout")
    exec(
        "import otelkit\n"
        "def work():\n"
        "    with otelkit.span('a'): pass\n"
        "    otelkit.get_tracer().start_span('b').end()\n"
        "    otelkit.get_tracer('named', '1.0').start_span('c').end()\n"
        "    otelkit.get_meter().create_counter('n').add(1)\n",
        module.__dict__,
    )
    module.work()

    assert ["shop.checkout", "shop.checkout", "named"] == [span.scope for span in telemetry.spans]
    assert "shop.checkout" == telemetry.metric("n").scope


def test_code_without_a_module_has_a_scope_too(telemetry):
    """Code that was executed without a module name is `unknown`."""
    exec("with otelkit.span('a'): pass", {"otelkit": otelkit, "__name__": None})

    assert "unknown" == telemetry.span("a").scope


def test_tracers_and_meters_are_opentelemetrys():
    """What is returned are the types of the OpenTelemetry API."""
    assert isinstance(otelkit.get_tracer(), trace.Tracer)
    assert isinstance(otelkit.get_meter(), Meter)


def test_ids_of_the_current_span(telemetry):
    """In a span they are its ids in hex, as in the telemetry; outside None."""
    with otelkit.span("a"):
        ids = otelkit.trace_id(), otelkit.span_id()

    assert (telemetry.span("a").trace_id, telemetry.span("a").span_id) == ids
    assert (None, None) == (otelkit.trace_id(), otelkit.span_id())


def test_ids_of_a_given_span():
    """A span that is given is asked, not the current one; leading zeros are kept."""
    context = SpanContext(trace_id=10, span_id=11, is_remote=True, trace_flags=TraceFlags(1))
    remote = trace.NonRecordingSpan(context)

    assert ("0" * 31 + "a", "0" * 15 + "b") == (otelkit.trace_id(remote), otelkit.span_id(remote))
    assert otelkit.trace_id(trace.INVALID_SPAN) is None


def test_kind_attributes_and_links_pass(telemetry):
    """The arguments of `span` reach the span."""
    link = trace.Link(SpanContext(1, 2, is_remote=True))
    with otelkit.span("a", {"n": 1}, kind=SpanKind.PRODUCER, links=[link]):
        pass
    span = telemetry.span("a")

    assert ({"n": 1}, "PRODUCER", ("0" * 15 + "2",)) == (span.attributes, span.kind, span.links)


async def test_span_around_an_async_block(telemetry):
    """`async with` is the same as `with`."""
    async with otelkit.span("a"):
        async with otelkit.span("b"):
            pass

    assert telemetry.span("b").parent_id == telemetry.span("a").span_id


def test_span_objects_from_before_init_follow():
    """A decorated function and a kept span object that were made before `init` work after it."""
    _api._tracers.clear()
    kept = otelkit.span("kept")
    decorated = otelkit.span("decorated")(lambda: otelkit.span_id())
    exporter = InMemorySpanExporter()
    with otelkit.init("shop", span_exporters=[exporter], console=False, log_setup="off", instrument=False):
        with kept:
            assert decorated() is not None

    assert ["decorated", "kept"] == [span.name for span in exporter.get_finished_spans()]


def test_one_span_object_is_one_block_at_a_time_but_reusable(telemetry):
    """Entered again, or inside itself, it makes a span for each entry, properly nested."""
    again = otelkit.span("a")
    with again, again:
        pass
    with again:
        pass
    inner, outer, last = telemetry.spans

    assert (outer.span_id, None, None) == (inner.parent_id, outer.parent_id, last.parent_id)


def test_settings_argument_is_used_as_it_is():
    """A `Settings` object is the whole configuration; variables are not asked again."""
    settings = otelkit.Settings(service_name="shop", console=False, log_setup="off", instrument=False)
    with otelkit.init(settings=settings) as running:
        assert running.settings is settings


def test_capture_and_init_do_not_disturb_each_other(said):
    """An `init` inside a capture is silent for its telemetry; after both, nothing runs."""
    exporter = InMemorySpanExporter()
    with capture() as telemetry:
        running = otelkit.init(
            "shop", span_exporters=[exporter], console=False, log_setup="off", instrument=False
        )
        with otelkit.span("inside"):
            pass
        running.shutdown()

    assert (1, 0, []) == (len(telemetry.spans), len(exporter.get_finished_spans()), said())


def test_own_failure_in_init_leaves_the_application_running(monkeypatch, said):
    """A failure of ours while starting is one line; a Runtime without telemetry is returned."""
    from otelkit import _guard, runtime

    def fail(*args, **kwargs):
        raise RuntimeError("ours")

    monkeypatch.setattr(runtime, "assemble", fail)
    with _guard.reraise(False), otelkit.init("shop", log_setup="off", instrument=False) as running:
        with otelkit.span("a") as span:
            assert span.is_recording() is False

    assert {} == running.stats()
    assert ["otelkit: internal failure in init: RuntimeError: ours"] == [
        line.partition(". ")[0] for line in said()
    ]


def test_own_failure_in_a_second_init_leaves_the_first(monkeypatch, said):
    """The runtime that works goes on working."""
    from otelkit import _guard, runtime

    def fail(*args, **kwargs):
        raise RuntimeError("ours")

    exporter = InMemorySpanExporter()
    first = otelkit.init("shop", log_setup="off", instrument=False, span_exporters=[exporter])
    monkeypatch.setattr(runtime, "assemble", fail)
    with _guard.reraise(False):
        assert first is otelkit.init("another", log_setup="off", instrument=False)
    with otelkit.span("a"):
        pass
    first.shutdown()

    assert ["a"] == [span.name for span in exporter.get_finished_spans()]
    assert "internal failure in init" in said()[0]


@pytest.mark.parametrize("timeout_s", [0.0, -1.0])
def test_no_time_at_all_is_no_error(timeout_s):
    """Flush and shutdown without any time return at once and say what they know."""
    running = otelkit.init(
        "shop", console=False, log_setup="off", instrument=False, endpoint="http://127.0.0.1:1"
    )
    with otelkit.span("a"):
        pass

    assert (False, False) == (running.flush(timeout_s), running.shutdown(timeout_s))
