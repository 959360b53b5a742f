import asyncio
import gc

import pytest
from opentelemetry import trace
from opentelemetry.context import attach, detach, get_current
from opentelemetry.trace import SpanKind, StatusCode

import otelkit
from otelkit.settings import Settings, resolve
from otelkit.testing import FakeClock, capture


class Unprintable(Exception):
    def __str__(self):
        raise RuntimeError("no text")


def test_yielded_span_is_the_current_one(telemetry):
    """The span of a block is what the OTel API calls current, and an OTel span."""
    with otelkit.span("a") as span:
        assert trace.get_current_span() is span
        assert isinstance(span, trace.Span)

    assert trace.get_current_span() is trace.INVALID_SPAN


def test_children_stand_below_their_parents(telemetry):
    """Spans of inner blocks have the outer block's span as parent, also through plain OTel tracers."""
    with otelkit.span("a") as outer:
        with trace.get_tracer("lib").start_as_current_span("b"):
            with otelkit.span("c"):
                pass

    assert telemetry.span("b").parent_id == telemetry.span("a").span_id
    assert telemetry.span("c").parent_id == telemetry.span("b").span_id
    assert otelkit.trace_id(outer) == telemetry.span("c").trace_id


def test_exception_passes_unchanged_and_is_recorded_once(telemetry):
    """The same exception object leaves the block; the span has it as one event and an error status."""
    error = ValueError("bad cart")
    with pytest.raises(ValueError) as caught, otelkit.span("a"):
        raise error

    span = telemetry.span("a")
    assert error is caught.value
    assert ("ERROR", "ValueError: bad cart") == (span.status, span.error)
    assert ["exception"] == [event.name for event in span.events]
    assert "bad cart" == span.events[0].attributes["exception.message"]


@pytest.mark.parametrize("start", ["otelkit", "tracer", "with start_span"])
def test_unprintable_exception_passes_unchanged(telemetry, start):
    """An exception whose __str__ raises reaches the application as it is, whichever way the span began."""
    tracer = trace.get_tracer("lib")
    scope = {
        "otelkit": lambda: otelkit.span("a"),
        "tracer": lambda: tracer.start_as_current_span("a"),
        "with start_span": lambda: tracer.start_span("a"),
    }[start]
    with pytest.raises(Unprintable), scope():
        raise Unprintable

    assert "ERROR" == telemetry.span("a").status


def test_cancellation_is_no_error(telemetry):
    """asyncio's cancellation leaves the status alone."""

    async def main():
        async with otelkit.span("a"):
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())

    assert "UNSET" == telemetry.span("a").status


def test_attributes_are_taken_as_they_are_now(telemetry):
    """A list that changes after it was set does not change the span."""
    items = ["a"]
    with otelkit.span("a", {"items": items}) as span:
        span.set_attribute("again", items)
        items.append("b")

    assert (("a",), ("a",)) == (
        tuple(telemetry.span("a").attributes["items"]),
        tuple(telemetry.span("a").attributes["again"]),
    )


def test_attributes_of_any_type_are_accepted(telemetry, caplog):
    """Whatever is set as an attribute is taken, without a line in the log."""

    class Hostile:
        def __str__(self):
            raise RuntimeError

    circular = {}
    circular["self"] = circular
    deep = [[]]
    for _ in range(3_000):
        deep = [deep]
    with otelkit.span("a") as span:
        for name, value in {"hostile": Hostile(), "circular": circular, "deep": deep, "none": None}.items():
            span.set_attribute(name, value)
        span.set_attributes({1: object(), "set": {1}})
        span.add_event("e", {"hostile": Hostile()})

    assert {"hostile", "circular", "deep", "none", "1", "set"} <= set(telemetry.span("a").attributes)
    assert "Invalid type" not in caplog.text


def test_ended_span_takes_nothing_and_says_nothing(telemetry, said):
    """Ending twice is silent and the first end counts."""
    span = trace.get_tracer("lib").start_span("a")
    span.end()
    span.end()

    assert 1 == len(telemetry.spans)
    assert [] == said()


