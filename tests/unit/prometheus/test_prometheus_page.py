"""The page never raises, shows the host's metrics too, and leaves the host's registry alone."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading

import prometheus_client
import pytest
from opentelemetry.exporter.prometheus import PrometheusMetricReader
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics

from otelkit import _guard
from otelkit.processors.context import suppressed
from otelkit.prometheus import Page


class Collector:
    """A custom collector of the host's that shows or does what it was given."""

    def __init__(self, collect):
        self.collect = collect

    def describe(self):
        return []


def test_host_metrics_are_on_the_same_page(make_bridge, host):
    """One scrape shows both worlds."""
    host(prometheus_client.Counter("host_jobs", "jobs", ["kind"], registry=None)).labels("x").inc(3)
    bridge = make_bridge(extra_registry=True)
    bridge.meter.create_counter("requests").add(1)

    assert bridge.samples("host_jobs_total") == {(("kind", "x"),): 3}
    assert bridge.samples("requests_total") == {(): 1}


def test_the_host_registry_can_be_left_out(make_bridge, host):
    """With extra_registry=False the page is otelkit's alone."""
    host(prometheus_client.Counter("host_jobs", "jobs", registry=None)).inc()

    assert "host_jobs" not in make_bridge(extra_registry=False).text()


def test_a_host_collector_that_raises_costs_itself_only(make_bridge, host, said):
    """Its neighbours and our metrics are served, and one line names it."""

    def fail():
        raise RuntimeError("database is down")

    host(Collector(fail))
    host(Collector(lambda: [GaugeMetricFamily("host_fine", "", value=1)]))
    bridge = make_bridge(extra_registry=True)
    bridge.meter.create_counter("requests").add(1)

    assert bridge.samples("host_fine") == {(): 1}
    assert bridge.samples("requests_total") == {(): 1}
    (line,) = said()
    assert "Collector raised RuntimeError: database is down" in line


def test_a_host_metric_that_cannot_be_written_costs_itself_only(make_bridge, host, said):
    """A lone surrogate in the host's own labels breaks prometheus_client, not this page."""
    gauge = host(prometheus_client.Gauge("host_broken", "", ["q"], registry=None))
    gauge.labels("x\ud83d").set(1)
    bridge = make_bridge(extra_registry=True)
    bridge.meter.create_counter("requests").add(1)

    assert bridge.samples("requests_total") == {(): 1}
    assert len([line for line in said() if "host_broken" in line]) == 1


def test_the_reader_stays_out_of_the_hosts_registry():
    """The host's own exposition does not change when a page is made."""
    before = list(prometheus_client.REGISTRY._collector_to_names)
    Page()

    assert list(prometheus_client.REGISTRY._collector_to_names) == before


def test_an_official_reader_of_the_host_does_not_double_the_page(make_bridge, said):
    """Where both readers show the same meters, the page has them once and says nothing."""
    official = PrometheusMetricReader()
    bridge = make_bridge(extra_registry=True)
    provider = MeterProvider(metric_readers=[official, page_reader := Page().reader], resource=Resource({}))
    assert page_reader is not None
    bridge.meter.create_counter("mine").add(1)
    provider.get_meter("m").create_counter("mine").add(5)
    provider.get_meter("m").create_counter("theirs").add(7)
    try:
        text = bridge.text()
    finally:
        provider.shutdown()

    assert "mine_total 1.0" in text
    assert text.count("# TYPE mine_total") == 1
    assert "theirs_total{otel_scope" in text or "theirs_total 7.0" in text
    assert said() == []


def test_observing_that_raises_costs_its_instrument_only(bridge):
    """A callback of the application cannot break the scrape."""

    def fail(options):
        raise RuntimeError("no answer")

    bridge.meter.create_observable_gauge("bad", [fail])
    bridge.meter.create_counter("good").add(1)

    assert bridge.samples("good_total") == {(): 1}


