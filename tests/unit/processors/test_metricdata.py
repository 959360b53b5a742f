"""Collected metrics are repaired and redacted before they leave, and cost nothing when clean."""

from __future__ import annotations

from dataclasses import replace

import pytest
from opentelemetry.exporter.otlp.proto.common.metrics_encoder import encode_metrics
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.metrics.view import View
from opentelemetry.sdk.resources import Resource

from otelkit.processors.limits import metric_attributes
from otelkit.processors.metricdata import Memo, clean, cleaner
from otelkit.processors.metricmerge import metrics_of
from otelkit.processors.redact import Redactor

REDACTOR = Redactor.of(True)


class Metered:
    """A meter provider and what it collects."""

    def __init__(self, **options):
        self.reader = InMemoryMetricReader()
        self.provider = MeterProvider(metric_readers=[self.reader], **options)
        self.meter = self.provider.get_meter("test")

    def collect(self):
        return self.reader.get_metrics_data()


@pytest.fixture
def metered():
    return Metered()


def points(data):
    return [point for metric in metrics_of(data) for point in metric.data.data_points]


def test_clean_metrics_come_back_as_they_are(metered):
    """Where nothing is wrong, nothing is copied."""
    metered.meter.create_counter("requests").add(1, {"method": "GET"})
    metered.meter.create_histogram("took", unit="s").record(0.2, {"method": "GET"})
    data = metered.collect()

    assert clean(data, REDACTOR) is data


def test_secrets_in_attributes_are_redacted(metered):
    """Metric attributes pass the same redaction as everything else that leaves."""
    metered.meter.create_counter("requests").add(1, {"password": "hunter2", "method": "GET"})

    (point,) = points(clean(metered.collect(), REDACTOR))
    assert point.attributes == {"password": "[redacted]", "method": "GET"}


def test_points_that_redaction_makes_equal_are_merged(metered):
    """Two points of one identity would be a duplicate to every backend."""
    counter = metered.meter.create_counter("requests")
    for secret in ("one", "two", "three"):
        counter.add(2, {"password": secret})

    (point,) = points(clean(metered.collect(), REDACTOR))
    assert point.value == 6


def test_attributes_that_differ_in_type_only_stay_apart(metered):
    """To OpenTelemetry, "1" and 1 are two values."""
    counter = metered.meter.create_counter("requests")
    for value in ("1", 1, "hunter2"):
        counter.add(1, {"value": value, "password": "x"})

    assert len(points(clean(metered.collect(), REDACTOR))) == 3


def test_secrets_that_a_view_moved_into_exemplars_are_redacted():
    """Attributes that a view takes off a point still travel in its exemplars."""
    from opentelemetry.sdk.metrics import AlwaysOnExemplarFilter

    view = View(instrument_name="requests", attribute_keys={"method"})
    metered = Metered(views=[view], exemplar_filter=AlwaysOnExemplarFilter())
    metered.meter.create_counter("requests").add(1, {"password": "hunter2", "method": "GET"})

    (point,) = points(clean(metered.collect(), REDACTOR))
    assert [one.filtered_attributes for one in point.exemplars] == [{"password": "[redacted]"}]


def test_a_lone_surrogate_anywhere_does_not_cost_the_batch():
    """Attribute, description, scope and resource are all repaired; the rest is encoded."""
    broken = "x\ud83d"
    metered = Metered(resource=Resource({"service.name": broken}))
    meter = metered.provider.get_meter(broken, broken)
    meter.create_counter("bad", description=broken).add(1, {broken: broken})
    metered.meter.create_counter("good").add(7)

    encoded = encode_metrics(clean(metered.collect(), REDACTOR))
    text = str(encoded)
    assert "good" in text
    assert "\ufffd" in encoded.resource_metrics[0].scope_metrics[0].scope.name


@pytest.mark.parametrize("huge", [10**30, -(10**30), 2**63, 10**400])
def test_integers_beyond_the_wire_become_floats(metered, huge):
    """One number out of range raises in the encoder and drops the batch."""
    metered.meter.create_up_down_counter("bad").add(1)
    metered.meter.create_counter("good").add(7)
    data = metered.collect()
    metrics = data.resource_metrics[0].scope_metrics[0].metrics
    metrics[0].data.data_points[0] = replace(metrics[0].data.data_points[0], value=huge)

    cleaned = clean(data, REDACTOR)
    assert "good" in str(encode_metrics(cleaned))
    assert points(cleaned)[0].value == (float(huge) if huge < 10**300 else float("inf"))


def test_sums_of_histograms_beyond_the_wire_become_floats(metered):
    """The same holds for the sum and the extremes of a histogram."""
    metered.meter.create_histogram("took").record(10**30)

    (point,) = points(clean(metered.collect(), REDACTOR))
    assert (point.sum, point.min, point.max) == (1e30, 1e30, 1e30)


def test_wide_integers_in_attributes_become_text(metered):
    """An attribute value beyond 64 bits cannot be encoded as a number."""
    metered.meter.create_counter("requests").add(1, {"id": 2**70})

    (point,) = points(clean(metered.collect(), REDACTOR))
    assert point.attributes == {"id": str(2**70)}


def test_scope_and_resource_are_kept(metered):
    """Cleaning changes points, not where they belong."""
    metered.meter.create_counter("requests").add(1, {"password": "x"})
    data = metered.collect()
    before, after = data.resource_metrics[0], clean(data, REDACTOR).resource_metrics[0]

    assert after.resource is before.resource
    assert after.scope_metrics[0].scope is before.scope_metrics[0].scope


def test_an_attribute_set_is_redacted_once_for_all_collections(metered):
    """A series costs one lookup after the first collection."""
    seen = []

    class Counting:
        def fields(self, mapping):
            seen.append(mapping)
            return mapping

    counter = metered.meter.create_counter("requests")
    cleaned = cleaner(Counting())
    for _ in range(3):
        counter.add(1, metric_attributes({"method": "GET"}))
        cleaned(metered.collect())

    assert len(seen) == 1


def test_a_memo_forgets_when_it_is_full():
    """It never holds more than it was told, and its answers stay right."""
    memo = Memo(lambda attributes: {"n": attributes["n"] * 2}, max_entries=2)
    given = [{"n": number} for number in range(5)]

    assert [memo(one)["n"] for one in given + given] == [0, 2, 4, 6, 8] * 2
    assert len(memo._known) <= 2
