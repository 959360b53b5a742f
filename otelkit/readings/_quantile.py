"""Quantiles of a histogram with explicit buckets, as Prometheus computes them."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from itertools import accumulate

__all__ = ["bucket_quantile"]


def bucket_quantile(q: float, bounds: Sequence[float], counts: Sequence[float]) -> float | None:
    """The value below which the share ``q`` of the observations lies, as far as buckets can tell.

    Observations are taken to be spread evenly over their bucket. The first bucket begins at 0 when
    its bound is positive, and is its bound otherwise; of what lies above the last bound, the last
    bound is all that is known.

    Source: Prometheus, ``histogram_quantile`` (promql/quantile.go, ``bucketQuantile``).

    Args:
        q: 0 to 1.
        bounds: Upper bounds, rising, without infinity.
        counts: Observations of each bucket, and of what lies above the last bound.

    Returns:
        None without observations or bounds, and (Prometheus: NaN) for ``q`` = 0 when the first
        bucket, which reaches down to 0, is empty.
    """
    upto = list(accumulate(counts))
    if not bounds or upto[-1] <= 0:
        return None
    rank = q * upto[-1]
    bucket = bisect_left(upto, rank, 0, len(bounds))
    if bucket == len(bounds):
        return bounds[-1]
    if bucket == 0 and bounds[0] <= 0:
        return bounds[0]
    start, below = (bounds[bucket - 1], upto[bucket - 1]) if bucket else (0.0, 0.0)
    inside = upto[bucket] - below
    return start + (bounds[bucket] - start) * ((rank - below) / inside) if inside else None
