"""The trace behind a bucket or a total, on the OpenMetrics page."""

from __future__ import annotations

import time

import pytest
from opentelemetry import trace
from opentelemetry.context import attach, detach
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics


class Sampled:
    """The body runs in a sampled span of that id."""

    def __init__(self, span_id):
        flags = trace.TraceFlags(trace.TraceFlags.SAMPLED)
        context = trace.SpanContext(0xABC, span_id, is_remote=False, trace_flags=flags)
        self._context = trace.set_span_in_context(trace.NonRecordingSpan(context))

    def __enter__(self):
        self._token = attach(self._context)

    def __exit__(self, *_):
        detach(self._token)


def exemplars(bridge, name):
    """Of each sample of that name with an exemplar: its labels, and the span and value of the exemplar."""
    return [
        (sample.labels, sample.exemplar.labels["span_id"], sample.exemplar.value)
        for family in parse_openmetrics(bridge.openmetrics())
        for sample in family.samples
        if sample.name == name and sample.exemplar
    ]


def test_each_bucket_has_the_newest_of_its_own(bridge):
    """A value at the upper bound is in that bucket; one above all bounds is in +Inf."""
    histogram = bridge.meter.create_histogram("wait", "s", explicit_bucket_boundaries_advisory=[1, 5])
    for span_id, value in [(1, 0.5), (2, 5.0), (3, 7.0)]:
        with Sampled(span_id):
            histogram.record(value, {"shop": "north"})

    assert [
        ({"shop": "north", "le": "1.0"}, f"{1:016x}", 0.5),
        ({"shop": "north", "le": "5.0"}, f"{2:016x}", 5.0),
        ({"shop": "north", "le": "+Inf"}, f"{3:016x}", 7.0),
    ] == exemplars(bridge, "wait_seconds_bucket")


def test_a_total_has_its_newest(bridge):
    """A counter shows one of its measurements; each label set its own, and a missing label is none."""
    counter = bridge.meter.create_counter("orders")
    for span_id, labels in [(1, {"shop": "north"}), (2, {"shop": "north"}), (3, {"till": "4"})]:
        with Sampled(span_id):
            counter.add(1, labels)
    found = exemplars(bridge, "orders_total")

    assert {f"{3:016x}"} == {span for labels, span, _ in found if labels.get("till") == "4"}
    assert {span for labels, span, _ in found if labels.get("shop") == "north"} <= {f"{1:016x}", f"{2:016x}"}
    assert 2 == len(found)


def test_the_trace_id_and_the_time_are_there(bridge):
    """What a dashboard needs to open the trace."""
    counter = bridge.meter.create_counter("orders")
    before = time.time()
    with Sampled(7):
        counter.add(2)
    (family,) = [one for one in parse_openmetrics(bridge.openmetrics()) if one.name == "orders"]
    (sample,) = family.samples

    assert {"trace_id": f"{0xABC:032x}", "span_id": f"{7:016x}"} == sample.exemplar.labels
    assert before - 1 <= float(sample.exemplar.timestamp) <= time.time() + 1


@pytest.mark.parametrize("kind", ["gauge", "up_down_counter"])
def test_what_the_format_gives_none_has_none(bridge, kind):
    """Gauges have no exemplars in OpenMetrics, and the page stays valid."""
    instrument = getattr(bridge.meter, f"create_{kind}")("level")
    with Sampled(1):
        (instrument.set if kind == "gauge" else instrument.add)(3)

    assert [] == exemplars(bridge, "level")
    assert {(): 3.0} == bridge.samples("level")


def test_outside_of_a_sampled_span_there_is_none(bridge):
    """There would be no trace to look at."""
    bridge.meter.create_counter("orders").add(1)

    assert [] == exemplars(bridge, "orders_total")


def test_the_classic_page_has_none(bridge):
    """Text 0.0.4 knows no exemplars."""
    with Sampled(1):
        bridge.meter.create_counter("orders").add(1)

    assert "orders_total 1.0\n" in bridge.text()


def test_the_labels_may_need_quotes(bridge):
    """Labels with quotes, line breaks and backslashes find their exemplar."""
    with Sampled(1):
        bridge.meter.create_counter("orders").add(1, {"shop": 'a"b\n\\c'})

    assert [({"shop": 'a"b\n\\c'}, f"{1:016x}", 1.0)] == exemplars(bridge, "orders_total")