def test_nonsense_start_arguments_do_not_raise(telemetry):
    """A name, kind, link or time of the wrong type makes a span all the same."""
    tracer = trace.get_tracer("lib")
    tracer.start_span(7, kind="server", links=["x"], start_time="now").end(end_time="later")

    assert ("7", "INTERNAL") == (telemetry.spans[0].name, telemetry.spans[0].kind)


def test_suppressed_block_makes_no_spans(telemetry):
    """Inside `suppress` no span is made, by otelkit or by any tracer."""
    with otelkit.suppress(), otelkit.span("a"), trace.get_tracer("lib").start_as_current_span("b"):
        pass

    assert [] == telemetry.spans


def test_kind_and_links_are_kept(telemetry):
    """Kind and links arrive."""
    with otelkit.span("a") as first:
        pass
    with otelkit.span("b", kind=SpanKind.CLIENT, links=[trace.Link(first.get_span_context(), {"n": 1})]):
        pass

    assert ("CLIENT", (telemetry.span("a").span_id,)) == (telemetry.span("b").kind, telemetry.span("b").links)


# -- as a decorator ----------------------------------------------------------------------------


def test_decorates_every_kind_of_function(telemetry):
    """Plain, async, generator and async generator functions get a span for each call."""

    @otelkit.span("plain")
    def plain():
        return otelkit.span_id()

    @otelkit.span("coroutine")
    async def coroutine():
        return otelkit.span_id()

    @otelkit.span("generator")
    def generator():
        yield otelkit.span_id()
        return "end"

    @otelkit.span("stream")
    async def stream():
        yield otelkit.span_id()

    async def main():
        return await coroutine(), [item async for item in stream()]

    inner, streamed = asyncio.run(main())
    assert plain() == telemetry.span("plain").span_id
    assert inner == telemetry.span("coroutine").span_id
    assert list(generator()) == [telemetry.span("generator").span_id]
    assert streamed == [telemetry.span("stream").span_id]


def test_decorated_function_keeps_its_kind_and_name():
    """inspect sees the same kind of function, name and docstring."""

    @otelkit.span("a")
    async def work(x: int) -> int:
        """Works."""
        return x

    assert asyncio.iscoroutinefunction(work) or __import__("inspect").iscoroutinefunction(work)
    assert ("work", "Works.") == (work.__name__, work.__doc__)


def test_decorated_generator_is_current_only_while_it_runs(telemetry):
    """Between the steps of a decorated generator its caller's span is current."""

    @otelkit.span("numbers")
    def numbers():
        with otelkit.span("inner"):
            yield 1
            assert otelkit.span_id() is not None

    with otelkit.span("caller") as caller:
        for _ in numbers():
            assert trace.get_current_span() is caller

    assert telemetry.span("inner").parent_id == telemetry.span("numbers").span_id


def test_decorated_generator_passes_values_both_ways(telemetry):
    """send, throw, close and the return value go through."""
    seen = []

    @otelkit.span("echo")
    def echo():
        try:
            got = yield "ready"
            seen.append(got)
            yield got * 2
        except KeyError as error:
            seen.append(error)
            yield "caught"
        return "done"

    running = echo()
    assert "ready" == next(running)
    assert 14 == running.send(7)
    assert "caught" == running.throw(KeyError("k"))
    with pytest.raises(StopIteration) as stop:
        next(running)
    assert ("done", 7) == (stop.value.value, seen[0])
    assert "UNSET" == telemetry.span("echo").status


def test_failing_generator_marks_its_span(telemetry):
    """An exception of the body is the span's error and reaches the caller."""

    @otelkit.span("broken")
    def broken():
        yield 1
        raise ValueError("x")

    with pytest.raises(ValueError):
        list(broken())

    assert "ERROR" == telemetry.span("broken").status


