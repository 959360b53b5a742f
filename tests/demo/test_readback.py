"""Numbers read back from a page are those that Prometheus would compute."""

from __future__ import annotations

import math

import pytest

from examples.agent.readback import Calls, Page, Red, read_calls, read_red

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


def calls(redis: int, inserts: int) -> Page:
    """A page after so many calls, of 2 ms each."""
    lines = ["# TYPE db_client_operation_duration_seconds histogram"]
    for labels, count in (
        ('db_system_name="redis",db_operation_name="GET"', redis),
        ('db_system_name="postgresql",db_operation_name="INSERT",db_query_summary="INSERT history"', inserts),
    ):
        for le in ("0.1", "+Inf"):
            lines.append(f'db_client_operation_duration_seconds_bucket{{{labels},le="{le}"}} {count}')
        lines.append(f"db_client_operation_duration_seconds_count{{{labels}}} {count}")
        lines.append(f"db_client_operation_duration_seconds_sum{{{labels}}} {count * 0.002}")
    return Page("\n".join(lines) + "\n")


def test_calls_of_databases_are_those_in_between() -> None:
    """What was called before is left out; a summary says more than an operation."""
    (one,) = read_calls(calls(5, 3), calls(1, 3))

    assert (one.system, one.name, one.count) == ("redis", "GET", 4)
    assert one.mean_s == pytest.approx(0.002)
    assert read_calls(calls(0, 2), Page("")) == [
        Calls(system="postgresql", name="INSERT history", count=2, mean_s=pytest.approx(0.002))
    ]
