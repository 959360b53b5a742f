"""Merging points and metrics loses no count."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    InMemoryMetricReader,
    Metric,
    NumberDataPoint,
    Sum,
)
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation

from otelkit.processors.metricmerge import (
    merge_points,
    merge_scopes,
    metrics_of,
    rebin,
    with_bounds,
    with_rising_bounds,
)

CUMULATIVE = AggregationTemporality.CUMULATIVE


def number(value, *, at=1, **attributes):
    return NumberDataPoint(attributes, 0, at, value)


def histogram(values, *, exponential=False, bounds=(1.0, 2.0, 5.0)):
    """The metric of one histogram with these values, made by the SDK."""
    options = {}
    if exponential:
        options["preferred_aggregation"] = {Histogram: ExponentialBucketHistogramAggregation()}
    reader = InMemoryMetricReader(**options)
    made = (
        MeterProvider(metric_readers=[reader])
        .get_meter("m")
        .create_histogram("h", explicit_bucket_boundaries_advisory=list(bounds))
    )
    for value in values:
        made.record(value)
    return metrics_of(reader.get_metrics_data())[0]


def merged(one, other):
    data = one.data
    (point,) = merge_points(data, [*data.data_points, *other.data.data_points])
    return point


def test_sums_are_added():
    """Two counters of one identity count together."""
    data = Sum([], CUMULATIVE, True)

    assert [p.value for p in merge_points(data, [number(1, a=1), number(5), number(2, a=1)])] == [
        3,
        5,
    ]


def test_of_gauges_the_last_one_stays():
    """A gauge is a reading, not an amount."""
    data = Gauge([])

    assert [point.value for point in merge_points(data, [number(9, at=1), number(4, at=2)])] == [4]


def test_points_of_different_attributes_are_left_alone():
    """Nothing to merge gives the same sequence back."""
    given = [number(1, a=1), number(1, a="1"), number(1, a=True), number(1, b=1)]

    assert merge_points(Sum([], CUMULATIVE, True), given) is given


def test_histograms_with_equal_bounds_are_added():
    """Counts, sum, extremes and buckets are those of all values together."""
    point = merged(histogram([0.5, 3]), histogram([1.5, 9]))

    assert (point.count, point.sum, point.min, point.max) == (4, 14, 0.5, 9)
    assert list(point.bucket_counts) == [1, 1, 1, 1]


def test_histograms_with_other_bounds_keep_the_shared_ones():
    """No observation is lost, and each shared bound still counts exactly what is under it."""
    point = merged(histogram([0.5, 1.5, 3, 9]), histogram([0.5, 4, 20], bounds=(2.0, 5.0, 10.0)))

    assert tuple(point.explicit_bounds) == (2.0, 5.0)
    assert list(point.bucket_counts) == [3, 2, 2]


def test_histograms_without_a_shared_bound_keep_count_and_sum():
    """Only the distribution goes when there is nothing to compare it by."""
    point = merged(histogram([0.5, 3]), histogram([7], bounds=(7.5,)))

    assert (point.count, point.sum, list(point.bucket_counts)) == (3, 10.5, [3])


def test_exponential_histograms_are_merged_as_if_recorded_in_one():
    """The merge is what one histogram of all values at that scale would be."""
    shuffled = random.Random(7)
    left = [shuffled.lognormvariate(0, 2) for _ in range(300)] + [0.0]
    right = [shuffled.lognormvariate(5, 1) for _ in range(300)]
    point = merged(histogram(left, exponential=True), histogram(right, exponential=True))
    base = 2.0 ** (2.0**-point.scale)

    assert (point.count, point.zero_count) == (601, 1)
    assert sum(point.positive.bucket_counts) == 600
    for position, count in enumerate(point.positive.bucket_counts):
        low = base ** (point.positive.offset + position)
        inside = [value for value in left + right if low < value <= low * base]
        assert count == pytest.approx(len(inside), abs=1)  # values on an edge


def test_a_merge_of_distant_exponential_histograms_stays_small():
    """It coarsens as far as 160 buckets a side demand."""
    point = merged(histogram([1e-300], exponential=True), histogram([1e300], exponential=True))

    assert sum(point.positive.bucket_counts) == 2
    assert len(point.positive.bucket_counts) <= 160


def test_the_first_description_that_says_something_wins():
    """Scopes describe one metric in different words; a page has room for one."""
    metrics = [Metric("n", text, "s", Sum([number(1)], CUMULATIVE, True)) for text in ("", "first", "second")]
    one = merge_scopes(metrics, attributes=lambda metric, attributes: attributes)

    assert (one.description, [point.value for point in one.data.data_points]) == ("first", [3])


def test_rebin_counts_everything_once():
    """Counts move up to the next kept bound."""
    assert rebin([1, 2, 3, 4], (1.0, 2.0, 5.0), (2.0,)) == [3, 7]
    assert rebin([1, 2, 3, 4], (1.0, 2.0, 5.0), ()) == [10]


@pytest.mark.parametrize("sign", [1, -1])
def test_exponential_histograms_get_explicit_bounds(sign):
    """No observation appears under a bound that it exceeds, and none is lost."""
    values = [0.0, 0.001, 0.3, 1.0, 1.5, 4.9, 5.0, 80.0]
    bounds = (-5.0, -1.0, -0.01, 0.0, 0.5, 1.0, 5.0)
    metric = histogram(values, exponential=True)
    if sign < 0:  # the SDK records none, but the data model knows negative values
        (point,) = metric.data.data_points
        mirrored = replace(
            point, positive=point.negative, negative=point.positive, min=-point.max, max=-point.min
        )
        metric = replace(metric, data=replace(metric.data, data_points=[mirrored]))
    (point,) = with_bounds(metric, bounds).data.data_points

    assert sum(point.bucket_counts) == 8
    for position, bound in enumerate(bounds):
        below = sum(point.bucket_counts[: position + 1])
        assert below <= len([value for value in values if sign * value <= bound])
        assert below >= len([value for value in values if sign * value <= bound - abs(bound) * 0.1])


def test_the_largest_value_bounds_its_own_bucket():
    """A histogram of one value on a bound is under this bound."""
    metric = with_bounds(histogram([10.0] * 3, exponential=True), (1.0, 10.0))

    assert metric.data.data_points[0].bucket_counts == [0, 3, 0]


def test_other_metrics_need_no_bounds():
    """Explicit histograms and sums come back as they are."""
    metric = histogram([1.0])

    assert with_bounds(metric, (7.0,)) is metric


def test_bounds_that_do_not_rise_are_left_out():
    """Older SDKs take infinite, repeated and unsorted bounds; no count is lost with them."""
    (point,) = histogram([0.5, 3]).data.data_points
    bounds, counts = (1.0, 5.0, 2.0, 5.0, 7.0, float("inf")), [1, 2, 3, 4, 5, 6, 0]
    broken = replace(point, explicit_bounds=bounds, bucket_counts=counts)
    metric = histogram([1.0])
    metric = replace(metric, data=replace(metric.data, data_points=[broken]))
    (point,) = with_rising_bounds(metric).data.data_points

    assert (point.explicit_bounds, point.bucket_counts) == ((1.0, 5.0, 7.0), [1, 2, 12, 6])


def test_good_bounds_are_left_alone():
    """The usual case copies nothing."""
    metric = histogram([1.0])

    assert with_rising_bounds(metric) is metric