def test_failing_generator_heeds_what_was_asked_for(telemetry):
    """A tracer's decorator that shall neither record nor mark an exception does so for generators too."""

    @trace.get_tracer("lib").start_as_current_span(
        "broken", record_exception=False, set_status_on_exception=False
    )
    def broken():
        yield 1
        raise ValueError("x")

    with pytest.raises(ValueError):
        list(broken())

    assert ("UNSET", ()) == (telemetry.span("broken").status, telemetry.span("broken").events)


def test_decorator_at_import_follows_every_capture():
    """A decorated function works for whatever runtime is present when it is called."""

    @otelkit.span("work")
    def work():
        pass

    for _ in range(2):
        with capture() as telemetry:
            work()
        assert 1 == len(telemetry.spans)


# -- generators that are left ------------------------------------------------------------------


async def test_spans_after_a_left_async_generator_have_the_right_parent(telemetry, caplog):
    """After `break` out of an async generator with an open span, later spans stand where they should."""

    async def numbers():
        with otelkit.span("inside"):
            for number in range(10):
                yield number

    async def handler():
        with otelkit.span("request"):
            async for _ in numbers():
                break
            gc.collect()
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            for index in range(20):
                with trace.get_tracer("lib").start_as_current_span(f"after {index}"):
                    pass

    await asyncio.create_task(handler())
    request = telemetry.span("request").span_id

    assert {request} == {span.parent_id for span in telemetry.spans if span.name.startswith("after")}
    assert "detach" not in caplog.text


async def test_left_async_generator_at_the_top_leaves_no_parent(telemetry, caplog):
    """Where no span was open around the left generator, later spans are roots of their own."""

    async def numbers():
        with otelkit.span("inside"):
            yield 1
            yield 2

    async def main():
        async for _ in numbers():
            break
        gc.collect()
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        with otelkit.span("after"):
            pass

    await asyncio.create_task(main())

    assert telemetry.span("after").parent_id is None
    assert "detach" not in caplog.text


async def test_task_that_outlives_its_request_stays_in_the_trace(telemetry):
    """A task started in a request and running on after it keeps the request's trace."""
    ended = asyncio.Event()

    async def background():
        await ended.wait()
        with otelkit.span("later"):
            pass

    with otelkit.span("request"):
        task = asyncio.create_task(background())
    ended.set()
    await task

    assert telemetry.span("later").trace_id == telemetry.span("request").trace_id


def test_open_ancestor_is_chosen_over_an_ended_span(telemetry):
    """With a stale context, the nearest open ancestor becomes the parent."""
    with otelkit.span("outer"):
        with otelkit.span("inner"):
            stale = get_current()
        token = attach(stale)
        with otelkit.span("after"):
            pass
        detach(token)

    assert telemetry.span("after").parent_id == telemetry.span("outer").span_id


# -- sampling, time ----------------------------------------------------------------------------


def test_clock_and_ids_can_be_fixed():
    """With fixed ids and a fake clock a whole tree is a stable text."""
    with capture(fixed_ids=True, clock=FakeClock(step_ns=1_000_000)) as telemetry:
        with otelkit.span("a", {"n": 1}):
            with otelkit.span("b"):
                pass

    assert "a  3.0ms  n=1\n└─ b  1.0ms" == telemetry.tree()
    assert ("0" * 31 + "1", "0" * 15 + "1") == (telemetry.span("a").trace_id, telemetry.span("a").span_id)


def test_sampled_out_spans_are_not_delivered_but_propagate():
    """With a ratio of 0 nothing is kept, and the ids still exist for logs and propagation."""
    with capture(settings=otelkit.Settings(service_name="x", sample_ratio=0.0)) as telemetry:
        with otelkit.span("a") as span:
            assert otelkit.trace_id() is not None
            assert span.is_recording() is False

    assert [] == telemetry.spans


def test_status_set_by_the_application_wins(telemetry):
    """A status of OK set by the application is not overwritten by an exception."""
    with pytest.raises(ValueError), otelkit.span("a") as span:
        span.set_status(StatusCode.OK)
        raise ValueError

    assert "OK" == telemetry.span("a").status


