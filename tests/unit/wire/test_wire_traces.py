from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.sdk.util import BoundedList
from opentelemetry.trace import Link, SpanContext
from otlp_samples import grouped, only, span, spans, told

from otelkit.wire import Encoded, traces

MANY = settings(max_examples=80, deadline=None)


@given(st.lists(spans(), max_size=4))
@MANY
def test_spans_are_encoded_as_by_the_official_encoder(batch):
    """Every field of every span, the owners and the order are those of the official encoder."""
    encoded = traces.encode(batch)

    assert grouped("traces", encode_spans(batch).SerializeToString()) == grouped("traces", encoded.body)
    assert (len(batch), 0) == (encoded.items, encoded.failed)


@given(st.lists(spans(), min_size=1, max_size=3))
@MANY
def test_the_public_properties_of_a_foreign_class_give_the_same(batch):
    """A span that only has the public properties is encoded like the SDK's."""
    names = "name kind parent start_time end_time attributes status resource instrumentation_scope".split()
    foreign = [
        SimpleNamespace(
            **{name: getattr(one, name) for name in names},
            events=one._events,
            links=one._links,
            get_span_context=one.get_span_context,
        )
        for one in batch
    ]
    for one, original in zip(foreign, batch):
        one.attributes = original._attributes  # of the SDK's class, as it counts what was dropped

    assert traces.encode(batch) == traces.encode(foreign)


def test_no_spans_are_an_empty_request():
    """Without spans the body is empty, which is a request too."""
    assert Encoded(b"", 0, 0) == traces.encode([])


def test_equal_resources_are_one_group():
    """Resources and scopes that are alike stand once, whichever objects they are."""
    batch = [span(resource=Resource({"service.name": "shop"})) for _ in range(3)]

    ((_, items),) = grouped("traces", traces.encode(batch).body)
    assert 3 == len(items)


def test_a_span_without_times_is_encoded():
    """A span that has not ended has no end time."""
    encoded = traces.encode([span_of(start_time=5, end_time=None)])

    assert (5, 0, 0) == (
        only("traces", encoded).start_time_unix_nano,
        only("traces", encoded).end_time_unix_nano,
        encoded.failed,
    )


@pytest.mark.parametrize("wrong", [-1, 2**64, "now", float("nan"), float("inf"), -0.5, object()])
def test_a_time_that_is_none_is_unknown(wrong):
    """A wrong time becomes 0 and costs nothing else."""
    encoded = traces.encode([span_of(start_time=wrong, end_time=7, attributes={"a": 1})])

    sent = only("traces", encoded)
    assert (0, 7, {"a": 1}, 0) == (
        sent.start_time_unix_nano,
        sent.end_time_unix_nano,
        told(sent.attributes),
        encoded.failed,
    )


def test_a_time_in_floating_point_is_kept():
    """Times are often given as a float; its whole nanoseconds are kept."""
    sent = only("traces", traces.encode([span_of(start_time=1e18, end_time=7)]))

    assert 10**18 == sent.start_time_unix_nano


@pytest.mark.parametrize("trace_id", [-1, 2**128, "abc", None, 1.5])
def test_a_span_with_a_wrong_id_is_a_stub(trace_id):
    """A trace id that is none leaves the span id, the name, the times and the reason."""
    stub = only("traces", encoded := traces.encode([span_of(context=context(trace_id=trace_id))]))

    assert (1, 1) == (encoded.items, encoded.failed)
    assert (b"", bytes(7) + b"\x02", "a span", 3, 4) == (
        stub.trace_id,
        stub.span_id,
        stub.name,
        stub.start_time_unix_nano,
        stub.end_time_unix_nano,
    )
    assert ["otelkit.encode_error"] == list(told(stub.attributes))


def test_a_stub_does_not_touch_its_neighbours():
    """The spans before and after one that cannot be encoded are as they would be alone."""
    fine, broken = span("fine"), span_of(attributes=5)
    ((owner, alone),) = grouped("traces", traces.encode([fine]).body)

    encoded = traces.encode([fine, broken, fine])
    items = dict(grouped("traces", encoded.body))
    assert alone * 2 == items[owner]
    assert (3, 1) == (encoded.items, encoded.failed)


