"""Snapshots in bounded memory: what is kept, what it costs, and where a window begins."""

from __future__ import annotations

from functools import cache

import pytest
from shops import Shop

from otelkit.readings._timeline import Snapshot, Timeline, pack, unpack

DAY_S = 86_400


@cache
def filled(until_s):
    """A timeline of snapshots 10 s apart, whose one counter rises by one each second."""
    timeline, packed = Timeline(interval_s=10.0), ()
    for time in range(0, until_s + 1, 10):
        packed = pack([float(time)], 1, packed)
        timeline.add(Snapshot(float(time), (packed,)))
    return timeline


def test_old_snapshots_stand_further_apart():
    """Four days are some 1,100 snapshots: all of the last half hour, then one per 1/64 of their age."""
    timeline = filled(5 * DAY_S)
    times = [snapshot.time for snapshot in timeline.snapshots]
    ages = [(5 * DAY_S - earlier, later - earlier) for earlier, later in zip(times, times[1:])]

    assert len(times) < 1200
    assert all(gap == 10 for age, gap in ages if age <= 1800)
    assert all(gap <= max(20, age / 64) for age, gap in ages)
    assert 4 * DAY_S <= ages[0][0] < 4.1 * DAY_S


@pytest.mark.parametrize("window_s", [60, 300, 1800, 3600, 6 * 3600, DAY_S, 3 * DAY_S])
def test_a_window_is_hardly_longer_than_asked_for(window_s):
    """Thinned or not, what burn rates read begins within 2 % (or one interval) of the window."""
    window = filled(5 * DAY_S).window(window_s)

    assert window.coverage == 1.0
    assert 0 <= window.elapsed_s - window_s <= max(10, window_s / 50)
    assert window.end.time - unpack(window.base.rows[0])[0] == window.elapsed_s  # nothing counted is lost


def test_a_window_across_a_pause_is_the_part_after_it():
    """After a pause of an hour, five minutes begin with the first snapshot after it."""
    timeline = Timeline(interval_s=10.0)
    for time in range(0, 601, 10):
        timeline.add(Snapshot(float(time), ()))
    for time in (4200.0, 4210.0, 4220.0):
        timeline.add(Snapshot(time, ()))

    window = timeline.window(300)

    assert (window.base.time, window.elapsed_s, window.coverage) == (4200.0, 20.0, 20 / 300)


def test_nothing_is_known_of_an_empty_timeline():
    """No snapshot, or one that ends where it begins: no window."""
    timeline = Timeline(interval_s=10.0)
    assert timeline.window(60) is None
    timeline.add(Snapshot(5.0, ()))
    assert timeline.window(60) is None
    assert timeline.window(60, now=6.0).elapsed_s == 1.0


def test_what_does_not_change_is_kept_once():
    """A thousand silent series cost a snapshot next to nothing; one that moves costs its array."""
    shop = Shop()
    orders = shop.meter.create_counter("orders")
    for number in range(1000):
        orders.add(1, {"number": number})
    shop.tick()
    first = shop.history.bytes
    shop.tick(10)
    silent = shop.history.bytes - first
    orders.add(1, {"number": 500})
    shop.tick()

    assert first > 8000
    assert silent < 10 * 300
    assert shop.history.bytes - first - silent < 2000


def test_bytes_are_what_is_held():
    """The running account of memory equals a count of the arrays that are held."""
    shop = Shop(interval_s=10.0)
    orders = shop.meter.create_counter("orders")
    wait = shop.meter.create_histogram("wait")
    for turn in range(2000):
        orders.add(1, {"number": turn % 300})
        if turn % 7 == 0:
            wait.record(turn, {"number": turn % 40})
        shop.tick()

    snapshots = shop.history._live.snapshots
    held = {id(packed): packed for snapshot in snapshots for packed in snapshot.rows}
    arrays = {id(part): part for packed in held.values() for part in packed}
    rows = sum(200 + 8 * len(snapshot.rows) for snapshot in snapshots)
    tuples = sum(56 + 8 * len(packed) for packed in held.values())

    assert shop.history.bytes == rows + tuples + sum(88 + 8 * len(part) for part in arrays.values())


def test_many_series_never_break_it(said):
    """With far more series than memory, resolution goes first, then the oldest; readings stay right."""
    shop = Shop(max_bytes=100_000)
    orders = shop.meter.create_counter("orders")
    for turn in range(200):
        for number in range(500):
            orders.add(1, {"number": number})
        shop.tick()
        assert shop.history.bytes <= 100_000
    reading = shop.windows.rate("orders", 60)

    assert (reading.value, reading.coverage) == (50.0, 1.0)
    assert shop.windows.rate("orders", 1800).coverage < 1
    assert shop.windows.rate("orders", 1800).value == 50.0
    assert said() == []


def test_memory_for_less_than_a_snapshot_is_said(said):
    """Where not even one snapshot fits, readings are empty and one line says what to do."""
    shop = Shop(max_bytes=1000)
    orders = shop.meter.create_counter("orders")
    for number in range(500):
        orders.add(1, {"number": number})
    shop.tick(2)

    assert shop.windows.rate("orders", 10).value is None
    (line,) = said()
    assert "readings_max_bytes=1000" in line


@pytest.mark.parametrize("width", [1, 2, 11, 200])
@pytest.mark.parametrize("count", [0, 1, 127, 128, 129, 300])
def test_what_is_packed_is_unpacked(width, count):
    """Packing loses nothing, whatever the width; an unchanged pack is the former object."""
    flat = [float(number) for number in range(width * count)]
    packed = pack(flat, width)

    assert unpack(packed) == flat
    assert pack(flat, width, packed) is packed
