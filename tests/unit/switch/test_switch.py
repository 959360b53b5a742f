import math
import threading
from asyncio import CancelledError
from contextvars import copy_context

import pytest
from opentelemetry import metrics, trace
from opentelemetry.metrics import Observation

import otelkit
from otelkit import _guard, _otel
from otelkit.testing import capture

TRACER = trace.get_tracer("before")
METER = metrics.get_meter("before init")
COUNTER = METER.create_counter("early")
HISTOGRAM = METER.create_histogram("early_duration", unit="s")
UP_DOWN = METER.create_up_down_counter("early_open")
ANSWERS = []  # filled for the tests of this file only
OBSERVED = METER.create_observable_gauge("early_level", callbacks=[lambda options: list(ANSWERS)])
LOGGER = _otel.get_logger("before")


@pytest.fixture(autouse=True)
def _callback_answers():
    ANSWERS.append(Observation(7, {"k": "v"}))
    yield
    ANSWERS.clear()


def use_everything():
    with TRACER.start_as_current_span("span"):
        COUNTER.add(1, {"k": "v"})
        HISTOGRAM.record(0.2)
        LOGGER.emit(_otel.LogRecord(body="hello", severity_number=_otel.SeverityNumber.INFO))


def test_everything_fetched_before_works_in_every_run():
    """Tracers, counters, histograms, callbacks and loggers from before follow each new run."""
    for _ in range(3):
        with capture() as telemetry:
            use_everything()

        assert "before" == telemetry.span("span").scope
        assert 1 == telemetry.metric("early").value
        assert 1 == telemetry.metric("early_duration").count
        assert 7 == telemetry.metric("early_level", k="v").value
        assert telemetry.log("hello").span_id == telemetry.span("span").span_id


def test_each_run_sees_only_its_own_data():
    """What one run was told is not in the next."""
    with capture() as first:
        use_everything()
    with capture() as second:
        pass

    assert (1, 0, 0) == (len(first.spans), len(second.spans), len(second.logs))
    assert "early" not in [metric.name for metric in second.metrics]


def test_up_down_counter_goes_down_where_it_went_up():
    """The -1 of a +1 from an earlier run does not make the present run negative."""
    with capture() as first:
        UP_DOWN.add(1, {"k": "a"})
        UP_DOWN.add(1, {"k": "b"})
        with capture() as second:
            UP_DOWN.add(-1, {"k": "a"})
            UP_DOWN.add(3, {"k": "a"})
            UP_DOWN.add(-1, {"k": "a"})
        assert 2 == second.metric("early_open", k="a").value
    assert (0, 1) == (first.metric("early_open", k="a").value, first.metric("early_open", k="b").value)


def test_without_a_run_everything_is_silent_and_free():
    """With nothing running, the same calls do nothing and raise nothing."""
    use_everything()
    UP_DOWN.add(1)

    assert not TRACER.start_span("x").is_recording()


def test_instruments_of_one_identity_are_one_object():
    """Creating an instrument again gives the same series; a second callback adds to the first."""
    meter = metrics.get_meter("twice")
    first, second = meter.create_counter("n"), meter.create_counter("n")
    for value in (1, 2):
        meter.create_observable_gauge("level", callbacks=[lambda _, v=value: [Observation(v, {"v": v})]])
    with capture() as telemetry:
        first.add(1)
        second.add(2)

    assert 3 == telemetry.metric("n").value
    assert {1, 2} == {point.value for point in telemetry.metric("level").points}


def boom(*_args):
    raise RuntimeError


class Hostile(type):
    """Nothing can be asked of a class of this one."""

    __getattribute__ = __hash__ = boom


class Moody(float):
    """A number that does not say which."""

    __float__ = __gt__ = __add__ = __radd__ = boom


@pytest.mark.parametrize(
    ("amount", "attributes"),
    [
        (1, {"k": ["a", "list"]}),
        (1, {"k": {"a": "dict"}}),
        (1, {"k": object()}),
        (1, {7: "key"}),
        (1, "no mapping"),
        ("one", {}),
        (float("nan"), {}),
        (None, None),
        (2**70, {}),
        (-1, {}),
    ],
)
def test_measurements_of_any_shape_do_not_raise(telemetry, amount, attributes):
    """Whatever is measured, nothing is raised, and the next good measurement counts."""
    counter = otelkit.get_meter("shapes").create_counter("shapes")
    histogram = otelkit.get_meter("shapes").create_histogram("shaped")
    counter.add(amount, attributes)
    histogram.record(amount, attributes)
    counter.add(5, {"good": "yes"})

    assert 5 == telemetry.metric("shapes", good="yes").value


