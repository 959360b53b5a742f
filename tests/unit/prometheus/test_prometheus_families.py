"""Metrics of any shape become valid families, one of each name."""

from __future__ import annotations

import json

import pytest
from opentelemetry.sdk.metrics.view import ExponentialBucketHistogramAggregation, View

from otelkit import _guard


def test_a_lone_surrogate_in_a_label_costs_nothing(bridge):
    """The page parses, the label is repaired, and its neighbours are there."""
    counter = bridge.meter.create_counter("requests")
    counter.add(1, {"q": json.loads('"\\ud83d"')})
    counter.add(2, {"q": "fine"})

    assert bridge.samples("requests_total") == {(("q", "\ufffd"),): 1, (("q", "fine"),): 2}


def test_seconds_get_buckets_of_seconds(bridge):
    """The advice reaches the page as canonical bounds."""
    from otelkit.catalog import default_buckets

    advice = default_buckets("took", "s")
    made = bridge.meter.create_histogram("took", "s", explicit_bucket_boundaries_advisory=advice)
    made.record(0.03)

    buckets = bridge.samples("took_seconds_bucket")
    assert buckets[(("le", "0.025"),)] == 0
    assert buckets[(("le", "0.05"),)] == 1


def test_integer_bounds_are_written_as_floats(bridge):
    """le is a canonical float, whatever the application gave."""
    made = bridge.meter.create_histogram("size", explicit_bucket_boundaries_advisory=[1, 1000, 10**6])
    made.record(5)

    bounds = [dict(labels)["le"] for labels in bridge.samples("size_bucket")]
    assert bounds == ["1.0", "1000.0", "1e+06", "+Inf"]


def test_exponential_histograms_are_shown_with_explicit_buckets(make_bridge):
    """A view that asks for exponential buckets does not break the page."""
    view = View(instrument_name="took", aggregation=ExponentialBucketHistogramAggregation())
    bridge = make_bridge(views=[view])
    made = bridge.meter.create_histogram("took", "s")
    for value in (0.003, 0.3, 30):
        made.record(value)

    buckets = bridge.samples("took_seconds_bucket")
    assert buckets[(("le", "0.005"),)] == 1
    assert buckets[(("le", "0.5"),)] == 2
    assert bridge.samples("took_seconds_count") == {(): 3}


def test_exponential_aggregation_for_otlp_does_not_reach_the_page(monkeypatch, make_bridge):
    """The standard variable is about OTLP; Prometheus keeps explicit buckets."""
    name = "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION"
    monkeypatch.setenv(name, "base2_exponential_bucket_histogram")
    bridge = make_bridge()
    bridge.meter.create_histogram("took", explicit_bucket_boundaries_advisory=[1.0]).record(3)

    assert list(bridge.samples("took_bucket").values()) == [0, 1]


def test_one_name_in_two_scopes_is_one_family(bridge):
    """Equal label sets are summed, others stand side by side, the first description wins."""
    bridge.meter.create_counter("requests", description="first").add(1, {"m": "a"})
    other = bridge.other_meter.create_counter("requests", description="second")
    other.add(2, {"m": "a"})
    other.add(5, {"m": "b"})

    assert bridge.samples("requests_total") == {(("m", "a"),): 3, (("m", "b"),): 5}
    assert bridge.families()["requests"].documentation == "first"


def test_histograms_of_two_scopes_are_merged(bridge):
    """Buckets, count and sum are those of both."""
    for meter in (bridge.meter, bridge.other_meter):
        meter.create_histogram("took", explicit_bucket_boundaries_advisory=[1.0, 2.0]).record(1.5)

    assert list(bridge.samples("took_bucket").values()) == [0, 2, 2]
    assert bridge.samples("took_sum") == {(): 3}


def test_of_gauges_of_two_scopes_the_last_is_shown(bridge):
    """Readings are not added."""
    bridge.meter.create_gauge("size").set(1)
    bridge.other_meter.create_gauge("size").set(7)

    assert bridge.samples("size") == {(): 7}


def test_points_with_different_label_names_share_a_family(bridge):
    """Older exporters began a second family of the same name here."""
    counter = bridge.meter.create_counter("requests")
    counter.add(1)
    counter.add(2, {"a": "x"})
    counter.add(3, {"b": "y"})

    assert sorted(bridge.samples("requests_total").values()) == [1, 2, 3]


