"""Rates, ratios, quantiles and levels over what a process has counted."""

from __future__ import annotations

import math
import threading

import pytest
from shops import Shop

from otelkit.readings import Reading, Series, _history
from otelkit.readings._streams import Told

EMPTY = Reading(None, 0.0, 0.0)


def test_a_rate_is_the_increase_by_the_seconds_between_its_snapshots(shop):
    """30 orders in the 60 s before now are half an order per second; what was before does not count."""
    orders = shop.meter.create_counter("orders")
    orders.add(1000)
    shop.tick(5)
    for _ in range(6):
        orders.add(5)
        shop.tick()

    assert shop.windows.rate("orders", 60) == Reading(0.5, 1.0, 30.0)
    assert shop.windows.increase("orders", 60) == Reading(30.0, 1.0, 30.0)


def test_what_was_counted_since_the_latest_snapshot_is_in(shop):
    """A reading between two snapshots sees what was added a moment ago."""
    orders = shop.meter.create_counter("orders")
    shop.tick(10)
    orders.add(7)
    shop.clock.advance(5)

    assert shop.windows.increase("orders", 60) == Reading(7.0, 1.0, 7.0)
    assert shop.windows.rate("orders", 60).value == 7 / 65  # from the snapshot before the window's begin


def test_coverage_is_the_part_of_the_window_that_the_process_has_lived(shop):
    """A process of 15 s knows a quarter of a minute; its rate is that of these 15 s."""
    shop.meter.create_counter("orders").add(30)
    shop.clock.advance(15)

    assert shop.windows.rate("orders", 60) == Reading(2.0, 0.25, 30.0)


def test_the_first_events_of_a_series_count(shop):
    """A series that appears inside the window counts from 0, its first event included."""
    errors = shop.meter.create_counter("errors")
    errors.add(1, {"type": "KeyError"})
    shop.tick(10)
    errors.add(1, {"type": "ValueError"})
    shop.tick()

    assert shop.windows.increase("errors", 60) == Reading(1.0, 1.0, 1.0)


def test_a_silent_series_has_rate_zero_and_an_unknown_one_none(shop):
    """0 per second is an answer; without such a series there is none, but the window was observed."""
    shop.meter.create_counter("orders").add(1)
    shop.tick(10)

    assert shop.windows.rate("orders", 60) == Reading(0.0, 1.0, 0.0)
    assert shop.windows.rate("order", 60) == Reading(None, 1.0, 0.0)
    assert shop.windows.rate("orders", 60, where={"shop": "north"}) == Reading(None, 1.0, 0.0)


def test_a_late_start_reads_back_to_its_first_snapshot_only():
    """When readings begin after an hour, five minutes are answered from that moment on."""
    shop = Shop()
    orders = shop.meter.create_counter("orders")
    orders.add(1000)
    shop.clock.advance(3600)
    assert shop.windows.rate("orders", 300) == EMPTY

    shop.tick()
    orders.add(30)
    shop.clock.advance(60)

    assert shop.windows.rate("orders", 300) == Reading(0.5, 0.2, 30.0)
    assert shop.windows.increase("orders", 3600).value == 1030


def test_a_ratio_is_one_of_sums(shop):
    """3 errors of 40 requests are 7.5 %, however they are spread over endpoints and minutes."""
    requests = shop.meter.create_counter("requests")
    for endpoint, errors, rest in (("/a", 3, 7), ("/b", 0, 30)):
        requests.add(errors, {"status": "error", "endpoint": endpoint})
        requests.add(rest, {"status": "success", "endpoint": endpoint})
    shop.tick()
    bad = Series("requests", {"status": "error"})

    assert shop.windows.ratio(bad, "requests", 60).value == 0.075
    assert shop.windows.ratio(bad, "requests", 60, where={"endpoint": "/a"}).value == 0.3
    assert shop.windows.ratio(bad, "requests", 60).events == 40


