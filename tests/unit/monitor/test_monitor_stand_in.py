"""What is decorated stays what it is: objects that can be called, and those that cannot."""

from __future__ import annotations

import copy
import enum
import functools
import inspect
import pickle
import traceback
import types
import weakref

import pytest

import otelkit
from otelkit.monitor import endpoints


class Kind(enum.Enum):
    QUERY = 1


monitored = otelkit.monitor_performance(method="m", endpoint="/stand-in")


def calls(telemetry):
    (one,) = telemetry.metric("agent_requests_total", endpoint="/stand-in", status="success").points
    return one.value


@pytest.mark.parametrize("decorate", [otelkit.monitor_performance, otelkit.monitor_performance("m")])
def test_descriptors_stay(said, decorate):
    """A property, a cached one and a single-dispatch method are left as they are, and named."""

    class Thing:
        @decorate
        @property
        def one(self):
            return 1

        @decorate
        @functools.cached_property
        def two(self):
            return 2

        @decorate
        @functools.singledispatchmethod
        def three(self, _other):
            return 3

        @decorate
        @functools.partialmethod
        def four(self):
            return 4

    thing = Thing()

    assert (1, 2, 3, 4) == (thing.one, thing.two, thing.three(0), thing.four())
    lines = said()
    kinds = ("property", "cached_property", "singledispatchmethod", "partialmethod")
    assert [True] * 4 == [f"was given a {kind}," in line for kind, line in zip(kinds, lines, strict=True)]
    assert all("below what makes this of the function" in line for line in lines)


def test_anything_else_without_parentheses_stays(said):
    """Whatever a decorator below has made of a function, it is what the name stands for."""
    made = {"a": 1}

    assert otelkit.monitor_performance(made) is made
    assert "was given a dict" in said()[0]


@pytest.mark.parametrize("label", [7, None, b"query", Kind.QUERY])
def test_labels_that_are_no_text(telemetry, label):
    """A number, bytes, None, a member of an enum alone is a label; nobody decorates such."""
    assert 1 == otelkit.monitor_performance(label)(lambda: 1)()
    assert 1 == otelkit.monitor_performance([label], "/list")(lambda: 1)()

    assert telemetry.metric("agent_requests_total", method=str(label), status="success").value


def test_a_cache_stays_one(telemetry):
    """A cached function has its cache, alone and as a method, and is measured."""

    @monitored
    @functools.lru_cache
    def double(number):
        """Twice."""
        return 2 * number

    class Thing:
        @monitored
        @functools.lru_cache
        def method(self):
            return self

    thing = Thing()

    assert (4, 4, thing) == (double(2), double(2), thing.method())
    assert (1, 1) == (double.cache_info().hits, Thing.method.cache_info().currsize)
    thing.method.cache_clear()
    assert 0 == Thing.method.cache_info().currsize
    assert ("double", "Twice.", __name__) == (double.__name__, double.__doc__, double.__module__)
    assert "(number)" == str(inspect.signature(double))
    assert 3 == calls(telemetry)


@pytest.mark.filterwarnings("ignore:functools.partial will be a method descriptor:FutureWarning")
def test_a_partial_stays_one(telemetry):
    """A partial is one to those who ask, binds as it does, and can be copied and pickled."""
    plain = functools.partial(max, 1)
    partial = monitored(plain)

    class Thing:
        plain = functools.partial(lambda *args: len(args), 1)
        call = monitored(functools.partial(lambda *args: len(args), 1))
        length = monitored(len)

    assert isinstance(partial, functools.partial)
    assert (max, (1,)) == (partial.func, partial.args)
    assert 2 == partial(2) == copy.copy(partial)(2) == pickle.loads(pickle.dumps(partial))(2)
    assert Thing().plain(2) == Thing().call(2)  # Python 3.14 gives it the instance
    assert 3 == Thing().length("abc")
    assert (plain, hash(plain), repr(plain)) == (partial, hash(partial), repr(partial))


def test_an_async_partial_is_awaited(telemetry):
    """The kind of a partial's function is seen through it."""

    async def work(number):
        return number

    partial = monitored(functools.partial(work, 1))

    assert inspect.iscoroutinefunction(partial)
    with pytest.raises(StopIteration) as stop:
        partial().send(None)
    assert 1 == stop.value.value


class Counter:
    """Counts."""

    def __init__(self):
        self.count = 0

    def __call__(self, step: int = 1) -> int:
        self.count += step
        return self.count

    def __len__(self):
        return self.count

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.count = 0


def test_an_object_stays_what_it_is(telemetry):
    """Class, attributes and special methods of an object are its own; its calls are measured."""
    counter = Counter()
    stand_in = monitored(counter)

    assert 2 == stand_in(step=2) == len(stand_in) == counter.count
    assert isinstance(stand_in, Counter)
    assert ("Counts.", vars(counter)) == (stand_in.__doc__, vars(stand_in))
    assert inspect.signature(counter) == inspect.signature(stand_in)
    stand_in.count = 5
    with stand_in as entered:
        assert (5, counter) == (counter.count, entered)
    del stand_in.count
    assert not hasattr(counter, "count")
    assert weakref.ref(stand_in)() is stand_in
    assert 1 == calls(telemetry)


def test_one_frame_for_an_object_too(telemetry):
    """Between the caller and an object's method stands one frame of ours."""

    class Fails:
        def __call__(self):
            raise KeyError

    with pytest.raises(KeyError) as caught:
        monitored(Fails())()

    frames = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert ["wrapper", "__call__"] == frames[-2:]


def test_functions_stay_functions():
    """Functions and bound methods get a function in their place."""
    for target in (Counter.__call__, Counter().__call__):
        assert type(monitored(target)) is types.FunctionType


def test_a_task_of_a_queue_stays(said):
    """A worker runs what its registry has: the task is left as it is, with the advice to go below it."""
    celery = pytest.importorskip("celery")
    app = celery.Celery("x", broker="memory://")

    @monitored
    @app.task
    def lazy():
        pass

    assert not lazy.__evaluated__()
    app.finalize()
    task = app.tasks[lazy.name]
    assert monitored(task) is task
    assert 2 == sum("which it leaves as it is. Put @otelkit" in line for line in said())
    assert () == endpoints()
