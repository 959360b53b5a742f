"""How late event loops are."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
import weakref

import pytest

from otelkit import process
from otelkit.process import _loop
from otelkit.settings import Settings
from otelkit.testing import capture

ON = Settings(service_name="test")
OFF = Settings(service_name="test", process_metrics=False)


@pytest.fixture(autouse=True)
def _anew(monkeypatch):
    """A quick timer, no loop known, and instruments that the suite has not silenced."""
    monkeypatch.setattr(_loop, "_EVERY_S", 0.02)
    monkeypatch.setattr(_loop, "_lag", None)
    _loop._watched.clear()
    yield
    process.install(OFF)()


def lag(telemetry):
    found = [metric for metric in telemetry.metrics if metric.name == "otelkit.event_loop.lag"]
    return found[0].points[0] if found else None


async def ticks(telemetry, at_least, timeout_s=10.0):
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        point = lag(telemetry)
        if point is not None and point.count >= at_least:
            return point
        await asyncio.sleep(0.01)
    raise AssertionError(f"no {at_least} measurements within {timeout_s} s")


async def test_loop_of_init_is_measured():
    """The loop that `install` is called in is measured from then on."""
    with capture() as telemetry:
        process.install(ON)

        assert (await ticks(telemetry, 3)).sum < 10


async def test_blocked_loop_is_late():
    """A loop that is blocked for 200 ms has that lag when it goes on, and is overdue meanwhile."""
    with capture() as telemetry:
        process.install(ON)
        await ticks(telemetry, 1)
        seen = []

        def look():
            blocked.wait(10)
            until = time.monotonic() + 10
            while time.monotonic() < until and not (seen and seen[-1] > 0.05):
                seen.append(telemetry.metric("otelkit.event_loop.overdue").value)
            looked.set()

        blocked, looked = threading.Event(), threading.Event()
        thread = threading.Thread(target=look)
        thread.start()
        begun = time.monotonic()
        blocked.set()
        looked.wait(15)  # the loop stands still
        while time.monotonic() - begun < 0.2:
            pass
        thread.join()
        point = await ticks(telemetry, lag(telemetry).count + 1)

    assert seen[-1] > 0.05
    assert point.sum >= 0.15


async def test_watching_again_adds_no_timer():
    """`watch_loop` can be called at each request: a loop has one timer."""
    with capture():
        process.install(ON)
        loop = asyncio.get_running_loop()
        before = len(loop._scheduled)
        assert all(process.watch_loop() for _ in range(100))

        assert before == len(loop._scheduled)
        assert 1 == len(_loop._watched)


def test_without_a_loop_there_is_nothing_to_watch():
    """Where no loop runs, `watch_loop` says so and does nothing."""
    assert process.watch_loop() is False
    assert 0 == len(_loop._watched)


async def test_before_init_a_loop_is_remembered():
    """A loop watched before init has no timer until then, and is measured afterwards."""
    assert process.watch_loop()
    assert not _loop._watched[asyncio.get_running_loop()]._armed
    with capture() as telemetry:
        await asyncio.to_thread(process.install, ON)
        await ticks(telemetry, 1)


async def test_timers_end_with_the_measuring_and_come_back():
    """Turned off no timer is left; the next set-up measures the known loops again."""
    with capture():
        process.install(ON)()
        watch = _loop._watched[asyncio.get_running_loop()]
        for _ in range(1_000):
            if not watch._armed:
                break
            await asyncio.sleep(0.01)
        assert not watch._armed
    with capture() as telemetry:
        await asyncio.to_thread(process.install, ON)
        await ticks(telemetry, 1)


async def test_off_sets_no_timer():
    """With ``process_metrics`` off, watching a loop sets no timer."""
    process.install(OFF)
    process.watch_loop()

    assert not _loop._watched[asyncio.get_running_loop()]._armed


@pytest.mark.parametrize("debug", [False, True])
def test_closed_loop_leaves_nothing_behind(debug, said):
    """A loop ends as without us: no warning, no line, no reference, and nothing overdue."""
    loops = []

    async def main():
        process.watch_loop()
        loops.append(weakref.ref(asyncio.get_running_loop()))

    with capture() as telemetry:
        process.install(ON)
        asyncio.run(main(), debug=debug)
        gc.collect()

        assert loops[0]() is None
        assert 0 == len(_loop._watched)
        assert "otelkit.event_loop.overdue" not in {metric.name for metric in telemetry.metrics}
    process.install(ON)()
    assert [] == said()
