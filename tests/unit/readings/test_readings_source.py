"""The numbers are those of the SDK's official collection, at a fraction of its cost, and nobody notices."""

from __future__ import annotations

import random
import threading
import time

import pytest
from opentelemetry.sdk.metrics import AlwaysOnExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics.view import View
from shops import Shop

from otelkit._otel import metrics as sdk_metrics
from otelkit.pipeline.metrics import PullReader
from otelkit.readings._history import History
from otelkit.readings._source import Collected, Sdk, sdk_is_as_known, source_of


def told(source):
    """All that a source knows now: names, kinds, attributes and numbers."""
    source.observe(timeout_s=10.0)
    found = []
    for stream in [*source.live(), *source.told()]:
        flat = list(stream.flat())
        for number, attributes in enumerate(stream.attributes()):
            row = [float(one) for one in flat[number * stream.width :][: stream.width] if one is not None]
            found.append((stream.name, stream.exposed, stream.kind, stream.bounds, repr(attributes), row))
    return sorted(found)


def collected(reader):
    """Points as an official collection has them, to compare exemplars and all."""
    data = reader.pull()
    return [
        (metric.name, point)
        for scope in data.resource_metrics[0].scope_metrics
        for metric in scope.metrics
        for point in metric.data.data_points
    ]


@pytest.mark.parametrize("seed", range(5))
def test_what_is_looked_up_is_what_a_collection_says(seed):
    """Whatever is measured, and however often others collect meanwhile, both say the same numbers."""
    chance = random.Random(seed)
    reader, official = PullReader(), PullReader()
    provider = MeterProvider(metric_readers=[reader, official], shutdown_on_exit=False)
    one, two = provider.get_meter("one"), provider.get_meter("two")
    counters = [
        one.create_counter("orders", unit="{order}"),
        two.create_counter("orders"),
        one.create_counter("by", unit="By"),
    ]
    levels = [one.create_up_down_counter("level"), one.create_gauge("gauge")]
    histograms = [
        one.create_histogram("wait", unit="s"),
        two.create_histogram("size", explicit_bucket_boundaries_advisory=[1.0, 9.0]),
    ]
    source, oracle = Sdk(reader), Collected(official)
    for _ in range(300):
        attributes = chance.choice([None, {"a": 1}, {"a": True}, {"a": "x", "b": (1, 2)}])
        chance.choice(counters).add(chance.choice([1, 0, 0.5]), attributes)
        levels[0].add(chance.choice([-3, 2.5]), attributes)
        levels[1].set(chance.randrange(100), attributes)
        chance.choice(histograms).record(chance.randrange(100) / 8, attributes)
        if chance.random() < 0.1:
            reader.pull()
        if chance.random() < 0.1:
            assert told(source) == told(oracle)


def test_observed_instruments_are_asked_as_by_a_collection():
    """Counters, levels and gauges that are observed have the values of their callbacks."""
    shop, other = Shop(), Shop(source=Collected)
    for one in (shop, other):
        one.observed("io", [1, 5, 9], disk="a")
        one.observed("level", [2, -1, 0], kind="up_down_counter")
        one.observed("gauge", [0.5, None, 0.25], kind="gauge")

    for _ in range(3):
        assert told(Sdk(shop.reader)) == told(Collected(other.reader))


def test_views_are_respected():
    """A view's name, attributes and bounds are those of the readings, and what it drops is not there."""
    reader = PullReader()
    views = [
        View(instrument_name="orders", name="sales", attribute_keys={"shop"}),
        View(instrument_name="io", attribute_keys=set()),
    ]
    provider = MeterProvider(metric_readers=[reader], views=views, shutdown_on_exit=False)
    meter = provider.get_meter("shop")
    meter.create_counter("orders").add(2, {"shop": "north", "user": "u1"})
    meter.create_counter("orders").add(3, {"shop": "north", "user": "u2"})
    Shop.observed(_Holder(meter), "io", [5], disk="a")

    assert [(name, attributes, row) for name, _, _, _, attributes, row in told(Sdk(reader))] == [
        ("io", "{}", [5.0]),
        ("sales", "{'shop': 'north'}", [5.0]),
    ]


class _Holder:
    def __init__(self, meter):
        self.meter = meter


