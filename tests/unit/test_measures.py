"""Shortcuts to instruments, and observed queues and caches."""

from __future__ import annotations

import asyncio
import gc
import math
import os
import subprocess
import sys
import threading
import time

import pytest

import otelkit
from otelkit import catalog, measures
from otelkit.measures import _observe, _observed
from otelkit.measures._observed import KEPT_S
from otelkit.settings import Settings, set_running
from otelkit.testing import capture


@pytest.fixture(autouse=True)
def _nothing_observed():
    """What another test observed is forgotten, with the instruments that the suite silences."""
    for kept in (_observe._observed, _observe._names, _observe._made):
        kept.clear()
    yield
    for each in list(_observe._observed.values()):
        for observed in each:
            observed.close()


@pytest.fixture
def telemetry():
    with capture() as telemetry:
        yield telemetry


def queues(telemetry, name="agent_queue_size"):
    """The sizes of the observed queues by name."""
    found = [metric for metric in telemetry.metrics if metric.name == name]
    return {point.attributes["queue_name"]: point.value for metric in found for point in metric.points}


def eventually(claim, timeout_s=10.0):
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        if claim():
            return True
        threading.Event().wait(0.01)
    return claim()


# -- shortcuts ------------------------------------------------------------------------------------


def test_shortcuts_measure(telemetry):
    """Each shortcut makes an instrument of the API, in the scope of the module that calls."""
    measures.counter("orders", "{order}", "Orders placed.").add(2, {"shop": "north"})
    measures.gauge("level", "m").set(1.5)
    measures.histogram("weight", "kg", buckets=[1, 10]).record(3)

    orders = telemetry.metric("orders_total", shop="north")
    assert (2, "{order}", __name__) == (orders.value, orders.unit, orders.scope)
    assert 1.5 == telemetry.metric("level").value
    assert (1.0, 10.0) == telemetry.metric("weight").point.bounds


def test_shortcuts_give_the_same_object():
    """The same arguments give the same instrument; another description gives another one."""
    first = measures.counter("visits", "{visit}")

    assert first is measures.counter("visits", "{visit}")
    assert measures.histogram("w", buckets=[1]) is measures.histogram("w", buckets=(1,))
    assert first is not measures.counter("visits", "{visit}", "Visits.")


def test_shortcuts_give_the_same_object_before_any_init():
    """Also where OpenTelemetry has no provider yet, whose own proxies are a new object each."""
    code = (
        "from otelkit.measures import counter, gauge\n"
        "print(counter('a') is counter('a'), gauge('a') is gauge('a'))"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)

    assert ("True True\n", "") == (ran.stdout, ran.stderr)


def test_shortcut_made_before_follows_every_run():
    """An instrument that was made before a run measures in it, and in the next one."""
    visits = measures.counter("calls_before")
    for _ in range(2):
        with capture() as telemetry:
            visits.add(1)
            assert 1 == telemetry.metric("calls_before").value


@pytest.mark.parametrize("arguments", [(None,), ("",), ("1 2",), ([],), ("ok", "ü" * 99, object())])
def test_shortcuts_never_raise(arguments, telemetry):
    """Names, units and descriptions that are none make an instrument that does nothing."""
    measures.counter(*arguments).add(1)
    measures.histogram(*arguments, buckets=["x", None]).record(1)
    measures.histogram("odd", buckets=3).record(1)


# -- observing ------------------------------------------------------------------------------------


def test_queue_is_observed(telemetry):
    """A queue's size is asked at each collection, by its callback."""
    items = [1, 2]
    measures.observe_queue("high", lambda: len(items))

    assert {"high": 2} == queues(telemetry)
    items.clear()
    assert {"high": 0} == queues(telemetry)


def test_several_queues_are_one_instrument(telemetry):
    """Queues share one instrument, each with its callback and its series."""
    measures.observe_queue("a", lambda: 1)
    measures.observe_queue("b", lambda: 2)

    assert {"a": 1, "b": 2} == queues(telemetry)
    assert 1 == len([metric for metric in telemetry.metrics if metric.name == "agent_queue_size"])


def test_observation_can_be_taken_back(telemetry):
    """`close` and the end of ``with`` end the series, and no other; again does nothing."""
    kept = measures.observe_queue("kept", lambda: 1)
    with measures.observe_queue("gone", lambda: 2) as gone:
        assert {"kept": 1, "gone": 2} == queues(telemetry)
    gone.close()

    assert {"kept": 1} == queues(telemetry)
    kept.close()
    assert {} == queues(telemetry)


def test_the_latest_callback_of_a_queue_answers(telemetry):
    """Registered again under its name, the new callback answers until it is closed."""
    measures.observe_queue("q", lambda: 1)
    with measures.observe_queue("q", lambda: 2):
        assert {"q": 2} == queues(telemetry)

    assert {"q": 1} == queues(telemetry)


def test_caches_are_added_up(telemetry):
    """Each observed cache counts towards ``cache_entries_total``."""
    measures.observe_cache(lambda: 3)
    with measures.observe_cache(lambda: 4):
        assert 7 == telemetry.metric("cache_entries_total").value
    assert 3 == telemetry.metric("cache_entries_total").value