def test_a_class_of_which_nothing_can_be_asked(telemetry, said):
    """As a value it is named and left out; as an attribute it is measured under its name."""
    odd = Hostile("Odd", (), {})()
    counter = otelkit.get_meter("odd").create_counter("counted")
    counter.add(odd)
    counter.add(1, {"k": odd})
    counter.add(2, {"k": [odd, 7]})

    assert [1, 2] == sorted(point.value for point in telemetry.metric("counted").points)
    assert ["was given Odd as a value" in line for line in said()] == [True]


def test_a_gauge_set_to_something_odd_harms_no_other(telemetry):
    """What cannot be read as a number when metrics are collected is NaN; the others are collected."""
    meter = otelkit.get_meter("odd")
    meter.create_gauge("odd").set(Moody(7))
    meter.create_gauge("fine").set(7)

    assert math.isnan(telemetry.metric("odd").value)
    assert 7 == telemetry.metric("fine").value


def test_refused_instrument_is_a_no_op_and_named(telemetry, said):
    """A name that OpenTelemetry refuses gives an instrument that does nothing, and one line."""
    counter = otelkit.get_meter("bad").create_counter("7 bad names!")
    counter.add(1)

    assert any("7 bad names!" in line for line in said())


def test_failing_callback_costs_only_its_own_answer(telemetry, said):
    """A callback that raises or answers nonsense is named; the others are heard."""
    meter = otelkit.get_meter("callbacks")
    answers = [
        lambda _: 1 / 0,
        lambda _: [Observation("many", {})],
        lambda _: None,
        lambda _: [Observation(3, {"who": "good"})],
    ]
    meter.create_observable_gauge("asked", callbacks=answers)

    assert 3 == telemetry.metric("asked", who="good").value
    assert 1 == len(said())


def test_a_cancelled_callback_costs_only_its_own_answer(telemetry, said):
    """On a thread of otelkit's; on one of the application's a CancelledError is the application's."""
    found = []
    errors = [CancelledError(), CancelledError()]

    def cancelled(_):
        if errors:
            raise errors.pop()
        return ()

    otelkit.get_meter("callbacks").create_observable_gauge(
        "asked", callbacks=[cancelled, lambda _: [Observation(3, {"who": "good"})]]
    )

    def collect():
        _guard.own_thread()
        found.append(telemetry.metric("asked", who="good").value)

    copy_context().run(collect)
    assert ([3], 1) == (found, len(said()))
    with pytest.raises(CancelledError):
        telemetry.metric("asked", who="good")


def test_generator_callbacks_work(telemetry):
    """A callback written as a generator, as the API allows, is advanced once and then asked."""

    def numbers():
        options = yield
        while options is not None:
            options = yield [Observation(4)]

    otelkit.get_meter("generators").create_observable_counter("gen", callbacks=[numbers()])

    assert 4 == telemetry.metric("gen").value


def test_disabled_scopes_are_no_ops():
    """Tracers, meters and loggers of a disabled scope do nothing; wildcards count."""
    settings = otelkit.Settings(service_name="x", disabled_scopes=("noisy.*",))
    with capture(settings=settings) as telemetry:
        for scope in ("noisy.lib", "quiet"):
            with trace.get_tracer(scope).start_as_current_span(scope):
                metrics.get_meter(scope).create_counter(f"{scope}.n").add(1)
                _otel.get_logger(scope).emit(_otel.LogRecord(body=scope))

    assert ["quiet"] == [span.name for span in telemetry.spans]
    assert ["quiet.n"] == [
        metric.name for metric in telemetry.metrics if metric.scope in {"quiet", "noisy.lib"}
    ]
    assert ["quiet"] == [log.event for log in telemetry.logs]