def test_a_snapshot_leaves_the_next_collection_as_it_was():
    """Sums, start times and exemplars of a collection are the same with and without snapshots before it."""
    points = []
    for snapshots in (0, 3):
        reader = PullReader()
        provider = MeterProvider(
            metric_readers=[reader], exemplar_filter=AlwaysOnExemplarFilter(), shutdown_on_exit=False
        )
        meter = provider.get_meter("shop")
        Shop.observed(_Holder(meter), "io", range(7, 100))
        meter.create_counter("orders").add(2, {"a": 1})
        meter.create_histogram("wait").record(3)
        history = History(Sdk(reader))
        for _ in range(snapshots):
            history.count()
            history.observe()
        points.append(
            [
                (
                    name,
                    getattr(point, "value", None),
                    getattr(point, "sum", None),
                    [one.value for one in point.exemplars],
                )
                for name, point in collected(reader)
            ]
        )

    assert [("io", 7, None, [7]), ("orders", 2, None, [2]), ("wait", None, 3, [3])] == sorted(points[0])
    assert [("io", 10, None, [10]), *sorted(points[0])[1:]] == sorted(points[1])


def test_a_series_that_is_gone_is_gone_for_the_collection_too():
    """An answer that was meant for a snapshot does not turn up in a later collection."""
    shop = Shop()
    shop.observed("io", [1, None])
    shop.meter.create_counter("orders").add(1)
    shop.tick()

    assert [name for name, _ in collected(shop.reader)] == ["orders"]


def test_a_round_waits_for_a_collection_only_so_long():
    """While another collection is under way a round gives up in time, and is none."""
    shop = Shop()
    shop.observed("io", [1, 2])
    shop.tick()
    with shop.provider._measurement_consumer._lock:
        assert sdk_metrics.observe_metrics(shop.reader, timeout_s=0.01) == ([], False)
    assert Sdk(shop.reader).observe(timeout_s=10.0)


def test_a_round_that_took_too_long_is_none():
    """What was not asked in time is not stamped with the time of the round."""
    shop = Shop()
    shop.observed("io", [1, 2])

    assert not Sdk(shop.reader).observe(timeout_s=0.0)


def test_nothing_is_lost_while_others_add():
    """Snapshots and readings beside four adding threads: totals only rise, and the last is exact."""
    shop = Shop()
    orders = shop.meter.create_counter("orders")
    wait = shop.meter.create_histogram("wait", explicit_bucket_boundaries_advisory=[1.0])

    def adds():
        for number in range(5_000):
            orders.add(1, {"number": number % 50})
            wait.record(number % 3, {"number": number % 50})

    threads = [threading.Thread(target=adds) for _ in range(4)]
    for thread in threads:
        thread.start()
    seen = []
    while any(thread.is_alive() for thread in threads):
        shop.tick()
        seen.append(shop.windows.last("orders").value)
        assert shop.windows.ratio("wait", "orders", 1e6).value <= 1.01
    for thread in threads:
        thread.join()

    assert seen == sorted(seen)
    assert shop.windows.increase("orders", 1e6).value == shop.windows.increase("wait", 1e6).value == 20_000


def test_this_sdk_is_built_as_known():
    """The trial against the official collection passes with the SDK that is installed."""
    assert sdk_is_as_known()
    reader = PullReader()
    MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
    assert type(source_of(reader)) is Sdk


def test_an_sdk_built_otherwise_is_read_by_its_collection(monkeypatch):
    """When the sums are not where they are looked for, the trial says so and the collection is used."""
    monkeypatch.setattr(sdk_metrics, "sums_so_far", lambda series: [1.0 for _ in series])
    sdk_is_as_known.cache_clear()
    reader = PullReader()
    MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
    try:
        assert type(source_of(reader)) is Collected
    finally:
        sdk_is_as_known.cache_clear()


def test_an_sdk_without_what_is_looked_up_is_read_by_its_collection(monkeypatch):
    """So it is when the attempt fails."""

    def fails(_):
        raise AttributeError("_attributes_aggregation")

    monkeypatch.setattr(sdk_metrics, "series_of", fails)
    sdk_is_as_known.cache_clear()
    try:
        assert not sdk_is_as_known()
    finally:
        sdk_is_as_known.cache_clear()


@pytest.mark.parametrize("kind", ["counter", "histogram"])
def test_a_snapshot_costs_a_fraction_of_a_collection(kind):
    """The snapshot of 10,000 series, in time on the processor, against the SDK's collection of the same."""
    shop = Shop()
    for number in range(5):
        if kind == "counter":
            record = shop.meter.create_counter(f"c{number}").add
        else:
            record = shop.meter.create_histogram(
                f"h{number}", explicit_bucket_boundaries_advisory=[0.01, 0.05, 0.1, 0.5, 1.0, 2.0, 5.0, 10.0]
            ).record
        for series in range(2000):
            record(1, {"series": series, "endpoint": "/query"})
    shop.tick()
    ours = min(spent(shop.history.count) for _ in range(5))
    official = min(spent(shop.reader.pull) for _ in range(5))

    assert ours < official / 2


def spent(work):
    """Seconds on the processor of this thread."""
    begin = time.thread_time()
    work()
    return time.thread_time() - begin
