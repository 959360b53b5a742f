import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace.status import Status, StatusCode

from otelkit.processors.redact import Redactor
from otelkit.processors.spandata import clean_span


@pytest.fixture
def finished():
    exporter = InMemorySpanExporter()
    provider = TracerProvider(
        shutdown_on_exit=False, span_limits=SpanLimits(max_span_attributes=2, max_events=1)
    )
    provider.add_span_processor(SimpleSpanProcessor(exporter))

    def make(name="a", *, attributes=None, events=(), links=(), status=None):
        span = provider.get_tracer("t").start_span(name, attributes=attributes, links=links)
        for event, fields in events:
            span.add_event(event, fields)
        if status:
            span.set_status(Status(StatusCode.ERROR, status))
        span.end()
        return exporter.get_finished_spans()[-1]

    return make


def test_clean_span_is_handed_on_as_it_is(finished):
    """A span without secrets and without broken text is the same object after cleaning."""
    span = finished(attributes={"n": 1}, events=[("e", {"k": "v"})])

    assert clean_span(span, Redactor.of(True)) is span


def test_secrets_are_hidden_everywhere(finished):
    """Name, attributes, events, links and status are redacted; the original is untouched."""
    secret = "https://u:hunter2@h/"
    context = trace.SpanContext(1, 2, is_remote=False)
    span = finished(
        f"GET {secret}",
        attributes={"password": "hunter2", "url": secret},
        events=[("e", {"token": "hunter2"})],
        links=[trace.Link(context, {"url": secret})],
        status=f"failed at {secret}",
    )
    cleaned = clean_span(span, Redactor.of(True))

    assert "hunter2" not in cleaned.to_json() + repr(dict(cleaned.links[0].attributes))
    assert "hunter2" in span.to_json()


def test_broken_text_is_repaired(finished):
    """Lone surrogates and integers beyond 64 bits can be encoded afterwards."""
    span = finished("bad\ud83d", attributes={"big": 2**80}, events=[("e\ud83d", {"k": "\ud83d"})])
    cleaned = clean_span(span, Redactor.of(True))

    assert ("bad\ufffd", str(2**80)) == (cleaned.name, cleaned.attributes["big"])
    assert "\ufffd" == cleaned.events[0].attributes["k"]


def test_counts_of_dropped_items_survive(finished):
    """How many attributes and events the limits dropped is still told."""
    span = finished(
        attributes={"password": "x", "b": 1, "c": 2, "d": 3}, events=[("1", {}), ("2", {"token": "x"})]
    )
    cleaned = clean_span(span, Redactor.of(True))

    assert (span.dropped_attributes, span.dropped_events) == (
        cleaned.dropped_attributes,
        cleaned.dropped_events,
    )
    assert (2, 1) == (cleaned.dropped_attributes, cleaned.dropped_events)
    assert cleaned.resource is span.resource
