import pytest
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF

from otelkit import _otel
from otelkit._otel import metrics as sdk_metrics
from otelkit.settings import Settings
from otelkit.testing import capture


class OwnSpan(_otel.SdkSpan):
    """A span class of ours."""


@pytest.fixture
def tracer():
    return TracerProvider(shutdown_on_exit=False).get_tracer("t")


def test_spans_of_the_sdks_tracer_have_our_class(tracer):
    """The SDK's start_span makes spans of the class that is asked for, parents and attributes as ever."""
    start = _otel.start_span_of(tracer, OwnSpan)
    span = start("a", attributes={"n": 1})

    assert (OwnSpan, "a", 1) == (type(span), span.name, span.attributes["n"])
    assert type(tracer.start_span("b")) is _otel.SdkSpan


def test_span_that_is_not_sampled_stays_what_the_sdk_makes_of_it():
    """Only recording spans have our class."""
    tracer = TracerProvider(sampler=ALWAYS_OFF, shutdown_on_exit=False).get_tracer("t")

    assert not _otel.start_span_of(tracer, OwnSpan)("a").is_recording()


def test_wrapped_start_span_is_left_as_it_is(tracer):
    """A tracer whose start_span somebody has replaced keeps the replacement."""
    tracer.start_span = lambda name: name.upper()

    assert "A" == _otel.start_span_of(tracer, OwnSpan)("a")


def test_processors_see_a_span_that_takes_anything_from_its_start():
    """A processor may set any value in on_start, and at the end sees what was set."""
    seen = []

    class Marks:
        def on_start(self, span, parent_context=None):
            span.set_attribute("mark", {"a": [1, object]})

        def on_end(self, span):
            seen.append((span.attributes["mark"], span.is_recording()))

        def shutdown(self):
            pass

        def force_flush(self, timeout_millis=30_000):
            return True

    with capture(settings=Settings(service_name="t", span_processors=(Marks(),))):
        from opentelemetry import trace

        trace.get_tracer("t").start_span("a").end()

    ((mark, recording),) = seen
    assert '"a"' in mark
    assert not recording


def test_ended_span_cannot_be_changed(telemetry):
    """What processors and exporters hold is the span itself, and nothing changes it after its end."""
    from opentelemetry import trace

    span = trace.get_tracer("t").start_span("a", attributes={"n": 1})
    span.end()
    span.set_attribute("n", 2)
    span.add_event("late")
    span.update_name("b")

    found = telemetry.span("a")
    assert (1, ()) == (found.attributes["n"], tuple(found.events))


def test_exemplars_are_offered_in_sampled_spans_only():
    """The trace-based filter says yes exactly where the SDK's own does."""
    from opentelemetry import trace
    from opentelemetry.context import Context
    from opentelemetry.sdk.metrics import TraceBasedExemplarFilter

    ours, theirs = sdk_metrics.exemplar_filter("trace_based"), TraceBasedExemplarFilter()
    contexts = [Context()]
    for flags in (0, 1):
        span = trace.NonRecordingSpan(
            trace.SpanContext(1, 2, is_remote=True, trace_flags=trace.TraceFlags(flags))
        )
        contexts.append(trace.set_span_in_context(span, Context()))

    answers = [ours.should_sample(1, 0, {}, context) for context in contexts]
    assert [False, False, True] == answers
    assert answers == [theirs.should_sample(1, 0, {}, context) for context in contexts]
