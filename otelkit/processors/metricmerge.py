"""Points and metrics that became one: merged without losing a count.

Pure functions over the SDK's immutable data. Two points merge when their attributes became equal
(by redaction, or by the rules for label names), two metrics when they are exposed under one name.
"""

from __future__ import annotations

import math
import sys
from bisect import bisect_left
from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import accumulate
from typing import Any

from opentelemetry.sdk.metrics.export import (
    Buckets,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
)

__all__ = [
    "merge_points",
    "merge_scopes",
    "metrics_of",
    "rebin",
    "with_bounds",
    "with_rising_bounds",
]

Attributes = Mapping[str, Any]

_MAX_EXPONENTIAL_BUCKETS = 160  # the SDK's own limit


def _identity(attributes: Attributes | None) -> Hashable:
    # Tagged by type, as for OpenTelemetry True, 1 and 1.0 are three values.
    return frozenset(
        (key, value if type(value) is str else (type(value).__name__, repr(value)))
        for key, value in (attributes or {}).items()
    )


def metrics_of(metrics_data: MetricsData) -> list[Metric]:
    """All metrics of all scopes, in the order in which they were collected."""
    return [
        metric
        for resource in metrics_data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    ]


def merge_scopes(
    metrics: Sequence[Metric],
    *,
    attributes: Callable[[Metric, Attributes], Attributes],
    identity: Callable[[Attributes], Hashable] = _identity,
) -> Metric:
    """One metric made of the metrics of several scopes.

    Args:
        metrics: At least one; all of one kind and temporality.
        attributes: Gives the new attributes of a point of a metric.
        identity: When two of these new attribute sets are equal.

    Returns:
        A metric with the first one's name and unit and the first description that is not empty;
        for its points see `merge_points`.
    """
    points = [
        replace(point, attributes=attributes(metric, point.attributes or {}))
        for metric in metrics
        for point in metric.data.data_points
    ]
    data: Any = metrics[0].data
    return replace(
        metrics[0],
        description=next((metric.description for metric in metrics if metric.description), ""),
        data=replace(data, data_points=merge_points(data, points, identity=identity)),
    )


def merge_points(
    data: object, points: Sequence[Any], *, identity: Callable[[Any], Hashable] = _identity
) -> Sequence[Any]:
    """Points of which no two have equal attributes.

    Sums are added, of gauges the last one stays, histograms are added over the bounds that they
    share (nothing is lost but resolution), exponential histograms at the finest scale that both
    can be brought to.

    Args:
        data: The SDK's data (Sum, Gauge ...) that the points belong to.
        points: Points of one metric.
        identity: When two attribute sets are equal; by default, by keys, values and their types.

    Returns:
        The same sequence when there is nothing to merge.
    """
    merged: dict[Hashable, Any] = {}
    for point in points:
        name = identity(point.attributes)
        earlier = merged.get(name)
        merged[name] = point if earlier is None else _merge(data, earlier, point)
    return points if len(merged) == len(points) else list(merged.values())


def _merge(data: object, one: Any, other: Any) -> Any:
    if isinstance(data, Gauge):
        return other
    starts = [point.start_time_unix_nano for point in (one, other) if point.start_time_unix_nano]
    common: dict[str, Any] = {
        "start_time_unix_nano": min(starts, default=one.start_time_unix_nano),
        "time_unix_nano": max(one.time_unix_nano, other.time_unix_nano),
        "exemplars": [*(one.exemplars or ()), *(other.exemplars or ())],
    }
    if not hasattr(one, "count"):
        return replace(one, value=one.value + other.value, **common)
    common["count"] = one.count + other.count
    common["sum"] = one.sum + other.sum
    common["min"], common["max"] = min(one.min, other.min), max(one.max, other.max)
    shape = _merge_exponential if hasattr(one, "scale") else _merge_explicit
    return replace(one, **common, **shape(one, other))


def _merge_explicit(one: HistogramDataPoint, other: HistogramDataPoint) -> dict[str, Any]:
    shared = frozenset(other.explicit_bounds)
    bounds = tuple(bound for bound in one.explicit_bounds if bound in shared)
    counts = [
        left + right
        for left, right in zip(
            rebin(one.bucket_counts, one.explicit_bounds, bounds),
            rebin(other.bucket_counts, other.explicit_bounds, bounds),
            strict=True,
        )
    ]
    return {"explicit_bounds": bounds, "bucket_counts": counts}


def rebin(counts: Sequence[int], bounds: Sequence[float], kept: Sequence[float]) -> list[int]:
    """Counts of a histogram over some of its bounds.

    Args:
        counts: One count per bound, and one for what lies above the last.
        bounds: Upper bounds, rising.
        kept: The bounds to keep, each one of ``bounds``, rising.

    Returns:
        One count per kept bound and one for the rest; their sum is that of ``counts``.
    """
    if len(kept) == len(bounds):
        return list(counts)
    return _counts_at(counts, [bisect_left(bounds, bound) for bound in kept])


