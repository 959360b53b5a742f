"""Settings that shape metrics, seen by the receiver."""

import pytest

from process import run
from sink import Sink

PROGRAM = """
import otelkit
from otelkit import catalog
otelkit.init(settings=otelkit.settings.resolve(service_name="shop", {settings}))
meter = otelkit.get_meter("m")
for _ in range(2):
    meter.create_counter("n").add(1)
    meter.create_histogram("d", unit="s").record(0.2)
    meter.create_up_down_counter("u").add(1)
    catalog.instrument("requests").add(1, {{"method": "a", "status": "success", "endpoint": "/"}})
    otelkit.flush()
print(otelkit.prometheus.render()[0].decode())
"""


def told(settings, **env):
    with Sink() as sink:
        ended = run(
            PROGRAM.format(settings=settings), env={"OTEL_EXPORTER_OTLP_ENDPOINT": sink.http_endpoint, **env}
        )
        assert 0 == ended.code, ended.stderr
        return sink.metrics, ended.stdout


def values(metrics, name):
    return [point.value for point in metrics if point.name == name]


def test_metrics_are_cumulative_by_default():
    """Without a choice every export has the sums since the start."""
    metrics, page = told("")

    assert [1, 2] == values(metrics, "n")[:2]
    assert "agent_requests_total{" in page


@pytest.mark.parametrize("by", ["argument", "variable"])
def test_delta_temporality_is_kept(by):
    """Asked for deltas, counters leave as what was added since, up-down counters as sums; the page stays."""
    variable = {"OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE": "delta"} if by == "variable" else {}
    metrics, page = told("metric_temporality='delta'" if by == "argument" else "", **variable)

    assert ([1, 1], [1, 2]) == (values(metrics, "n")[:2], values(metrics, "u")[:2])
    assert "n_total 2.0" in page


def test_exponential_histograms_leave_and_the_page_keeps_buckets():
    """Asked for exponential histograms, OTLP gets them and the page still has explicit buckets."""
    metrics, page = told("histogram_aggregation='base2_exponential_bucket_histogram'")

    assert "exponential_histogram" in {point.kind for point in metrics if point.name == "d"}
    assert 'd_seconds_bucket{le="0.25"} 2.0' in page


def test_prefix_of_the_standard_instruments():
    """The prefix of the standard instruments is a setting."""
    _, page = told("metric_prefix='shop'")

    assert "shop_requests_total{" in page
    assert "agent_" not in page