def test_set_and_observed_are_one_family():
    """A queue that is set and one that is observed stand in one family on /metrics."""
    with otelkit.init(service_name="t", instrument=False, log_setup="off"):
        catalog.instrument("queue_size").set(5, {"queue_name": "set"})
        measures.observe_queue("observed", lambda: 6)
        measures.observe_cache(lambda: 7)
        page = otelkit.prometheus.render()[0].decode()

    lines = [line for line in page.splitlines() if "agent_queue_size" in line and "HELP" not in line]
    assert [
        "# TYPE agent_queue_size gauge",
        'agent_queue_size{queue_name="observed"} 6.0',
        'agent_queue_size{queue_name="set"} 5.0',
    ] == [lines[0], *sorted(lines[1:])]
    assert "\ncache_entries_total 7.0\n" in page


def test_prefix_is_followed(telemetry):
    """After a set-up with another prefix the queue goes on under its new name, and only there."""
    measures.observe_queue("q", lambda: 1)
    set_running(Settings(metric_prefix="shop"))
    try:
        measures.follow()
        assert ({}, {"q": 1}) == (queues(telemetry), queues(telemetry, "shop_queue_size"))
    finally:
        set_running(None)
    measures.follow()
    assert ({"q": 1}, {}) == (queues(telemetry), queues(telemetry, "shop_queue_size"))


def test_every_run_is_followed():
    """What was observed before a run answers in it, once, and in the next one."""
    measures.observe_queue("q", lambda: 1)
    for _ in range(2):
        with capture() as telemetry:
            assert {"q": 1} == queues(telemetry)


# -- what callbacks do ----------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [None, "12", math.nan, math.inf, -1, True, [], 2**70, -0.5, object()])
def test_garbage_is_left_out_and_named_once(answer, telemetry, said):
    """An answer that is no number >= 0 has no series, is named once, and harms no other queue."""
    measures.observe_queue("bad", lambda: answer)
    measures.observe_queue("good", lambda: 1)

    assert {"good": 1} == queues(telemetry) == queues(telemetry)
    (line,) = said()
    assert "'bad'" in line
    assert "left out until it returns a number" in line


def test_failing_callback_is_left_out_until_it_answers(telemetry, said):
    """A callback that raises has no series meanwhile, is named once, and is asked again."""
    answers = iter([ValueError("no"), ValueError("no"), SystemExit(3), 4])

    def callback():
        answer = next(answers)
        if isinstance(answer, BaseException):
            raise answer
        return answer

    measures.observe_queue("q", callback)

    assert [{}, {}, {}, {"q": 4}] == [queues(telemetry) for _ in range(4)]
    (line,) = said()
    assert "ValueError: no" in line


def test_value_of_a_failure_is_not_repeated(telemetry):
    """Where a callback fails after a good answer, the old answer is not shown for the new one."""
    answers = iter([4, None])
    measures.observe_queue("q", lambda: next(answers))

    assert [{"q": 4}, {}] == [queues(telemetry) for _ in range(2)]


def test_what_cannot_be_called_is_named(telemetry, said):
    """A callback that is none is named in one line; nothing is observed and nothing raises."""
    with measures.observe_queue("q", 12):
        assert {} == queues(telemetry)

    assert "cannot be called" in said()[0]


def test_blocked_callback_holds_up_nobody(telemetry):
    """A callback that blocks is waited for once, briefly; the others answer, and it is not asked again."""
    release, calls = threading.Event(), []

    def blocks():
        calls.append(1)
        release.wait(30)
        return 9

    try:
        measures.observe_queue("stuck", blocks)
        measures.observe_queue("a", lambda: 1)
        began = time.monotonic()
        first = queues(telemetry)
        waited = time.monotonic() - began
        second = queues(telemetry)
    finally:
        release.set()

    assert {"a": 1} == first == second
    assert 5.0 > waited
    assert 1 == len(calls)
    assert eventually(lambda: queues(telemetry) == {"stuck": 9, "a": 1})


def test_late_answer_is_repeated_for_a_while():
    """The last answer stands while no new one comes, for 120 s."""
    observed = measures.observe_queue("q", lambda: 3)
    observed.ask()

    now = time.monotonic()
    assert 3 == observed.answer(now + KEPT_S - 5)
    assert observed.answer(now + KEPT_S + 5) is None


def test_callback_makes_no_telemetry(telemetry):
    """What a callback does is no request: it makes no spans."""

    def callback():
        with otelkit.span("from the callback"):
            return 1

    measures.observe_queue("q", callback)

    assert {"q": 1} == queues(telemetry)
    assert [] == telemetry.spans


# -- coroutine functions --------------------------------------------------------------------------


async def test_async_callback_runs_in_its_own_loop(telemetry):
    """A coroutine function is asked in the loop it was registered in, whoever collects."""
    seen = []

    async def size():
        await asyncio.sleep(0)
        seen.append((threading.get_ident(), asyncio.get_running_loop()))
        return 5

    measures.observe_queue("q", size)
    sizes = await asyncio.to_thread(queues, telemetry)

    assert {"q": 5} == sizes
    assert {(threading.get_ident(), asyncio.get_running_loop())} == set(seen)


