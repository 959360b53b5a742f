from types import SimpleNamespace

import pytest
from opentelemetry.sdk.trace import TracerProvider

from otelkit.pipeline.sizes import record_size, span_size


@pytest.fixture
def tracer():
    return TracerProvider(shutdown_on_exit=False).get_tracer("t")


def ended(tracer, attributes=None, events=()):
    span = tracer.start_span("s", attributes=attributes)
    for name, fields in events:
        span.add_event(name, fields)
    span.end()
    return span


def record(body=None, attributes=None):
    return SimpleNamespace(log_record=SimpleNamespace(body=body, attributes=attributes))


def test_a_bare_span_has_its_measured_size(tracer):
    """A span without anything takes what was measured."""
    assert 2_900 == span_size(ended(tracer))


def test_texts_count_by_their_length(tracer):
    """An attribute costs its place and its text; a number its place only."""
    assert 2_900 + 110 + 1_000 == span_size(ended(tracer, {"a": "x" * 1_000}))
    assert 2_900 + 3 * 110 == span_size(ended(tracer, {"a": 1, "b": 2.5, "c": True}))


def test_sequences_count_item_by_item(tracer):
    """A list of texts costs a place for each."""
    assert 2_900 + 110 + 2 * 60 + 7 == span_size(ended(tracer, {"a": ["abc", "defg"]}))


def test_events_count_with_their_attributes(tracer):
    """So does each event."""
    events = [("e", {"a": "xyz"}), ("f", None)]

    assert 2_900 + 2 * 600 + 110 + 3 == span_size(ended(tracer, events=events))


def test_a_copied_span_has_a_size_too(tracer):
    """A readable copy, as somebody else's processor may hand it on."""
    assert 2_900 + 110 + 1 == span_size(ended(tracer, {"a": "x"})._readable_span())


def test_a_record_counts_its_body_and_fields():
    """The text of a log record and its attributes."""
    assert 700 + 5 == record_size(record("hello"))
    assert 700 + 110 + 2 == record_size(record(None, {"a": "xx"}))


def test_a_structured_body_counts_at_any_depth():
    """Maps, lists, bytes and texts in each other."""
    body = {"a": [b"1234", "56"], "b": {"c": None}}

    assert 700 + 110 + (60 + 4) + (60 + 2) + 110 + 110 == record_size(record(body))


@pytest.mark.parametrize("value", [None, 7, 2.5, True, (), b"", object()])
def test_no_value_is_too_strange(value):
    """A size is a guess; nothing makes it fail."""
    assert 700 + 110 == record_size(record(value, {"a": value}))