def test_spans_inside_a_disabled_scope_keep_their_parent():
    """A no-op span hands its parent's context on."""
    settings = otelkit.Settings(service_name="x", disabled_scopes=("noisy",))
    with capture(settings=settings) as telemetry, otelkit.span("outer"):
        with trace.get_tracer("noisy").start_as_current_span("hidden"), otelkit.span("inner"):
            pass

    assert telemetry.span("inner").parent_id == telemetry.span("outer").span_id


def test_units_choose_the_buckets(telemetry):
    """A histogram in seconds has buckets for seconds; an advice of its own wins."""
    meter = otelkit.get_meter("buckets")
    meter.create_histogram("plain", unit="s").record(0.2)
    meter.create_histogram("own", unit="s", explicit_bucket_boundaries_advisory=[1, 2]).record(0.2)

    assert 0.005 == telemetry.metric("plain").point.bounds[0]
    assert (1.0, 2.0) == telemetry.metric("own").point.bounds


@pytest.mark.parametrize("bounds", [[float("inf")], [1, 1], [3, 1], ["a"], [], 7])
def test_odd_bucket_bounds_do_not_raise(telemetry, bounds):
    """Bounds that are infinite, repeated, unsorted or no numbers make a histogram that works."""
    histogram = otelkit.get_meter("odd").create_histogram(
        "odd_bounds_" + str(abs(hash(str(bounds)))),
        explicit_bucket_boundaries_advisory=bounds,
    )
    histogram.record(2)

    assert 1 == sum(metric.count for metric in telemetry.metrics if metric.kind == "histogram")


def test_turning_while_threads_measure_loses_nothing():
    """Adds from other threads during a turn land in one run or the other, exactly."""
    counter = metrics.get_meter("race").create_counter("race")
    with capture() as outer:
        go = threading.Event()

        def work():
            go.wait()
            for _ in range(2_000):
                counter.add(1)

        threads = [threading.Thread(target=work) for _ in range(3)]
        for thread in threads:
            thread.start()
        go.set()
        with capture() as inner:
            for _ in range(100):
                counter.add(1)
        for thread in threads:
            thread.join()
        seen = sum(metric.value for run in (outer, inner) for metric in run.metrics if metric.name == "race")

    assert 6_100 == seen


def test_providers_have_the_sdk_providers_members(telemetry):
    """What other vendors call on the global providers is there: processors, resource, flush."""
    from opentelemetry.sdk.trace import SpanProcessor

    names = []

    class Processor(SpanProcessor):
        def on_end(self, span):
            names.append(span.name)

    provider = trace.get_tracer_provider()
    provider.add_span_processor(Processor())
    try:
        with otelkit.span("seen"):
            pass
        with capture(), otelkit.span("seen again"):
            pass
        assert ["seen", "seen again"] == names
        assert "test" == provider.resource.attributes["service.name"]
        assert provider.force_flush(100) is True
    finally:
        provider._added.clear()
        provider.source.processors.users = ()


def test_failing_processor_of_somebody_harms_nobody(telemetry, said):
    """A span processor that raises is named once; the span and the others go on."""
    from opentelemetry.sdk.trace import SpanProcessor

    class Broken(SpanProcessor):
        def on_start(self, span, parent_context=None):
            raise RuntimeError("start")

        def on_end(self, span):
            raise RuntimeError("end")

    provider = trace.get_tracer_provider()
    provider.add_span_processor(Broken())
    try:
        for _ in range(2):
            with otelkit.span("a"):
                pass
    finally:
        provider._added.clear()
        provider.source.processors.users = ()

    assert 2 == len(telemetry.spans)
    assert 2 == len(said())


class Unasked:
    """Nothing can be asked of it."""

    __class__ = property(boom)
    __bool__ = __hash__ = __eq__ = __str__ = __repr__ = __iter__ = __len__ = __float__ = boom


@pytest.mark.parametrize("bounds", [lambda: Unasked(), lambda: [1, Unasked()]])
@pytest.mark.parametrize("name", [lambda: "good", lambda: Unasked()])
def test_bounds_that_raise_are_named(telemetry, said, name, bounds):
    """Bounds that cannot be read, under whatever name, are named; the histogram measures."""
    histogram = otelkit.get_meter("bounds").create_histogram(
        name(), unit="s", explicit_bucket_boundaries_advisory=bounds()
    )
    histogram.record(1)

    assert "bucket bounds that are no numbers" in said()[0]
    assert type(name()) is not str or 1 == telemetry.metric("good").count