def test_a_collection_that_fails_leaves_the_hosts_metrics(make_bridge, host, said):
    """The page is served without ours, and the failure is said."""
    host(prometheus_client.Gauge("host_fine", "", registry=None)).set(1)
    bridge = make_bridge(extra_registry=True)

    def fail(*args, **kwargs):
        raise RuntimeError("sdk is broken")

    bridge.page.reader._set_collect_callback(fail)
    with _guard.reraise(False):
        text = bridge.text()

    assert "host_fine 1.0" in text
    assert "sdk is broken" in said()[0]


def test_a_redactor_that_fails_leaves_the_hosts_metrics(make_bridge, host, said):
    """Nothing unredacted is shown, the rest of the page is."""

    class Broken:
        def fields(self, mapping):
            raise RuntimeError("redactor is broken")

    host(prometheus_client.Gauge("host_fine", "", registry=None)).set(1)
    bridge = make_bridge(extra_registry=True, redactor=Broken())
    bridge.meter.create_counter("requests").add(1, {"a": "b"})
    with _guard.reraise(False):
        text = bridge.text()

    assert "host_fine 1.0" in text
    assert "requests" not in text
    assert "redactor is broken" in said()[0]


def test_before_the_first_measurement_the_page_is_valid(make_bridge):
    """No metrics is no error; target_info is there as soon as the resource is known."""
    bridge = make_bridge(resource=Resource({"service.name": "early"}))

    assert bridge.samples("target_info") == {(("service_name", "early"),): 1}
    assert list(parse_openmetrics(make_bridge().openmetrics())) == []


def test_after_shutdown_the_page_is_the_hosts(make_bridge, host, caplog):
    """A scrape that comes late is answered, without a warning of the SDK."""
    host(prometheus_client.Gauge("host_fine", "", registry=None)).set(1)
    bridge = make_bridge(extra_registry=True)
    bridge.meter.create_counter("requests").add(1)
    bridge.page.close()
    bridge.page.close()
    text = bridge.text()

    assert "requests" not in text
    assert "host_fine 1.0" in text
    assert not caplog.records


def test_a_page_without_a_provider_is_empty(caplog):
    """The SDK would warn at each scrape."""
    assert Page(extra_registry=False).render() == (b"", "text/plain; version=0.0.4; charset=utf-8")
    assert not caplog.records


def test_flushing_the_provider_keeps_nothing(bridge):
    """A pulled reader has nothing to push; the official one queues until a scrape comes."""
    bridge.meter.create_counter("requests").add(1)
    for _ in range(5):
        assert bridge.provider.force_flush()

    assert bridge.page._collected is None
    assert bridge.samples("requests_total") == {(): 1}


def test_rendering_produces_no_telemetry(bridge):
    """What runs inside a scrape is marked as not to be recorded."""
    marks = []
    bridge.meter.create_observable_gauge("size", [lambda _: marks.append(suppressed()) or []])
    bridge.text()

    assert marks == [True]
    assert not suppressed()


def test_scrapes_at_the_same_time_take_turns(bridge):
    """Each of them gets what it collected; the official collector gives one of two an empty page."""
    bridge.meter.create_counter("requests").add(1)
    collect, together, pages = bridge.page.reader._collect, [], []
    meeting = threading.Barrier(2)

    def collect_slowly(*args, **kwargs):
        with contextlib.suppress(threading.BrokenBarrierError):
            meeting.wait(0.3)
            together.append(True)
        return collect(*args, **kwargs)

    bridge.page.reader._set_collect_callback(collect_slowly)
    threads = [threading.Thread(target=lambda: pages.append(bridge.text())) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)

    assert not together
    assert [page.count("requests_total 1.0") for page in pages] == [1, 1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_scrape_works_in_a_child_that_was_forked_during_one():
    """The child has no thread that would ever release the lock."""
    code = """if 1:
        import os, sys
        from otelkit.prometheus import Page
        page = Page(extra_registry=False)
        page._lock.acquire()
        child = os.fork()
        if child == 0:
            page.render()
            os._exit(7)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
        """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)

    assert done.stdout.split() == ["7"], done.stderr
