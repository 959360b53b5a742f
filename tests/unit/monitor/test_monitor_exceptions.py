"""An exception on its way through monitored calls: what is told of it, and that it is left alone."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

import otelkit
from otelkit import _guard
from otelkit.monitor import _recorder, _told
from otelkit.testing import capture

monitored = otelkit.monitor_performance("m", "/m")


class Slotted(Exception):
    __slots__ = ()


def stacks(telemetry):
    """Whether each span and each line has the stack, from the first that ended on."""
    spans = [
        ["exception.stacktrace" in event.attributes for event in span.events] for span in telemetry.spans
    ]
    lines = ["exception.stacktrace" in line.attributes for line in telemetry.logs]
    return [one for events in spans for one in events], lines


def fails(error):
    raise error


@pytest.mark.parametrize("error", [ValueError("v"), Slotted("v")])
def test_the_innermost_call_tells_the_stack(telemetry, error):
    """Of calls inside each other each tells type and message; the innermost one alone the stack."""
    inner = monitored(fails)
    middle = monitored(lambda error: inner(error))
    outer = monitored(lambda error: middle(error))

    with pytest.raises(type(error)):
        outer(error)

    assert ([True, False, False], [True, False, False]) == stacks(telemetry)
    for told in [span.events[0] for span in telemetry.spans] + list(telemetry.logs):
        assert type(error).__name__ in told.attributes["exception.type"]
        assert "v" == told.attributes["exception.message"]
    assert {"ERROR"} == {span.status for span in telemetry.spans}
    assert {type(error).__name__} == {line.attributes["error_type"] for line in telemetry.logs}


def test_the_stack_is_told_by_the_first_that_tells(telemetry):
    """Where the inner calls have no line, or no span, or expect the exception, the next one tells it."""
    silent = otelkit.monitor_performance("m", "/m", span=False, log=False)(fails)
    expecting = otelkit.monitor_performance("m", "/m", expected=(ValueError,))(lambda error: silent(error))
    in_a_line = otelkit.monitor_performance("m", "/m", span=False)(lambda error: expecting(error))
    both = monitored(lambda error: in_a_line(error))

    with pytest.raises(ValueError):
        monitored(lambda error: both(error))(ValueError())

    assert ([True, False], [False, True, False, False]) == stacks(telemetry)


def test_another_exception_has_its_own_stack(telemetry):
    """An exception that takes the place of another is told with its stack, and so is each one of a loop."""

    def replaces():
        try:
            monitored(fails)(KeyError())
        except KeyError:
            raise ValueError from None

    def loops():
        for _ in range(3):
            with pytest.raises(KeyError):
                monitored(fails)(KeyError())
        raise ValueError

    for function in (replaces, loops):
        with pytest.raises(ValueError):
            monitored(function)()

    assert ([True] * 6, [True] * 6) == stacks(telemetry)


def test_an_exception_that_is_kept_is_told_each_time(telemetry):
    """One object that is raised again later is told with its stack again."""
    error = ValueError()
    for _ in range(2):
        with pytest.raises(ValueError):
            monitored(fails)(error)

    assert ([True, True], [True, True]) == stacks(telemetry)


def test_the_stack_of_tasks_and_threads(telemetry):
    """An exception that comes out of a thread or a task has been told there."""
    inner = monitored(fails)

    @monitored
    async def inside():
        raise ValueError

    @monitored
    async def outside():
        await asyncio.create_task(inside())

    with pytest.raises(ValueError):
        asyncio.run(outside())
    with ThreadPoolExecutor(1) as pool, pytest.raises(ValueError):
        monitored(lambda: pool.submit(inner, ValueError()).result())()

    assert ([True, False] * 2, [True, False] * 2) == stacks(telemetry)


def test_a_deep_recursion_is_told_in_linear_time(telemetry):
    """Through four times the levels an exception takes about four times as long: none tells what another has told."""

    @monitored
    def down(level):
        if level == 0:
            raise ValueError
        down(level - 1)

    def cost_s(levels):
        began = time.thread_time()
        with pytest.raises(ValueError):
            down(levels)
        return time.thread_time() - began

    cost_s(1)
    rounds = [(cost_s(70), cost_s(280)) for _ in range(3)]
    few, many = (min(costs) for costs in zip(*rounds, strict=True))

    assert many < 10 * few
    assert (7, 7) == tuple(sum(each) for each in stacks(telemetry))


def test_nothing_is_held_or_changed(telemetry):
    """An exception is gone as soon as the application lets it go, without the help of the collector."""

    class Held(Exception):
        pass

    @monitored
    def inner():
        raise Held

    def caught():
        try:
            monitored(lambda: inner())()
        except Held as error:
            assert {} == vars(error)
            return weakref.ref(error)

    before = dict(_told._kept)

    gc.disable()
    try:
        assert caught()() is None
        assert before == _told._kept
    finally:
        gc.enable()


def test_what_was_told_is_forgotten(telemetry):
    """Of an exception that cannot be referred to weakly nothing is known any more once it is gone."""

    @monitored
    def raises():
        raise Slotted

    before = dict(_told._kept)
    with contextlib.suppress(Slotted):
        raises()

    assert before == _told._kept


class Asks(type):
    def __instancecheck__(cls, _instance):
        raise RuntimeError


class Odd(Exception, metaclass=Asks):
    pass


@pytest.mark.parametrize(("error", "status"), [(KeyError, "error"), (Odd, "success")])
def test_expected_classes_are_not_asked(telemetry, error, status):
    """Expected exceptions are matched as `except` does it: no code of their classes runs."""

    def raises():
        raise error

    with pytest.raises(KeyError if error is KeyError else Exception) as caught:
        otelkit.monitor_performance("odd", "/odd", expected=(Odd,))(raises)()

    assert type(caught.value) is error
    (one,) = telemetry.metric("agent_requests_total", endpoint="/odd", status=status).points
    assert 1 == one.value


def no_room(*_args, **_kwargs):
    raise RecursionError


PLACES = {
    "enter": (_recorder, "attach"),
    "measure": (_recorder.Call, "_measure"),
    "result": (_recorder, "data_of"),
    "series": (_recorder.Recorder, "series"),
}


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("error", [None, KeyError])
def test_a_call_that_begins_ends(monkeypatch, place, error):
    """Where a recursion leaves no room for our own code, active calls stay exact and nothing is raised."""

    def call():
        if error is not None:
            raise error
        return 1

    def steps():
        yield call()

    def outcome(function):
        try:
            return function()
        except Exception as raised:
            return type(raised)

    with capture() as telemetry:
        function, generator = monitored(call), monitored(steps)
        with monkeypatch.context() as patched, _guard.reraise(False):
            patched.setattr(*PLACES[place], no_room)
            results = outcome(function), outcome(lambda: list(generator()))

        assert ((1, [1]) if error is None else (error, error)) == results
        assert 0 == telemetry.metric("agent_active_connections").value
        assert otelkit.trace_id() is None


def test_a_recursion_without_end(telemetry):
    """A monitored function that calls itself for ever ends as the bare one does, and leaves no call active."""

    @otelkit.monitor_performance("endless", "/endless", log=False)
    def endless():
        return endless()

    with _guard.reraise(False), pytest.raises(RecursionError):
        endless()

    assert 0 == telemetry.metric("agent_active_connections").value
    assert otelkit.trace_id() is None
