"""A decorated generator is driven as the bare one: whatever is sent, thrown or closed."""

from __future__ import annotations

import asyncio
import contextlib
import sys
import weakref

import pytest

import otelkit

DECORATORS = {
    "none": lambda body: body,
    "span": otelkit.span("s"),
    "monitor": otelkit.monitor_performance("m"),
}
decorated = pytest.mark.parametrize("decorate", DECORATORS.values(), ids=DECORATORS)


class Item:
    pass


def forgiving():
    try:
        yield 1
    except GeneratorExit:
        return 5


def insisting():
    try:
        yield 1
    except GeneratorExit:
        yield 2


async def async_forgiving():
    try:
        yield 1
    except GeneratorExit:
        await asyncio.sleep(0)


async def async_insisting():
    try:
        yield 1
    except GeneratorExit:
        yield 2


@decorated
def test_close_is_answered_by_the_body(telemetry, decorate):
    """What a body returns on `close` is what `close` returns, from Python 3.13 on."""
    steps = decorate(forgiving)()
    next(steps)

    assert (5 if sys.version_info >= (3, 13) else None) == steps.close()


@decorated
def test_a_thrown_exit_is_answered_by_the_body(telemetry, decorate):
    """A `GeneratorExit` that is thrown in ends the body with its value, or it goes on."""
    steps, going_on = decorate(forgiving)(), decorate(insisting)()
    next(steps)
    next(going_on)

    with pytest.raises(StopIteration) as stop:
        steps.throw(GeneratorExit())
    assert 5 == stop.value.value
    assert 2 == going_on.throw(GeneratorExit())
    assert [] == list(going_on)


@decorated
def test_a_body_that_does_not_close_is_an_error(telemetry, decorate):
    """A body that yields on when it is closed is Python's own error, and goes on all the same."""
    steps = decorate(insisting)()
    next(steps)

    with pytest.raises(RuntimeError, match="generator ignored GeneratorExit"):
        steps.close()
    assert [] == list(steps)


@decorated
def test_an_exit_from_a_block_can_be_suppressed(telemetry, decorate):
    """`contextmanager` around a body that catches everything suppresses a `GeneratorExit` too."""

    def block():
        with contextlib.suppress(BaseException):
            yield

    with contextlib.contextmanager(decorate(block))():
        raise GeneratorExit


@decorated
async def test_an_exit_from_an_async_block_can_be_suppressed(telemetry, decorate):
    """So does `asynccontextmanager`."""

    async def block():
        with contextlib.suppress(BaseException):
            yield

    async with contextlib.asynccontextmanager(decorate(block))():
        raise GeneratorExit


@decorated
async def test_a_thrown_exit_is_answered_by_an_async_body(telemetry, decorate):
    """A `GeneratorExit` that is thrown into an async generator ends it, or it goes on."""
    steps, going_on = decorate(async_forgiving)(), decorate(async_insisting)()
    await anext(steps)
    await anext(going_on)

    with pytest.raises(StopAsyncIteration):
        await steps.athrow(GeneratorExit())
    assert 2 == await going_on.athrow(GeneratorExit())
    assert [] == [item async for item in going_on]


@decorated
async def test_closing_an_async_body(telemetry, decorate):
    """`aclose` waits for the body's answer; one that yields on is Python's own error."""
    steps, going_on = decorate(async_forgiving)(), decorate(async_insisting)()
    await anext(steps)
    await anext(going_on)

    await steps.aclose()
    with pytest.raises(RuntimeError, match="async generator ignored GeneratorExit"):
        await going_on.aclose()


def test_an_exit_that_the_body_forgives_is_cancelled(telemetry):
    """A call that nobody wanted more of counts as cancelled, however its body takes it."""
    steps = otelkit.monitor_performance("m", "/forgiving")(forgiving)()
    next(steps)
    steps.close()

    (one,) = telemetry.metric("agent_requests_total", endpoint="/forgiving", status="cancelled").points
    assert 1 == one.value


@decorated
def test_items_are_the_callers(telemetry, decorate):
    """An item that the caller drops is gone before the next step."""

    def items():
        while True:
            yield Item()

    steps = decorate(items)()
    item = weakref.ref(next(steps))

    assert item() is None


@decorated
async def test_items_of_async_streams_are_the_callers(telemetry, decorate):
    """So is one of an async generator."""

    async def items():
        while True:
            yield Item()

    steps = decorate(items)()
    item = weakref.ref(await anext(steps))

    assert item() is None
    await steps.aclose()


@decorated
def test_arguments_are_the_bodys(telemetry, decorate):
    """An argument that a body drops is gone, while it goes on."""

    def consume(item):
        seen = weakref.ref(item)
        del item
        yield seen

    steps = decorate(consume)(Item())
    seen = next(steps)

    assert seen() is None
