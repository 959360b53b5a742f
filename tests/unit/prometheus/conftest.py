"""A page over a real meter provider, and the two parsers that must accept it."""

from __future__ import annotations

import prometheus_client
import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.resources import Resource
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_classic

from otelkit.prometheus import Page

ACCEPT_OPENMETRICS = "application/openmetrics-text; version=1.0.0"


class Bridge:
    """A page, its meter provider, and what a scraper understands of it."""

    def __init__(self, *, views=(), **options):
        options.setdefault("extra_registry", False)
        self.page = Page(**options)
        self.provider = MeterProvider(
            metric_readers=[self.page.reader],
            resource=Resource({"service.name": "shop"}),
            views=views,
        )
        self.meter = self.provider.get_meter("one")
        self.other_meter = self.provider.get_meter("two")

    def text(self):
        return self.page.render()[0].decode()

    def openmetrics(self):
        return self.page.render(ACCEPT_OPENMETRICS)[0].decode()

    def families(self):
        """The families of the classic page, after both formats were parsed and agreed."""
        strict, classic = parse_openmetrics(self.openmetrics()), parse_classic(self.text())
        # Some SDKs measure their own readers, from the first scrape on.
        strict = [one for one in strict if not one.name.startswith("otel_sdk_")]
        classic = [one for one in classic if not one.name.startswith("otel_sdk_")]
        # The classic text shows the host's creation times as gauges of their own.
        classic = [one for one in classic if not one.name.endswith("_created")]
        names = {"target" if one.name == "target_info" else one.name for one in classic}
        assert names == {one.name for one in strict}
        assert len(classic) == len(strict), "two families of one name"
        return {one.name: one for one in classic}

    def samples(self, name):
        """Label sets (as sorted pairs) and values of one sample name."""
        found = [
            (tuple(sorted(sample.labels.items())), sample.value)
            for family in self.families().values()
            for sample in family.samples
            if sample.name == name
        ]
        assert len(dict(found)) == len(found), "duplicate samples"
        return dict(found)


@pytest.fixture
def make_bridge():
    """Make a `Bridge` with options of `Page`; it is shut down after the test."""
    made = []

    def make(**options):
        made.append(Bridge(**options))
        return made[-1]

    yield make
    for bridge in made:
        bridge.provider.shutdown()


@pytest.fixture
def bridge(make_bridge):
    """A `Bridge` without the host's own metrics."""
    return make_bridge()


@pytest.fixture
def host():
    """Register collectors in prometheus_client's global registry for one test."""
    registered = []

    def register(collector):
        prometheus_client.REGISTRY.register(collector)
        registered.append(collector)
        return collector

    yield register
    for collector in registered:
        prometheus_client.REGISTRY.unregister(collector)