async def test_async_callback_is_also_an_object_or_a_lambda(telemetry):
    """An object with an async ``__call__`` and a function that returns an awaitable are awaited."""

    class Sized:
        async def __call__(self):
            return 1

    measures.observe_queue("object", Sized())
    measures.observe_queue("lambda", lambda: Sized()())

    assert await asyncio.to_thread(eventually, lambda: queues(telemetry) == {"object": 1, "lambda": 1})


async def test_blocked_loop_repeats_the_last_answer(telemetry):
    """Collected by the very thread that runs the loop, the last answer is shown, without a deadlock."""

    async def size():
        return 5

    measures.observe_queue("q", size)
    assert {"q": 5} == await asyncio.to_thread(queues, telemetry)

    began = time.monotonic()
    assert {"q": 5} == queues(telemetry)
    assert 5.0 > time.monotonic() - began


async def test_failing_async_callback_is_named(telemetry, said):
    """A coroutine function that raises is named once; the loop reports nothing."""
    reports = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: reports.append(context))

    async def size():
        raise OSError("redis is gone")

    measures.observe_queue("q", size)
    sizes = [await asyncio.to_thread(queues, telemetry) for _ in range(2)]
    gc.collect()

    assert [{}, {}] == sizes
    assert [] == reports
    (line,) = said()
    assert "OSError: redis is gone" in line


async def test_exit_of_an_async_callback_ends_nothing(telemetry, said):
    """A coroutine function that wants to exit does not end the application's loop."""

    async def size():
        raise SystemExit(3)

    measures.observe_queue("q", size)

    assert {} == await asyncio.to_thread(queues, telemetry)
    assert "SystemExit" in said()[0]


def test_closed_loop_ends_the_asking_silently(telemetry, said):
    """After its loop an async callback is asked no more, without a word or a warning."""

    async def main():
        async def size():
            return 5

        measures.observe_queue("q", size)
        return await asyncio.to_thread(queues, telemetry)

    assert {"q": 5} == asyncio.run(main())
    queues(telemetry)
    gc.collect()
    assert [] == said()


def test_loop_closed_in_mid_answer_is_silent(telemetry, said, caplog):
    """A loop that is closed while a callback waits says nothing of a pending task."""
    started = threading.Event()

    async def size():
        started.set()
        await asyncio.Event().wait()

    async def main():
        measures.observe_queue("q", size)
        await asyncio.to_thread(queues, telemetry)

    loop = asyncio.new_event_loop()
    loop.run_until_complete(main())
    assert started.is_set()
    loop.close()
    _observe._observed.clear()
    gc.collect()

    assert ([], []) == (said(), caplog.records)


def test_async_callback_without_a_loop_is_named(telemetry, said):
    """Registered where no loop runs, a coroutine function is named with the remedy."""

    async def size():
        return 1

    measures.observe_queue("q", size)

    assert {} == queues(telemetry)
    assert "not registered in a running event loop" in said()[0]


# -- forks ----------------------------------------------------------------------------------------


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_fork_child_asks_anew(telemetry):
    """A callback that another thread was in at the fork is asked in the child all the same."""
    release = threading.Event()
    calls = []

    def callback():
        calls.append(1)
        if len(calls) == 1:
            release.wait(30)
        return 7

    observed = measures.observe_queue("q", callback)
    thread = threading.Thread(target=observed.ask)
    thread.start()
    try:
        assert eventually(lambda: bool(calls))
        child = os.fork()
        if child == 0:
            observed.ask()
            os._exit(0 if observed.answer(time.monotonic()) == 7 else 1)
        assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    finally:
        release.set()
        thread.join(10)


def test_observed_is_released():
    """An observation that was taken back is not kept in memory."""
    before = len(_observed._all)
    measures.observe_queue("gone", lambda: 1).close()
    gc.collect()

    assert before >= len(_observed._all)


def boom(*_args, **_kwargs):
    raise ZeroDivisionError


class Meta(type):
    __name__ = __call__ = property(boom)
    __hash__ = boom


@pytest.mark.parametrize("is_meta", [False, True])
def test_a_hostile_callback_is_observed_if_it_can_be_called(telemetry, said, is_meta):
    """An object of which nothing can be asked is called; one that cannot be called is named."""
    hostile = {"__class__": property(boom), "__repr__": boom, "__str__": boom, "__bool__": boom}
    make, kind = type.__call__, Meta if is_meta else type
    callback = make(type.__new__(kind, "Callback", (), {**hostile, "__call__": lambda self: 7}))
    with (
        otelkit.observe_queue("q", callback),
        otelkit.observe_queue("r", make(type.__new__(kind, "Thing", (), hostile))),
    ):
        assert 7 == telemetry.metric("agent_queue_size", queue_name="q").value

    assert ["is a Thing and cannot be called" in line for line in said()] == [True]
