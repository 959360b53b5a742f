from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from otlp_samples import REQUESTS, collected, collections, gauge, grouped, owned, record, records, span, spans

from otelkit.wire import logs, metrics, split, traces

BODIES = st.one_of(
    st.lists(spans(), max_size=5).map(lambda batch: ("traces", traces.encode(batch).body)),
    st.lists(records(), max_size=5).map(lambda batch: ("logs", logs.encode(batch).body)),
)


@given(BODIES)
@settings(max_examples=40, deadline=None)
def test_two_halves_hold_all_the_items_in_their_order(given):
    """Each item is in one half, under its owners; the halves differ by one at most."""
    signal, body = given
    found = split.halves(signal, body)
    whole = split.count(signal, body)
    if whole < 2:
        assert found is None
        return

    (first, few), (second, many) = found
    assert (whole // 2, whole - whole // 2) == (few, many)
    assert (few, many) == (split.count(signal, first), split.count(signal, second))
    assert grouped(signal, body) == grouped(signal, first + second)


@given(collections())
@settings(max_examples=40, deadline=None)
def test_halves_of_metrics_hold_all_the_points(data):
    """The item is the point: none is lost, and nothing but points is left out."""
    body = metrics.encode(data).body
    found = split.halves("metrics", body)
    if found is None:
        assert split.count("metrics", body) < 2
        return

    (first, few), (second, many) = found
    assert points(body) == points(first) + points(second)
    assert (len(points(first)), len(points(second))) == (few, many)


def points(body):
    """The points with the names of their metrics."""
    return [
        (metric.name, point.SerializeToString(deterministic=True))
        for owner in REQUESTS["metrics"].FromString(body).resource_metrics
        for scope in owner.scope_metrics
        for metric in scope.metrics
        if metric.WhichOneof("data")
        for point in getattr(metric, metric.WhichOneof("data")).data_points
    ]


def test_one_metric_with_many_points_is_split():
    """Both halves have the metric, each with its part of the points."""
    body = metrics.encode(collected(gauge(1, 2, 3))).body
    (first, few), (second, many) = split.halves("metrics", body)

    assert (1, 2) == (few, many)
    assert ["a gauge"] * 3 == [name for name, _ in points(first) + points(second)]


def test_a_metric_is_only_where_its_points_are():
    """A half does not name metrics of which it has no point."""
    body = metrics.encode(collected(gauge(1, name="a"), gauge(2, name="b"))).body
    halves = split.halves("metrics", body)

    assert [["a"], ["b"]] == [[item.name for _, _, item in owned("metrics", half)] for half, _ in halves]


def test_a_body_may_be_several_requests():
    """Concatenated requests are split as one."""
    body = traces.encode([span("a")]).body + traces.encode([span("b"), span("c")]).body

    assert 3 == split.count("traces", body)
    assert [1, 2] == [count for _, count in split.halves("traces", body)]


@pytest.mark.parametrize("body", [b"", logs.encode([record()]).body])
def test_fewer_than_two_items_cannot_be_split(body):
    """None says that nothing can be done."""
    assert split.halves("logs", body) is None


def test_what_is_no_request_is_refused():
    """Bytes that cannot be parsed are named in the error."""
    with pytest.raises(ValueError, match="3 bytes are no export request of traces"):
        split.count("traces", b"\xff\xff\xff")