def test_a_stub_says_why():
    """The class of the exception is told, and its message when that is plain text."""
    stub = only("traces", traces.encode([Hostile(ValueError("no such field"))]))

    assert {"otelkit.encode_error": "ValueError: no such field"} == told(stub.attributes)
    assert "<unencodable span>" == stub.name


def test_nothing_of_the_application_runs_to_say_why():
    """An exception that cannot be printed is told by its class."""

    class Unprintable(Exception):
        args = 5

        def __str__(self):
            raise AssertionError

        __repr__ = __str__

    for problem in (Unprintable(), ValueError(object())):
        stub = only("traces", traces.encode([Hostile(problem)]))
        assert {"otelkit.encode_error": type(problem).__name__} == told(stub.attributes)


@pytest.mark.parametrize(
    "name", ["a\ud800b", 5, None, ["x"], type("Text", (str,), {"__str__": None})("a\ufffdb")]
)
def test_every_name_is_sent(name):
    """A name is repaired; what is no text is shown by its class, or is a stub."""
    sent = only("traces", traces.encode([span_of(name=name)]))

    assert sent.name in {"a\ufffdb", "<int>", "", "<unencodable span>"}


def test_an_event_or_link_that_cannot_be_encoded_counts_as_dropped():
    """It costs neither the span nor its neighbours."""
    events = [Event("good", {"a": 1}, 1), Event("bad", 5, 2), object()]
    links = [Link(context(trace_id=2**128)), Link(context(trace_id=9))]
    sent = only("traces", encoded := traces.encode([span_of(events=events, links=links)]))

    assert ["good"] == [event.name for event in sent.events]
    assert (2, 1, 1, 0) == (
        sent.dropped_events_count,
        sent.dropped_links_count,
        len(sent.links),
        encoded.failed,
    )


def test_what_was_dropped_is_told_though_nothing_is_left():
    """A span whose events and links were all dropped says how many there were."""
    made = span(links=[Link(context())])
    made._links = BoundedList.from_seq(0, made._links)
    made._events.dropped = 2**40

    sent = only("traces", traces.encode([made]))
    assert (2**32 - 1, 1) == (sent.dropped_events_count, sent.dropped_links_count)


def test_the_time_of_an_event_may_be_wrong():
    """An event with a time in floating point is sent with its whole nanoseconds."""
    sent = only("traces", traces.encode([span_of(events=[Event("e", None, 1.5)])]))

    assert [("e", 1)] == [(event.name, event.time_unix_nano) for event in sent.events]


def test_a_kind_and_a_status_of_another_world_cost_no_neighbour():
    """A kind that OTLP does not have is left out; such a status makes a stub."""
    sent = only("traces", encoded := traces.encode([span_of(kind=SimpleNamespace(_value_=77))]))
    assert (0, 0) == (sent.kind, encoded.failed)

    status = SimpleNamespace(_status_code=SimpleNamespace(_value_=9), _description=None)
    assert 1 == traces.encode([span_of(status=status)]).failed


def test_an_owner_that_cannot_be_read_keeps_its_items():
    """A span whose resource raises is sent under an empty resource."""
    ((owner, items),) = grouped("traces", traces.encode([span_of(resource=5)]).body)

    assert (b"", 1) == (owner[0], len(items))


class Hostile:
    """A span that raises whatever is read."""

    def __init__(self, problem):
        self.problem = problem

    def __getattr__(self, name):
        if name.startswith("_"):
            raise AttributeError(name)
        raise self.problem


def context(trace_id=1, span_id=2):
    made = SpanContext(1, 2, False)
    return tuple.__new__(SpanContext, (trace_id, span_id, *made[2:]))


def span_of(**fields):
    given = {"name": "a span", "context": context(), "start_time": 3, "end_time": 4, **fields}
    return ReadableSpan(**given)