def test_ids_are_strings_of_hex(telemetry):
    """Ids are given as hex texts of 32 and 16 characters, None outside a span."""
    assert (None, None) == (otelkit.trace_id(), otelkit.span_id())
    with otelkit.span("a"):
        assert (32, 16) == (len(otelkit.trace_id()), len(otelkit.span_id()))


@pytest.fixture
def three_children():
    """A capture in which a span may start three spans."""
    with capture(settings=Settings(service_name="test", max_children_per_span=3)) as telemetry:
        yield telemetry


def test_too_many_children_are_one_event(three_children):
    """Beyond the limit children are left out, and the parent says how many in its last event."""
    with otelkit.span("loop") as parent:
        for number in range(10):
            with otelkit.span("step", {"n": number}) as step:
                step.set_attribute("also", "fine")
        for number in range(200):
            parent.add_event(f"event {number}")

    assert [0, 1, 2] == [span.attributes["n"] for span in three_children.spans if span.name == "step"]
    event = three_children.span("loop").events[-1]
    assert ("otelkit.children_collapsed", 7) == (event.name, event.attributes["otelkit.children.count"])


def test_grandchildren_of_collapsed_children_are_collapsed(three_children):
    """What a left-out span starts is left out and counted too; their context is the parent's."""
    with otelkit.span("loop"):
        for _ in range(5):
            with otelkit.span("step"), otelkit.span("inner"):
                inner = otelkit.span_id()

    assert 3 == len([span for span in three_children.spans if span.name == "inner"])
    assert inner == three_children.span("loop").span_id
    assert 4 == three_children.span("loop").events[-1].attributes["otelkit.children.count"]


def test_the_limit_is_for_each_span(three_children):
    """Each span may start as many as the limit says; a trace as a whole has none."""
    for _ in range(4):
        with otelkit.span("loop"):
            for _ in range(3):
                otelkit.get_tracer().start_span("step").end()

    assert 16 == len(three_children.spans)
    assert not any(span.events for span in three_children.spans)


def test_collapsed_children_are_in_the_books():
    """Each span that was left out counts as sampled out."""
    runtime = otelkit.init("test", instrument=False, console=False)
    with otelkit.span("loop"):
        for _ in range(1_005):
            with otelkit.span("step"):
                pass

    counts = runtime.stats()["traces"]
    assert 5 == counts.sampled_out
    assert 1_006 == counts.created


class Watching:
    """A span processor that notes what a span has when it starts."""

    def __init__(self):
        self.seen = []

    def on_start(self, span, parent_context=None):
        self.seen.append(dict(span.attributes))

    def on_end(self, span):
        pass

    def shutdown(self):
        pass

    def force_flush(self, timeout_millis=30_000):
        return True


def test_processors_see_attributes_at_the_start():
    """A processor of the user's finds the attributes on the span when it starts."""
    watching = Watching()
    with capture(settings=Settings(service_name="test", span_processors=(watching,))) as telemetry:
        with otelkit.span("work", {"a": 1, "b": [1, 2]}):
            pass

    assert [{"a": 1, "b": (1, 2)}] == watching.seen
    assert telemetry.span("work").attributes == watching.seen[0]


@pytest.mark.parametrize("given", [3, 4, 5, 9])
def test_the_limit_of_attributes(given):
    """A span keeps as many attributes as the limit says, given at the start or later."""
    with capture(settings=Settings(service_name="test", span_attribute_limit=4)) as telemetry:
        with otelkit.span("work", {f"start.{n}": n for n in range(given)}) as span:
            span.set_attribute("later", True)

    found = telemetry.span("work").attributes
    assert min(given + 1, 4) == len(found)
    assert found["later"] is True


def test_values_are_cut_at_the_span_s_own_limit():
    """A limit below the general one is the SDK's business, and holds."""
    with capture(settings=Settings(service_name="test", span_attribute_length=3)) as telemetry:
        with otelkit.span("work", {"text": "abcdef"}):
            pass

    assert "abc" == telemetry.span("work").attributes["text"]