def test_label_names_that_became_equal_have_their_values_joined(bridge):
    """As the compatibility specification says: by a semicolon, in the order of the keys."""
    bridge.meter.create_counter("requests").add(1, {"a_b": "2", "a.b": "1"})

    assert bridge.samples("requests_total") == {(("a_b", "1;2"),): 1}


@pytest.mark.parametrize(
    ("one", "other"), [({"a.b": "x"}, {"a_b": "x"}), ({"a": 1}, {"a": "1"}), ({"a": ""}, {})]
)
def test_points_that_became_equal_are_summed(bridge, one, other):
    """To Prometheus these label sets are one; twice the same series is an invalid page."""
    counter = bridge.meter.create_counter("requests")
    counter.add(1, one)
    counter.add(2, other)

    assert list(bridge.samples("requests_total").values()) == [3]


def test_a_label_le_does_not_disturb_the_buckets(bridge):
    """The name is taken in a histogram; the attribute is kept under another one."""
    made = bridge.meter.create_histogram("took", explicit_bucket_boundaries_advisory=[1.0])
    made.record(3, {"le": "mine"})

    assert bridge.samples("took_bucket") == {
        (("exported_le", "mine"), ("le", "1.0")): 0,
        (("exported_le", "mine"), ("le", "+Inf")): 1,
    }
    assert bridge.samples("took_count") == {(("exported_le", "mine"),): 1}


def test_label_values_of_other_types_are_json(bridge):
    """As the official exporter writes them."""
    bridge.meter.create_counter("requests").add(1, {"b": True, "f": 1.5, "l": ("x", "y")})

    assert bridge.samples("requests_total") == {(("b", "true"), ("f", "1.5"), ("l", '["x", "y"]')): 1}


def test_negative_values_and_nan_keep_the_page_valid(bridge):
    """OpenMetrics forbids such totals and sums; only these samples go, and only there."""
    from opentelemetry.metrics import Observation

    def observe(options):
        return [Observation(-1, {"bad": "yes"}), Observation(4, {"bad": "no"})]

    bridge.meter.create_observable_counter("seen", [observe])

    assert bridge.samples("seen_total") == {(("bad", "yes"),): -1, (("bad", "no"),): 4}
    assert 'bad="yes"' not in bridge.openmetrics()
    assert 'bad="no"' in bridge.openmetrics()


def test_target_info_tells_the_resource(bridge):
    """One info metric joins every series with its resource."""
    bridge.meter.create_counter("requests").add(1)

    assert bridge.samples("target_info") == {(("service_name", "shop"),): 1}


def test_scope_labels_are_off(bridge):
    """Scope names on every series would break joins and old dashboards."""
    bridge.meter.create_counter("requests").add(1)

    assert "otel_scope" not in bridge.text()


def test_counts_are_cumulative(bridge):
    """A scrape takes nothing away from the next one."""
    counter = bridge.meter.create_counter("requests")
    for expected in (1, 2, 3):
        counter.add(1)
        assert bridge.samples("requests_total") == {(): expected}


def test_a_gauge_is_shown_until_it_is_set_again(bridge):
    """Two scrapes after one set both have its value."""
    bridge.meter.create_gauge("size").set(4)

    assert [bridge.samples("size"), bridge.samples("size")] == [{(): 4}, {(): 4}]


def test_attributes_pass_redaction(make_bridge):
    """A secret that is hidden from OTLP is hidden from /metrics as well."""
    from otelkit.processors.redact import Redactor

    bridge = make_bridge(redactor=Redactor.of(True))
    counter = bridge.meter.create_counter("requests")
    counter.add(1, {"password": "hunter2"})
    counter.add(1, {"password": "hunter3"})

    assert bridge.samples("requests_total") == {(("password", "[redacted]"),): 2}


def test_a_metric_that_cannot_be_shown_costs_itself_only(bridge, said):
    """Our own failure is said once and the rest of the page is served."""

    class Broken:
        def fields(self, mapping):
            if "bad" in mapping:
                raise RuntimeError("broken")
            return mapping

    counter = bridge.meter.create_counter("good")
    counter.add(1)
    bridge.meter.create_counter("worse").add(1, {"x": "y"})
    bridge.page._translator._labels = lambda attributes: {}[attributes["x"]] if attributes else {}

    with _guard.reraise(False):
        first, second = bridge.text(), bridge.text()

    assert "good_total 1.0" in first
    assert "worse" not in first + second
    assert len([line for line in said() if "worse" in line]) == 1
