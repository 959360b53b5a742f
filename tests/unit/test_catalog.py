"""The standard instruments: one table, exact names, nothing made before it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from prometheus_client.parser import text_string_to_metric_families

from otelkit import catalog
from otelkit.prometheus import Page

RECORD = {"counter": "add", "up_down_counter": "add", "histogram": "record", "gauge": "set"}


def expose_all(prefix: str) -> dict[str, str]:
    """Name and kind of the families on a page on which each instrument has one measurement."""
    page = Page(extra_registry=False)
    meter = MeterProvider(metric_readers=[page.reader]).get_meter("test")
    for row in catalog.instruments(prefix=prefix):
        made = catalog.create(row, meter)
        getattr(made, RECORD[row.kind])(1, dict.fromkeys(row.labels, "x"))
    families = text_string_to_metric_families(page.render()[0].decode())
    suffix = {"counter": "_total"}
    return {family.name + suffix.get(family.type, ""): family.type for family in families}


@pytest.mark.parametrize("prefix", ["agent", "shop", "my.shop", ""])
def test_every_row_is_exposed_by_the_name_it_tells(prefix):
    """The exposed name in the table is what Prometheus sees, whatever the prefix."""
    shown = expose_all(prefix)
    shown.pop("target_info")

    assert list(shown) == [row.exposed for row in catalog.instruments(prefix=prefix)]


def test_the_documented_names_and_labels_are_kept():
    """These names are a promise to dashboards and alerts."""
    rows = {row.exposed: (row.name, row.unit, row.kind, row.labels) for row in catalog.INSTRUMENTS}

    assert rows == {
        "agent_requests_total": (
            "agent_requests", "{request}", "counter", ("method", "status", "endpoint"),
        ),
        "agent_errors_total": ("agent_errors", "{error}", "counter", ("error_type", "method")),
        "agent_request_duration_seconds": (
            "agent_request_duration", "s", "histogram", ("method", "endpoint"),
        ),
        "llm_tokens_used": ("llm_tokens_used", "{token}", "histogram", ("model", "operation")),
        "agent_active_connections": (
            "agent_active_connections", "{connection}", "up_down_counter", (),
        ),
        "agent_queue_size": ("agent_queue_size", "{item}", "gauge", ("queue_name",)),
        "cache_entries_total": ("cache_entries_total", "{entry}", "gauge", ()),
        "response_size_bytes": ("response_size", "By", "histogram", ("endpoint",)),
    }  # fmt: skip


def test_no_row_has_the_unit_one():
    """Unit 1 becomes a _ratio suffix on some paths."""
    assert all(row.unit and row.unit != "1" for row in catalog.INSTRUMENTS)


def test_the_prefix_replaces_agent_only_at_the_start():
    """Names without the agent_ prefix stay."""
    rows = {row.key: row for row in catalog.instruments(prefix="shop")}

    assert ("shop_requests", "shop_requests_total") == (
        rows["requests"].name,
        rows["requests"].exposed,
    )
    assert rows["cache_entries"].name == "cache_entries_total"


def test_an_instrument_is_made_once_for_each_prefix():
    """The same key gives the same object, another prefix another one."""
    made = catalog.instrument("requests")

    assert catalog.instrument("requests") is made
    assert catalog.instrument("requests", prefix="shop") is not made


def test_an_unknown_key_is_a_key_error():
    """A misspelt key cannot go unnoticed."""
    with pytest.raises(KeyError):
        catalog.instrument("request")


def test_importing_the_catalog_makes_nothing_and_loads_no_sdk():
    """The table costs an import of itself only."""
    code = "import sys, otelkit.catalog as c; print('opentelemetry' in sys.modules, len(c._made))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.split() == ["False", "0"]


@pytest.mark.parametrize(
    ("name", "unit", "first", "last"),
    [
        ("anything", "s", 0.005, 10.0),
        ("anything", "ms", 5.0, 10_000.0),
        ("anything", "{token}", 1.0, 67_108_864.0),
        ("anything", "By", 256.0, 67_108_864.0),
        ("Agent_Request_Duration", "s", 0.01, 10.0),
        ("llm_tokens_used", "{token}", 100.0, 20_000.0),
        ("agent_request_duration", "ms", 5.0, 10_000.0),
    ],
)
def test_default_buckets_follow_name_and_unit(name, unit, first, last):
    """A standard instrument's own buckets, else those of the unit."""
    buckets = catalog.default_buckets(name, unit)

    assert (buckets[0], buckets[-1]) == (first, last)


def test_units_without_a_rule_keep_the_default_of_the_sdk():
    """Nothing is known about other units."""
    assert catalog.default_buckets("anything", "{request}") is None


def test_all_buckets_are_rising_floats():
    """Integer bounds would be written as le="1000" instead of le="1000.0"."""
    tables = [*catalog.BUCKETS_BY_UNIT.values(), *(row.buckets for row in catalog.INSTRUMENTS)]

    assert all(type(bound) is float for table in tables for bound in table)
    assert all(list(table) == sorted(set(table)) for table in tables)


def test_milliseconds_have_the_buckets_of_seconds():
    """The same durations fall into the same buckets in both units."""
    seconds, millis = catalog.BUCKETS_BY_UNIT["s"], catalog.BUCKETS_BY_UNIT["ms"]

    assert millis == tuple(pytest.approx(bound * 1000) for bound in seconds)


def test_created_histograms_have_the_buckets_of_their_row():
    """The buckets reach the SDK as the instrument's advice."""
    reader = InMemoryMetricReader()
    meter = MeterProvider(metric_readers=[reader]).get_meter("test")
    row = next(row for row in catalog.INSTRUMENTS if row.key == "request_duration")
    catalog.create(row, meter).record(0.07)
    data = reader.get_metrics_data()

    point = data.resource_metrics[0].scope_metrics[0].metrics[0].data.data_points[0]
    assert tuple(point.explicit_bounds) == row.buckets