@pytest.mark.parametrize("where", ["start", "later", "event"])
def test_the_span_s_own_limit_may_be_longer(monkeypatch, where):
    """OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT alone lets a text on a span be as long as it says."""
    monkeypatch.setenv("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "100000")
    long = {"text": "x" * 100_001}
    with capture(settings=resolve(service_name="test")) as telemetry:
        with otelkit.span("work", long if where == "start" else {}) as span:
            if where == "later":
                span.set_attributes(long)
            elif where == "event":
                span.add_event("e", long)

    found = telemetry.span("work")
    kept = found.events[0].attributes if where == "event" else found.attributes
    assert 100_000 == len(kept["text"])


def test_a_short_limit_of_the_span_s_is_that_of_each_item():
    """A list on a span keeps all its texts, each as long as the span's limit says."""
    with capture(settings=Settings(service_name="test", span_attribute_length=3)) as telemetry:
        with otelkit.span("work", {"texts": ["abcdef"] * 20}):
            pass

    assert ("abc",) * 20 == telemetry.span("work").attributes["texts"]


def boom(*_args, **_kwargs):
    raise ZeroDivisionError


class Hostile:
    """Nothing can be asked of it, nor of its class."""

    __class__ = property(boom)
    __bool__ = __hash__ = __eq__ = __str__ = __repr__ = __iter__ = __len__ = __getattr__ = boom


class Untold(Exception):
    """Says neither what it is nor where it was raised."""

    __traceback__ = property(boom)
    __class__ = property(boom)
    __str__ = __repr__ = boom


def test_hostile_links_cost_only_themselves():
    """A span keeps its good links beside those that cannot be asked, and is there without any."""
    with capture() as telemetry:
        with otelkit.span("cause") as cause:
            pass
        with otelkit.span("bad", links=Hostile()):
            pass
        with otelkit.span("good", links=[Hostile(), trace.Link(cause.get_span_context()), 5]):
            pass

    assert () == tuple(telemetry.span("bad").links)
    assert 1 == len(telemetry.span("good").links)


def test_hostile_times_are_the_present_one():
    """An event and a span whose times cannot be read have the time of now."""
    tracer = otelkit.get_tracer("t")
    with capture() as telemetry:
        span = tracer.start_span("work", start_time=Hostile())
        span.add_event("e", timestamp=Hostile())
        span.end(Hostile())

    (event,) = telemetry.span("work").events
    assert "e" == event.name


def test_hostile_switches_of_a_span_are_on():
    """What is given as a switch and cannot be asked counts as on; the application's error passes."""
    tracer = otelkit.get_tracer("t")
    switches = {"record_exception": Hostile(), "set_status_on_exception": Hostile()}
    with capture() as telemetry:
        with pytest.raises(KeyError):
            with tracer.start_as_current_span("block", end_on_exit=Hostile(), **switches):
                raise KeyError("k")
        with pytest.raises(KeyError):
            with tracer.start_span("span", **switches):
                raise KeyError("k")

    for name in ("block", "span"):
        assert ("ERROR", 1) == (telemetry.span(name).status, len(telemetry.span(name).events))


def test_an_exception_that_tells_nothing_is_an_event():
    """An exception whose traceback, class and text cannot be read is recorded by its class's name."""
    error = Untold()
    with capture() as telemetry:
        with pytest.raises(Untold), otelkit.span("work"):
            raise error
        with otelkit.span("told") as span:
            span.record_exception(error, escaped=Hostile())

    for name in ("work", "told"):
        (event,) = telemetry.span(name).events
        assert event.attributes["exception.type"].endswith("Untold")
        assert "<unprintable Untold>" == event.attributes["exception.message"]


def test_a_status_that_is_none_costs_only_itself():
    """A hostile status leaves the span as it was."""
    with capture() as telemetry, otelkit.span("work") as span:
        span.set_status(Hostile())
        span.set_attribute("a", 1)

    assert ("UNSET", 1) == (telemetry.span("work").status, telemetry.span("work").attributes["a"])