def test_a_ratio_of_nothing_is_none_and_of_no_errors_zero(shop):
    """Without requests there is no ratio; with requests and no error series it is 0."""
    requests = shop.meter.create_counter("requests")
    bad = Series("requests", {"status": "error"})
    requests.add(4, {"status": "success"})
    shop.tick()
    assert shop.windows.ratio(bad, "requests", 60).value == 0.0

    shop.tick(10)
    assert shop.windows.ratio(bad, "requests", 60) == Reading(None, 1.0, 0.0)


def test_a_ratio_adds_several_parts(shop):
    """Hits among hits and misses: either side of a ratio may be several metrics."""
    shop.meter.create_counter("hits").add(3)
    shop.meter.create_counter("misses").add(1)
    shop.tick()

    assert shop.windows.ratio("hits", ["hits", "misses"], 60).value == 0.75


def test_a_mean_is_a_ratio_of_a_histograms_sum_and_count(shop):
    """The names of /metrics reach a histogram's sum and count."""
    duration = shop.meter.create_histogram("duration", unit="s")
    for seconds in (0.5, 1.0, 3.0):
        duration.record(seconds)
    shop.tick()

    assert shop.windows.ratio("duration_seconds_sum", "duration_seconds_count", 60) == Reading(
        1.5, 1 / 6, 3.0
    )
    assert shop.windows.increase("duration", 60).value == 3


def test_le_counts_what_is_not_above_a_bound(shop, said):
    """The fast share of requests is read from the buckets; a bound that is none is said, once."""
    duration = shop.meter.create_histogram("duration", explicit_bucket_boundaries_advisory=[0.1, 0.5, 1.0])
    for seconds in (0.1, 0.2, 0.5, 0.7, 4.0):
        duration.record(seconds)
    shop.tick()

    assert shop.windows.ratio(Series("duration", le=0.5), "duration", 60).value == 0.6
    assert shop.windows.increase(Series("duration", le=0.3), 60).value is None
    assert said() == [
        "otelkit: readings: 'duration' has no bucket le=0.3; its bounds are 0.1, 0.5, 1.0. Choose one of them."
    ]


def test_a_quantile_sees_the_window_only(shop):
    """Slow requests of long ago do not slow the present quantile."""
    duration = shop.meter.create_histogram("duration", explicit_bucket_boundaries_advisory=[1.0, 2.0, 4.0])
    for _ in range(100):
        duration.record(3)
    shop.tick(10)
    for _ in range(4):
        duration.record(1.5)
    shop.tick()

    assert shop.windows.quantile("duration", 0.5, 60) == Reading(1.5, 1.0, 4.0)
    shop.tick(10)
    assert shop.windows.quantile("duration", 0.5, 60) == Reading(None, 1.0, 0.0)


def test_a_quantile_adds_the_buckets_of_all_scopes(shop):
    """Two histograms of one name are one, over the bounds that they share."""
    one = shop.provider.get_meter("one").create_histogram(
        "wait", explicit_bucket_boundaries_advisory=[1.0, 2.0, 4.0]
    )
    two = shop.provider.get_meter("two").create_histogram(
        "wait", explicit_bucket_boundaries_advisory=[2.0, 4.0]
    )
    one.record(0.5)
    one.record(1.5)
    two.record(3.0)
    two.record(3.0)
    shop.tick()

    assert shop.windows.quantile("wait", 0.75, 60).value == 3.0
    assert shop.windows.quantile("wait", 0.25, 60).value == 1.0


def test_last_is_the_present_level(shop):
    """Gauges and up-down counters are read as they are now, without a snapshot; matching series add up."""
    size = shop.meter.create_gauge("queue.size")
    level = shop.meter.create_up_down_counter("connections")
    size.set(4, {"queue": "a"})
    size.set(5, {"queue": "a"})
    size.set(2, {"queue": "b"})
    level.add(3)
    level.add(-1)

    assert shop.windows.last("queue_size") == Reading(7, 1.0, 2)
    assert shop.windows.last("queue.size", where={"queue": "a"}).value == 5
    assert shop.windows.last("connections") == Reading(2, 1.0, 1)
    assert shop.windows.last("queue.length") == EMPTY


