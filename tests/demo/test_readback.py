"""Numbers read back from a page are those that Prometheus would compute."""

from __future__ import annotations

import math

import pytest

from examples.agent.readback import Page, Red, read_red

TEXT = """\
# TYPE agent_requests_total counter
agent_requests_total{method="query",endpoint="/q",status="success"} 3
agent_requests_total{method="query",endpoint="/q",status="error"} 1
# TYPE agent_request_duration_seconds histogram
agent_request_duration_seconds_bucket{method="query",endpoint="/q",le="0.1"} 2
agent_request_duration_seconds_bucket{method="query",endpoint="/q",le="0.5"} 3
agent_request_duration_seconds_bucket{method="query",endpoint="/q",le="+Inf"} 4
agent_request_duration_seconds_count{method="query",endpoint="/q"} 4
agent_request_duration_seconds_sum{method="query",endpoint="/q"} 7.5
"""


def test_red_is_read_from_the_page() -> None:
    """Requests, errors, rate and quantiles of the one method and endpoint."""
    (red,) = read_red(Page(TEXT), seconds=2.0)

    assert red == Red(
        method="query", endpoint="/q", requests=4, per_second=2.0, errors=1, p50_s=0.1, p95_s=0.5
    )


@pytest.mark.parametrize(("share", "seconds"), [(0.25, 0.05), (0.5, 0.1), (0.625, 0.3), (1.0, 0.5)])
def test_quantiles_are_linear_within_a_bucket(share: float, seconds: float) -> None:
    """The rule of `histogram_quantile`: linear in a bucket, the last finite bound beyond."""
    assert Page(TEXT).quantile(share, "agent_request_duration_seconds") == pytest.approx(seconds)


def test_an_empty_histogram_has_no_quantile() -> None:
    """No events: not a number, rather than a wrong one."""
    assert math.isnan(Page("").quantile(0.5, "agent_request_duration_seconds"))
