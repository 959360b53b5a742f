"""Quantiles from buckets, worked out by hand."""

from __future__ import annotations

import pytest

from otelkit.readings._quantile import bucket_quantile


@pytest.mark.parametrize(
    "q, bounds, counts, value",
    [
        (0.5, [1, 2, 4], [0, 10, 0, 0], 1.5),  # rank 5 of 10 within (1, 2]
        (0.9, [1, 2, 4], [5, 5, 10, 0], 3.6),  # rank 18: 8 of 10 within (2, 4]
        (0.25, [1, 2, 4], [10, 0, 0, 0], 0.25),  # the first bucket begins at 0
        (0.5, [-2, -1, 1], [4, 0, 0, 0], -2),  # ... unless its bound is not positive
        (0.75, [-2, -1, 1], [1, 1, 2, 0], 0.0),  # rank 3: half of (-1, 1]
        (0.99, [1, 2, 4], [0, 0, 1, 9], 4),  # of what lies above, the last bound is known
        (1.0, [1, 2, 4], [0, 4, 0, 0], 2.0),
        (0.5, [1, 2, 4], [2, 0, 2, 0], 1.0),  # rank 2 is reached by the first bucket
        (0.0, [1, 2, 4], [4, 0, 0, 0], 0.0),
        (0.0, [1, 2, 4], [0, 4, 0, 0], None),  # Prometheus: NaN
        (0.5, [1, 2, 4], [0, 0, 0, 0], None),
        (0.5, [], [7], None),
    ],
)
def test_quantiles_by_hand(q, bounds, counts, value):
    """The rank is searched in the buckets and interpolated within the one where it lies."""
    assert bucket_quantile(q, bounds, counts) == value
