from __future__ import annotations

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics import Exemplar
from opentelemetry.sdk.metrics._internal.point import Buckets
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    Sum,
)
from otlp_samples import collected, collections, gauge, grouped, number_point, only

from otelkit.wire import metrics, split


@given(collections())
@settings(max_examples=150, deadline=None)
def test_metrics_are_encoded_as_by_the_official_encoder(data):
    """Every field of every point and its metric, the owners and the order are the official encoder's."""
    encoded = metrics.encode(data)

    assert grouped("metrics", encode_metrics(data).SerializeToString()) == grouped("metrics", encoded.body)
    assert (split.count("metrics", encoded.body), 0) == (encoded.items, encoded.failed)


def test_what_a_meter_provider_collects_is_encoded():
    """A whole collection of the SDK, with all its instruments, is the same."""
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View

    reader = InMemoryMetricReader()
    views = [View(instrument_name="exp", aggregation=ExponentialBucketHistogramAggregation())]
    provider = MeterProvider([reader], views=views, shutdown_on_exit=False)
    meter = provider.get_meter("shop", "1.0", "https://schema", {"a": 1})
    meter.create_counter("n", unit="1", description="many").add(3, {"k": "v"})
    meter.create_histogram("h").record(2.5)
    meter.create_histogram("exp").record(7)
    meter.create_up_down_counter("u").add(-2)
    data = reader.get_metrics_data()
    provider.shutdown()

    assert grouped("metrics", encode_metrics(data).SerializeToString()) == grouped(
        "metrics", metrics.encode(data).body
    )
    assert 4 == metrics.encode(data).items


def test_a_point_that_cannot_be_expressed_is_left_out_and_counted():
    """A value that is no number costs its own point; the others of the metric are sent."""
    encoded = metrics.encode(collected(gauge(1, "two", None, 4.0), gauge(5)))

    assert (3, 2) == (encoded.items, encoded.failed)
    assert 3 == split.count("metrics", encoded.body)


def test_a_metric_without_a_point_that_can_be_expressed_is_left_out():
    """It is counted by its points, and its neighbours stay."""
    encoded = metrics.encode(collected(gauge("a", "b"), gauge(1, name="fine")))

    assert (1, 2) == (encoded.items, encoded.failed)
    assert "fine" == only("metrics", encoded).name


@pytest.mark.parametrize("broken", [None, Metric("x", None, None, None), Metric("x", None, None, object())])
def test_what_is_no_metric_counts_as_one_failed_point(broken):
    """A metric of an unknown kind is left out."""
    encoded = metrics.encode(collected(broken, gauge(1)))

    assert (1, 1) == (encoded.items, encoded.failed)


@pytest.mark.parametrize(
    ("value", "expected"),
    [(2**63, 2.0**63), (10**400, math.inf), (-(10**400), -math.inf)],
    ids=["just", "above", "below"],
)
def test_an_integer_beyond_64_bits_is_a_double(value, expected):
    """It loses digits rather than being lost."""
    (point,) = only("metrics", metrics.encode(collected(gauge(value)))).gauge.data_points

    assert expected == point.as_double


@pytest.mark.parametrize("wrong", [-1, 2**64, "now", None])
def test_the_time_of_a_point_may_be_wrong(wrong):
    """A time that is none becomes 0, which OTLP reads as unknown."""
    point = replace(number_point(1), time_unix_nano=wrong)
    data = Sum([point], AggregationTemporality.DELTA, is_monotonic=True)
    (sent,) = only("metrics", metrics.encode(collected(Metric("n", None, None, data)))).sum.data_points

    assert (1, 0, 1) == (sent.start_time_unix_nano, sent.time_unix_nano, sent.as_int)


@pytest.mark.parametrize(
    "changed", [{"count": -1}, {"bucket_counts": [1, -1]}, {"explicit_bounds": ["x"]}, {"sum": "x"}]
)
def test_a_histogram_with_wrong_numbers_is_not_sent(changed):
    """A point whose numbers are none is left out rather than sent with others."""
    point = HistogramDataPoint(None, 1, 2, 3, 4.0, [1, 2], [0.5], 0.1, 0.9)
    data = Histogram([point, replace(point, **changed)], AggregationTemporality.CUMULATIVE)
    encoded = metrics.encode(collected(Metric("h", None, None, data)))

    assert (1, 1) == (encoded.items, encoded.failed)


@pytest.mark.parametrize(
    "changed",
    [{"zero_count": -1}, {"scale": 2**31}, {"positive": Buckets(0, [-1])}, {"negative": Buckets(0, ["x"])}],
)
def test_an_exponential_histogram_with_wrong_numbers_is_not_sent(changed):
    """A point whose numbers are none is left out rather than sent with others."""
    buckets = Buckets(0, [1, 2])
    point = ExponentialHistogramDataPoint(None, 1, 2, 3, 4.0, 0, 0, buckets, buckets, 0, 0.1, 0.9)
    data = ExponentialHistogram([point, replace(point, **changed)], AggregationTemporality.CUMULATIVE)
    encoded = metrics.encode(collected(Metric("h", None, None, data)))

    assert (1, 1) == (encoded.items, encoded.failed)


def test_an_exemplar_that_cannot_be_encoded_is_left_out():
    """The point and its other exemplars are sent."""
    exemplars = [Exemplar({}, 1, 1, 2**64, 1), Exemplar({}, "x", 1), Exemplar({"a": 1}, 3, 1, 4, 5)]
    data = collected(Metric("g", None, None, Gauge([number_point(1, exemplars=exemplars)])))
    (point,) = only("metrics", encoded := metrics.encode(data)).gauge.data_points

    assert ([3], 0) == ([exemplar.as_int for exemplar in point.exemplars], encoded.failed)


def test_one_resource_in_two_entries_keeps_both():
    """Entries of one resource are put together; the official encoder keeps the last one only."""
    one, two = collected(gauge(1)), collected(gauge(2))
    data = MetricsData([*one.resource_metrics, *two.resource_metrics])

    ((_, items),) = grouped("metrics", metrics.encode(data).body)
    assert 2 == len(items)


def test_text_of_a_metric_is_repaired():
    """A lone surrogate in name, unit and description becomes U+FFFD."""
    sent = only(
        "metrics", metrics.encode(collected(Metric("\ud800", "\ud800", "\ud800", Gauge([number_point(1)]))))
    )

    assert {"\ufffd"} == {sent.name, sent.description, sent.unit}