def test_where_takes_values_collections_and_functions(shop):
    """An attribute may be given as a value, as several, as a function of it, and as missing."""
    requests = shop.meter.create_counter("requests")
    for code in (200, 404, 500, 503):
        requests.add(code, {"code": code, "method": "GET"})
    requests.add(1)
    shop.tick()

    def total(**where):
        return shop.windows.increase("requests", 60, where=where).value

    assert total(code=404) == 404
    assert total(code={500, 503}) == total(code=lambda code: code is not None and code >= 500) == 1003
    assert total(code=[200, 404], method="GET") == 604
    assert total(code=None) == 1
    assert (
        shop.windows.increase(Series("requests", {"code": {200, 404}}), 60, where={"code": {404, 500}}).value
        == 404
    )


def test_a_function_in_where_that_raises_costs_its_series(shop, said):
    """The application's function fails on a missing attribute: said once, the other series are read."""
    requests = shop.meter.create_counter("requests")
    requests.add(2, {"code": 500})
    requests.add(3)
    shop.tick()
    where = {"code": lambda code: code >= 500}

    assert [shop.windows.increase("requests", 60, where=where).value for _ in range(2)] == [2.0, 2.0]
    (line,) = said()
    assert "TypeError" in line


@pytest.mark.parametrize("window_s", [0, -1, math.nan, math.inf, "60", None, True])
def test_a_window_that_is_none_is_said_not_raised(shop, said, window_s):
    """Nonsense for a window gives an empty reading and one line."""
    assert shop.windows.rate("orders", window_s) == EMPTY
    (line,) = said()
    assert f"window_s={window_s!r}" in line


@pytest.mark.parametrize("q", [-0.1, 1.1, math.nan, "0.5"])
def test_a_share_that_is_none_is_said_not_raised(shop, said, q):
    """So does nonsense for a quantile."""
    assert shop.windows.quantile("wait", q, 60) == EMPTY
    (line,) = said()
    assert f"q={q!r}" in line


def test_an_observed_counter_is_read_from_round_to_round(source):
    """Of an observed counter nobody knows where it comes from: it counts from its first value on."""
    shop = Shop(source=source)
    shop.observed("bytes", [1_000_000, 1_000_060, 1_000_060, 1_000_180])
    shop.tick()
    assert shop.windows.rate("bytes", 30) == Reading(None, 0.0, 0.0)

    shop.tick(3)
    shop.clock.advance(5)  # it is as it was told: the window ends at the latest round
    assert shop.windows.rate("bytes", 30) == Reading(6.0, 1.0, 180.0)


def test_an_observed_series_that_appears_later_counts_from_there(source):
    """One that appears inside the window brings no jump."""
    shop = Shop(source=source)
    shop.observed("bytes", [None, 500, 510])
    shop.meter.create_observable_counter("bytes.more", callbacks=[])
    shop.tick(3)

    assert shop.windows.increase("bytes", 20).value == 10


def test_a_reset_counts_from_zero(source):
    """A total that falls was reset: 30 to 40, then 4 after it, are 14."""
    shop = Shop(source=source)
    shop.observed("bytes", [30, 40, 4])
    shop.tick(3)

    assert shop.windows.increase("bytes", 20).value == 14


def test_rounds_that_stop_are_less_coverage(source):
    """When a callback blocks, the window of an observed counter covers less and less, then nothing."""
    shop = Shop(source=source)
    shop.observed("bytes", range(0, 1000, 10))
    shop.observed("level", [3] * 100, kind="gauge")
    shop.tick(10)
    shop.clock.advance(30)
    assert shop.windows.rate("bytes", 60) == Reading(1.0, 0.5, 60.0)
    assert shop.windows.last("level") == Reading(3, 0.0, 1)

    shop.clock.advance(60)
    assert shop.windows.rate("bytes", 60) == Reading(None, 0.0, 0.0)


def test_a_round_that_came_to_nothing_is_no_coverage(shop, monkeypatch):
    """When another collection takes all the time of a round, the round is not counted as one."""
    monkeypatch.setattr(_history, "_CALLBACKS_S", 0.01)
    shop.observed("bytes", range(0, 1000, 10))
    shop.tick(10)
    shop.clock.advance(30)
    with shop.provider._measurement_consumer._lock:
        shop.windows.refresh()

    assert shop.windows.rate("bytes", 60).coverage == 0.5


