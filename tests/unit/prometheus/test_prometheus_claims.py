"""A name on the page belongs to the first metric that has it, and the others are named."""

from __future__ import annotations

import prometheus_client
import pytest
from prometheus_client.core import GaugeMetricFamily


def kinds(meter, kind, name):
    if kind == "histogram":
        meter.create_histogram(name).record(1)
    elif kind == "gauge":
        meter.create_gauge(name).set(1)
    elif kind == "counter":
        meter.create_counter(name).add(1)
    else:
        meter.create_up_down_counter(name).add(1)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (("counter", "req.count"), ("up-down counter", "req_count_total")),
        (("counter", "a"), ("gauge", "a_total")),
        (("gauge", "a_total"), ("counter", "a")),
        (("histogram", "a"), ("counter", "a_count")),
        (("gauge", "a_bucket"), ("histogram", "a")),
        (("counter", "a"), ("gauge", "a")),
        (("gauge", "a"), ("up-down counter", "a")),
    ],
)
def test_the_second_of_two_that_clash_is_left_off_and_named(make_bridge, said, first, second):
    """The page stays valid and the same, and one line says what to do."""
    bridge = make_bridge()
    kinds(bridge.meter, *first)
    kinds(bridge.other_meter, *second)

    pages = [bridge.families() for _ in range(3)]
    (line,) = said()
    assert len(pages[0]) == 2, "target_info and the first"
    assert f"the {second[0]} {second[1]!r} is left off /metrics" in line
    assert f"the {first[0]} {first[1]!r}" in line


def test_one_name_with_two_units_is_a_clash(bridge, said):
    """The name a_seconds would have two meanings."""
    bridge.meter.create_gauge("a", unit="s").set(1)
    bridge.meter.create_gauge("a_seconds").set(2)

    assert bridge.samples("a_seconds") == {(): 1}
    assert len(said()) == 1


def test_the_first_stays_the_first_when_it_was_silent_for_a_scrape(bridge):
    """Who came first is decided once, not at each scrape."""
    from opentelemetry.metrics import Observation

    quiet = [True]
    bridge.meter.create_observable_counter("a", [lambda _: [] if quiet[0] else [Observation(1)]])
    bridge.other_meter.create_gauge("a_total").set(5)
    before = bridge.samples("a_total")
    quiet[0] = False

    assert before == bridge.samples("a_total") == {(): 5}


def test_a_host_metric_wins_over_ours(make_bridge, host, said):
    """The application's own exposition is not changed by otelkit."""
    host(prometheus_client.Counter("clash_requests", "host", registry=None)).inc(42)
    bridge = make_bridge(extra_registry=True)
    bridge.meter.create_counter("clash_requests").add(1)

    assert bridge.samples("clash_requests_total") == {(): 42}
    (line,) = [line for line in said() if "clash_requests" in line]
    assert "prometheus_client" in line


def test_two_host_collectors_of_one_name_do_not_break_the_page(make_bridge, host, said):
    """prometheus_client itself would serve an invalid page here."""

    class Collector:
        def describe(self):
            return []

        def collect(self):
            yield GaugeMetricFamily("twice_told", "", value=1)

    host(Collector())
    host(Collector())
    bridge = make_bridge(extra_registry=True)

    assert bridge.samples("twice_told") == {(): 1}
    assert len(said()) == 1