def _counts_at(counts: Sequence[int], positions: Sequence[int]) -> list[int]:
    totals = list(accumulate(counts))
    at = [totals[position] for position in positions]
    return [after - before for before, after in zip([0, *at], [*at, totals[-1]], strict=True)]


def _merge_exponential(
    one: ExponentialHistogramDataPoint, other: ExponentialHistogramDataPoint
) -> dict[str, Any]:
    scale = min(one.scale, other.scale)
    while any(
        _span(_indexes(one, side, scale), _indexes(other, side, scale)) > _MAX_EXPONENTIAL_BUCKETS
        for side in ("positive", "negative")
    ):
        scale -= 1
    return {
        "scale": scale,
        "zero_count": one.zero_count + other.zero_count,
        **{
            side: _dense(_indexes(one, side, scale), _indexes(other, side, scale))
            for side in ("positive", "negative")
        },
    }


def _indexes(point: ExponentialHistogramDataPoint, side: str, scale: int) -> dict[int, int]:
    """Counts by bucket index at a coarser scale: each step down folds two buckets into one."""
    buckets: Buckets = getattr(point, side)
    folded: dict[int, int] = {}
    for position, count in enumerate(buckets.bucket_counts):
        if count:
            index = (buckets.offset + position) >> (point.scale - scale)
            folded[index] = folded.get(index, 0) + count
    return folded


def _span(*sides: Mapping[int, int]) -> int:
    used = [index for side in sides for index in side]
    return max(used) - min(used) + 1 if used else 0


def _dense(one: Mapping[int, int], other: Mapping[int, int]) -> Buckets:
    used = [*one, *other]
    offset, width = min(used, default=0), _span(one, other)
    indexes = range(offset, offset + width)
    return Buckets(offset, [one.get(index, 0) + other.get(index, 0) for index in indexes])


def with_rising_bounds(metric: Metric) -> Metric:
    """A histogram whose bounds are finite and strictly rising; any other metric as it is.

    Older SDKs take whatever bounds they are given. A bound that is not above the one before it is
    left out, and what was counted under it is counted under the next.
    """
    data = metric.data
    if not isinstance(data, Histogram) or all(
        _kept(tuple(point.explicit_bounds)) is None for point in data.data_points
    ):
        return metric
    points = [_rising_point(point) for point in data.data_points]
    return replace(metric, data=replace(data, data_points=points))


def _rising_point(point: HistogramDataPoint) -> HistogramDataPoint:
    kept = _kept(tuple(point.explicit_bounds))
    if kept is None:
        return point
    return replace(
        point,
        explicit_bounds=tuple(point.explicit_bounds[position] for position in kept),
        bucket_counts=_counts_at(point.bucket_counts, kept),
    )


@lru_cache(maxsize=256)
def _kept(bounds: tuple[float, ...]) -> tuple[int, ...] | None:
    """The positions of the bounds that can stay, None when all can."""
    kept: list[int] = []
    for position, bound in enumerate(bounds):
        if math.isfinite(bound) and (not kept or bound > bounds[kept[-1]]):
            kept.append(position)
    return None if len(kept) == len(bounds) else tuple(kept)


def with_bounds(metric: Metric, bounds: Sequence[float]) -> Metric:
    """An exponential histogram as one with explicit bounds; any other metric as it is.

    An exponential bucket that a bound cuts is counted above it, so that no observation appears
    under a bound that it exceeds. The error is at most one exponential bucket.

    Args:
        metric: A metric of any kind.
        bounds: Upper bounds, rising.
    """
    data = metric.data
    if not isinstance(data, ExponentialHistogram):
        return metric
    points = [_explicit_point(point, tuple(bounds)) for point in data.data_points]
    return replace(metric, data=Histogram(points, data.aggregation_temporality))


def _explicit_point(point: ExponentialHistogramDataPoint, bounds: tuple[float, ...]) -> HistogramDataPoint:
    counts = [0] * (len(bounds) + 1)

    def put(upper: float, count: int) -> None:
        counts[bisect_left(bounds, min(upper, point.max) if count else upper)] += count

    for position, count in enumerate(point.negative.bucket_counts):
        put(-_edge(point.negative.offset + position, point.scale), count)
    put(0.0, point.zero_count)
    for position, count in enumerate(point.positive.bucket_counts):
        put(_edge(point.positive.offset + position + 1, point.scale), count)
    return HistogramDataPoint(
        attributes=point.attributes,
        start_time_unix_nano=point.start_time_unix_nano,
        time_unix_nano=point.time_unix_nano,
        count=point.count,
        sum=point.sum,
        bucket_counts=counts,
        explicit_bounds=bounds,
        min=point.min,
        max=point.max,
        exemplars=point.exemplars,
    )


def _edge(index: int, scale: int) -> float:
    """The upper edge of the bucket below ``index``: 2 to the power of index / 2^scale."""
    exponent = index * 2.0**-scale
    return 2.0**exponent if exponent < sys.float_info.max_exp else math.inf