def test_an_observed_level_that_is_gone_is_none(source):
    """A gauge whose callback no longer answers has no value."""
    shop = Shop(source=source)
    shop.observed("level", [3, None, 4], kind="gauge")
    readings = []
    for _ in range(3):
        shop.tick()
        readings.append(shop.windows.last("level").value)

    assert readings == [3, None, 4]


def test_names_are_those_of_otel_and_of_metrics(shop):
    """Either name finds the metric, in any case; an OTel name goes before an exposed one."""
    shop.meter.create_counter("Http.Requests", unit="{request}").add(1)
    shop.meter.create_counter("io", unit="By").add(2)
    shop.meter.create_counter("orders").add(4)
    shop.meter.create_counter("orders_total").add(8)
    shop.tick()

    names = [
        "http.requests",
        "Http.Requests",
        "http_requests_total",
        "io",
        "io_bytes_total",
        "orders",
        "orders_total",
    ]
    assert [shop.windows.increase(name, 60).value for name in names] == [1, 1, 1, 2, 2, 4, 8]


def test_a_part_is_never_more_than_its_whole(shop):
    """Both sides of a ratio are of one moment, whatever is added while it is worked out."""
    orders = shop.meter.create_counter("orders")
    orders.add(4, {"status": "error"})
    shop.tick()

    def adds_meanwhile(status):
        orders.add(1, {"status": status})
        return True

    assert shop.windows.ratio("orders", Series("orders", {"status": adds_meanwhile}), 60).value == 1.0


def test_what_is_told_in_mid_round_waits_for_its_snapshot(source):
    """While a round is under way, the window of an observed counter still ends at the former one."""
    shop = Shop(source=source)
    shop.observed("bytes", [0, 60, 600])
    shop.tick(2)
    shop.history._source.observe(timeout_s=10.0)

    assert shop.windows.rate("bytes", 10).value == 6.0


def test_a_series_that_comes_back_goes_on(source):
    """An observed series that was not answered for a round has not been reset."""
    shop = Shop(source=source)
    shop.observed("bytes", [10, None, 25])
    shop.tick(3)

    assert shop.windows.increase("bytes", 20).value == 15


def test_a_new_start_is_a_reset():
    """A total that starts again counts from 0, even when it is higher than before; a falling sum is none."""
    stream = Told(name="wait", unit="s", kind="histogram", bounds=(1.0,))
    stream.tell("a", {}, (2.0, 1, 1), 100)
    stream.tell("a", {}, (-3.0, 2, 1), 100)
    assert list(stream.flat()) == [-3.0, 2, 1]

    stream.tell("a", {}, None)
    stream.tell("a", {}, (5.0, 4, 4), 200)
    assert list(stream.flat()) == [2.0, 6, 5]


def test_readings_wait_for_no_collection(shop):
    """While a callback blocks a scrape, and with it every lock of a collection, readings are answered."""
    entered, leave = threading.Event(), threading.Event()

    def blocks(_):
        entered.set()
        leave.wait(20)
        return []

    orders = shop.meter.create_counter("orders")
    orders.add(1)
    shop.meter.create_observable_gauge("level", callbacks=[blocks])
    scrape = threading.Thread(target=shop.reader.pull)
    scrape.start()
    assert entered.wait(10)
    orders.add(1, {"shop": "new"})
    shop.clock.advance(10)
    answered = []
    reader = threading.Thread(target=lambda: answered.append(shop.windows.increase("orders", 60).value))
    reader.start()
    reader.join(10)
    leave.set()
    scrape.join(10)

    assert answered == [2.0]


def test_a_callback_may_take_readings_and_refresh(shop):
    """An observed gauge of the own error rate reads, and even refreshes, without a deadlock."""
    seen = []

    def asks(_):
        shop.windows.refresh()
        seen.append(shop.windows.increase("orders", 60).value)
        return []

    shop.meter.create_counter("orders").add(3)
    shop.meter.create_observable_gauge("level", callbacks=[asks])
    shop.tick()

    assert seen == [3.0]
