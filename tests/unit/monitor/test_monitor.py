"""The decorator from outside: what a monitored call leaves behind, and that nothing else changes."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import gc
import inspect
import traceback
import types
import weakref
from types import SimpleNamespace

import pytest

import otelkit
from otelkit import monitor
from otelkit.testing import capture


def value(telemetry, name, **labels):
    """The value of the one series with these labels."""
    (point,) = telemetry.metric(name, **labels).points
    return point.value


def finished(telemetry, **labels):
    """How many calls ended, by status."""
    return {
        dict(point.attributes)["status"]: point.value
        for point in telemetry.metric("agent_requests_total", **labels).points
    }


def sync_kind(body):
    def call():
        return body()

    return call


def async_kind(body):
    async def call():
        await asyncio.sleep(0)
        return body()

    return call


def generator_kind(body):
    def call():
        yield body()

    return call


def async_generator_kind(body):
    async def call():
        yield body()

    return call


KINDS = [sync_kind, async_kind, generator_kind, async_generator_kind]


def run(function, *args):
    """Call a function of any kind to its end."""
    if inspect.isasyncgenfunction(function):

        async def exhaust():
            return [item async for item in function(*args)]

        return asyncio.run(exhaust())
    if inspect.iscoroutinefunction(function):
        return asyncio.run(function(*args))
    result = function(*args)
    return list(result) if inspect.isgenerator(result) else result


@pytest.mark.parametrize("kind", KINDS)
def test_success(telemetry, kind):
    """Each kind of function has span, counters, duration and a line with the span's ids."""
    call = otelkit.monitor_performance("ask", f"/ok/{kind.__name__}")(kind(lambda: 42))

    assert run(call) in (42, [42])
    span, line = telemetry.span("call"), telemetry.log("Function executed")
    labels = {"method": "ask", "endpoint": f"/ok/{kind.__name__}"}
    assert labels.items() <= dict(span.attributes).items()
    assert {"success": 1, "error": 0, "cancelled": 0} == finished(telemetry, endpoint=labels["endpoint"])
    (duration,) = telemetry.metric("agent_request_duration_seconds", **labels).points
    assert 1 == duration.count
    assert 0 == telemetry.metric("agent_active_connections").value
    assert (span.trace_id, span.span_id) == (line.trace_id, line.span_id)
    assert {"function": "call", "status": "success", **labels}.items() <= dict(line.attributes).items()
    assert "INFO" == line.level


@pytest.mark.parametrize("kind", KINDS)
def test_error(telemetry, kind):
    """An exception is counted by type, recorded once on the span and in an error line, and goes on as it is."""
    error = LookupError("nothing there")

    def body():
        raise error

    call = otelkit.monitor_performance("fail", f"/error/{kind.__name__}")(kind(body))

    with pytest.raises(LookupError) as caught:
        run(call)
    assert caught.value is error
    assert 1 == finished(telemetry, endpoint=f"/error/{kind.__name__}")["error"]
    assert 1 <= value(telemetry, "agent_errors_total", error_type="LookupError", method="fail")
    span, line = telemetry.span("call"), telemetry.log("Function execution failed")
    assert ["exception"] == [event.name for event in span.events]
    assert {
        "error_type": "LookupError",
        "status": "error",
        "exception.message": "nothing there",
    }.items() <= dict(line.attributes).items()
    assert "ERROR" == line.level
    assert span.span_id == line.span_id


def test_error_type_is_the_class_name(telemetry):
    """An error of a module counts under its class's name, in the series that was there from the beginning."""

    class OutOfStock(Exception):
        pass

    @otelkit.monitor_performance("sell", "/sell", errors=(OutOfStock,))
    def sell():
        raise OutOfStock

    with pytest.raises(OutOfStock):
        sell()

    assert 1 == value(telemetry, "agent_errors_total", method="sell", error_type="OutOfStock")
    assert "OutOfStock" == telemetry.log("Function execution failed").attributes["error_type"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("error", [asyncio.CancelledError, KeyboardInterrupt, GeneratorExit, SystemExit])
def test_cancellation_is_no_error(telemetry, kind, error):
    """What is no `Exception` is the status `cancelled`: no error counted, no exception on the span."""

    def body():
        raise error

    endpoint = f"/cancelled/{kind.__name__}/{error.__name__}"
    call = otelkit.monitor_performance("stop", endpoint)(kind(body))

    with pytest.raises(error):
        run(call)
    assert {"success": 0, "error": 0, "cancelled": 1} == finished(telemetry, endpoint=endpoint)
    assert [] == list(telemetry.span("call").events)
    assert "cancelled" == telemetry.log("Function executed").attributes["status"]


@pytest.mark.parametrize("kind", KINDS)
def test_one_frame_of_ours_in_the_traceback(telemetry, kind):
    """Between the caller and the function stands one frame, the unavoidable one; no context is added."""

    def body():
        raise ValueError

    with pytest.raises(ValueError) as caught:
        run(otelkit.monitor_performance()(kind(body)))

    frames = [frame.name for frame in traceback.extract_tb(caught.value.__traceback__)]
    assert ["wrapper", "call", "body"] == frames[-3:]
    assert 1 == frames.count("wrapper")
    assert 1 == sum(
        "/otelkit/" in frame.filename for frame in traceback.extract_tb(caught.value.__traceback__)
    )
    assert caught.value.__context__ is None


def test_what_a_function_is_stays():
    """Name, signature, annotations and kind are those of the function."""

    async def query(self, text: str, *, limit: int = 3) -> dict[str, int]:
        """Ask."""

    for kind in (query, sync_kind(query), generator_kind(query), async_generator_kind(query)):
        monitored = otelkit.monitor_performance("query")(kind)
        assert inspect.signature(kind) == inspect.signature(monitored)
        assert inspect.getfullargspec(kind) == inspect.getfullargspec(monitored)
        assert (kind.__name__, kind.__doc__, kind.__module__) == (
            monitored.__name__,
            monitored.__doc__,
            monitored.__module__,
        )
        for test in (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction):
            assert test(kind) == test(monitored)


class Agent:
    @otelkit.monitor_performance("m", "/method")
    def method(self):
        return self

    @classmethod
    @otelkit.monitor_performance("m", "/class inside")
    def class_inside(cls):
        return cls

    @otelkit.monitor_performance("m", "/class outside")
    @classmethod
    def class_outside(cls):
        return cls

    @staticmethod
    @otelkit.monitor_performance("m", "/static inside")
    def static_inside():
        return 1

    @otelkit.monitor_performance("m", "/static outside")
    @staticmethod
    def static_outside():
        return 1


def test_methods_of_each_kind(telemetry):
    """Methods, class methods and static methods are monitored with the decorators in any order."""
    agent = Agent()

    assert agent.method() is agent
    assert Agent.class_inside() is Agent
    assert agent.class_outside() is Agent
    assert (1, 1) == (Agent.static_inside(), agent.static_outside())
    for endpoint in ("/method", "/class inside", "/class outside", "/static inside", "/static outside"):
        assert 1 == finished(telemetry, endpoint=endpoint)["success"], endpoint


def test_the_span_is_current_inside(telemetry):
    """Spans and lines made inside a monitored call belong to its trace; afterwards all is as before."""

    @otelkit.monitor_performance()
    def outer():
        otelkit.get_logger().info("inside")
        with otelkit.span("inner"):
            pass

    outer()

    assert otelkit.trace_id() is None
    assert telemetry.span("inner").parent_id == telemetry.span("outer").span_id
    assert telemetry.log("inside").span_id == telemetry.span("outer").span_id


def test_without_parentheses(telemetry):
    """The bare decorator labels calls `unknown`, as the defaults do."""

    @otelkit.monitor_performance
    def bare():
        return 1

    assert 1 == bare()
    assert finished(telemetry, method="unknown", endpoint="unknown")["success"]


def test_parts_can_be_off(telemetry):
    """`span=False` and `log=False` leave these two away; the series stay."""

    @otelkit.monitor_performance("quiet", "/quiet", span=False, log=False)
    def quiet():
        assert otelkit.trace_id() is None

    quiet()

    assert ([], []) == (telemetry.spans, telemetry.logs)
    assert 1 == finished(telemetry, endpoint="/quiet")["success"]


def test_exemplar_is_the_calls_span(telemetry):
    """The duration carries the trace of the call."""

    @otelkit.monitor_performance("ex", "/exemplar")
    def call():
        pass

    call()

    data = telemetry._reader.pull()
    (point,) = [
        point
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
        if metric.name == "agent_request_duration"
        for point in metric.data.data_points
        if point.attributes["endpoint"] == "/exemplar"
    ]
    assert f"{point.exemplars[0].span_id:016x}" == telemetry.span("call").span_id


def test_series_are_there_before_the_first_call():
    """Counters begin at zero, with each status and each error that was named; in every run anew."""

    @otelkit.monitor_performance("early", "/early", errors=(TimeoutError, "RateLimited"))
    def decorated_before():
        pass

    for _ in range(2):
        with capture() as telemetry:
            zero = finished(telemetry, endpoint="/early")
            assert {"success": 0, "error": 0, "cancelled": 0} == zero
            for kind in ("TimeoutError", "RateLimited"):
                assert 0 == value(telemetry, "agent_errors_total", error_type=kind, method="early")
            decorated_before()
            assert 1 == finished(telemetry, endpoint="/early")["success"]


def test_series_of_a_function_decorated_later(telemetry):
    """A function that is decorated while telemetry runs has its series at once; no duration yet."""
    otelkit.monitor_performance("late", "/late", errors=[KeyError])(lambda: None)

    assert {"success": 0, "error": 0, "cancelled": 0} == finished(telemetry, endpoint="/late")
    assert 0 == value(telemetry, "agent_errors_total", error_type="KeyError", method="late")
    with pytest.raises(LookupError):
        telemetry.metric("agent_request_duration_seconds")


def test_a_call_is_counted_where_it_ends():
    """A call that goes on while another run begins is active in the first and counted in the second."""

    @otelkit.monitor_performance("over", "/over")
    def over():
        yield 1

    with capture() as first:
        steps = over()
        next(steps)
        assert 1 == first.metric("agent_active_connections").value
        with capture() as second:
            assert [] == list(steps)
            assert 1 == finished(second, endpoint="/over")["success"]
            assert 0 == second.metric("agent_active_connections").value
        assert 0 == first.metric("agent_active_connections").value
        assert 0 == finished(first, endpoint="/over")["success"]


def test_metrics_do_not_depend_on_sampling():
    """With every trace sampled out the series are the same."""
    from otelkit.settings import Settings

    with capture(settings=Settings(service_name="test", sample_ratio=0.0)) as telemetry:
        otelkit.monitor_performance("s", "/sampled out")(lambda: None)()

    assert [] == telemetry.spans
    assert 1 == finished(telemetry, endpoint="/sampled out")["success"]
    assert 1 == telemetry.metric("agent_request_duration_seconds", endpoint="/sampled out").count


def test_the_prefix_is_followed():
    """The setting `metric_prefix` takes the place of `agent`."""
    from otelkit.settings import Settings

    with capture(settings=Settings(service_name="test", metric_prefix="shop")) as telemetry:
        otelkit.monitor_performance("p", "/prefix")(lambda: None)()

    assert telemetry.metric("shop_requests_total", endpoint="/prefix", status="success").value
    assert telemetry.metric("shop_request_duration_seconds", endpoint="/prefix").count
    assert 0 == telemetry.metric("shop_active_connections").value


def test_tokens_and_size(telemetry):
    """`llm_tokens_used` has one observation of the total; `response_size_bytes` the size of `data`."""

    @otelkit.monitor_performance("chat", "/chat", track_tokens=True)
    def chat():
        return SimpleNamespace(
            usage={"prompt_tokens": 900, "completion_tokens": 100}, model="m-1", data="héllo"
        )

    chat()

    tokens = telemetry.metric("llm_tokens_used", model="m-1", operation="chat")
    assert (1, 1000) == (tokens.count, tokens.sum)
    size = telemetry.metric("response_size_bytes", endpoint="/chat")
    assert (1, 6) == (size.count, size.sum)


def test_tokens_only_where_asked(telemetry):
    """Without `track_tokens` a usage is not looked at."""

    class Result:
        @property
        def usage(self):
            raise AssertionError

    otelkit.monitor_performance()(Result)  # a class stays as it is
    otelkit.monitor_performance()(lambda: Result())()

    with pytest.raises(LookupError):
        telemetry.metric("llm_tokens_used")


@pytest.mark.parametrize(
    "chunks",
    [
        # OpenAI: the last chunk. Anthropic: the input in the first, the output grows. Gemini: each has all.
        [{"usage": None}, {"model": "m", "usage": {"total_tokens": 30}}],
        [
            {"message": {"model": "m", "usage": {"input_tokens": 10, "output_tokens": 1}}},
            {"usage": {"output_tokens": 20}},
        ],
        [
            {"model": "m", "usage_metadata": {"prompt_token_count": 10, "candidates_token_count": n}}
            for n in (5, 20)
        ],
    ],
    ids=["openai", "anthropic", "gemini"],
)
@pytest.mark.parametrize("kind", [generator_kind, async_generator_kind])
def test_tokens_of_streams(telemetry, kind, chunks):
    """A stream is one observation with what its chunks say together."""

    def sync_stream():
        yield from chunks

    async def async_stream():
        for chunk in chunks:
            yield chunk

    stream = sync_stream if kind is generator_kind else async_stream
    endpoint = f"/stream/{stream.__name__}"
    assert chunks == run(otelkit.monitor_performance("stream", endpoint, True)(stream))

    tokens = telemetry.metric("llm_tokens_used", model="m", operation="stream")
    assert (1, 30) == (tokens.count, tokens.sum)


@pytest.mark.parametrize("kind", KINDS)
def test_expected_exceptions_are_answers(telemetry, kind):
    """An expected exception passes; the call is a success with an ordinary line and a plain span."""

    def body():
        raise KeyError("nothing there")

    endpoint = f"/expected/{kind.__name__}"
    call = otelkit.monitor_performance("find", endpoint, expected=(LookupError,))(kind(body))

    with pytest.raises(KeyError):
        run(call)
    assert {"success": 1, "error": 0, "cancelled": 0} == finished(telemetry, endpoint=endpoint)
    assert ("UNSET", ()) == (telemetry.span("call").status, tuple(telemetry.span("call").events))
    assert "success" == telemetry.log("Function executed").attributes["status"]


@pytest.mark.parametrize("expected", [7, ["text"], None, (LookupError, 7)])
def test_what_is_no_exception_class_is_not_expected(telemetry, said, expected):
    """Anything else given as `expected` is left out and named."""
    otelkit.monitor_performance("find", "/wrong", expected=expected)(lambda: None)()

    assert "which is no exception class" in said()[0]


def test_early_break_is_cancelled(telemetry):
    """A stream that nobody reads on is closed, ends and counts as cancelled; so does one that is dropped."""

    @otelkit.monitor_performance("b", "/break")
    def stream():
        try:
            while True:
                yield 1
        finally:
            otelkit.get_logger().info("closed")

    for _ in stream():
        break
    steps = stream()
    next(steps)
    del steps
    gc.collect()

    assert 2 == finished(telemetry, endpoint="/break")["cancelled"]
    assert 0 == telemetry.metric("agent_active_connections").value
    lines = [line for line in telemetry.logs if line.event == "closed"]
    assert [span.span_id for span in telemetry.spans] == [line.span_id for line in lines]


async def test_async_streams_left_early(telemetry):
    """`break`, `aclose` and a dropped reference end an async stream, once the loop has turned."""

    @otelkit.monitor_performance("b", "/async break")
    async def stream():
        while True:
            yield 1

    async for _ in stream():
        break
    steps = stream()
    await steps.__anext__()
    await steps.aclose()
    steps = stream()
    await steps.__anext__()
    del steps
    gc.collect()
    for _ in range(5):
        await asyncio.sleep(0)

    assert 3 == finished(telemetry, endpoint="/async break")["cancelled"]
    assert otelkit.trace_id() is None


def test_generators_keep_their_protocol(telemetry):
    """`send`, `throw` and the value of `return` pass through."""

    @otelkit.monitor_performance()
    def echo():
        got = yield "first"
        try:
            yield got
        except KeyError:
            yield "caught"
        return "done"

    steps = echo()
    assert ["first", "sent", "caught"] == [next(steps), steps.send("sent"), steps.throw(KeyError())]
    with pytest.raises(StopIteration) as stop:
        next(steps)
    assert "done" == stop.value.value


def test_a_loop_that_ends_closes_each_stream_once(telemetry):
    """An async generator that is still open when its loop ends is closed as without the decorator."""
    closed, complaints = [], []

    @otelkit.monitor_performance("left", "/left")
    async def stream():
        try:
            yield 1
        finally:
            await asyncio.sleep(0)
            closed.append(True)

    async def leave():
        asyncio.get_running_loop().set_exception_handler(lambda _loop, about: complaints.append(about))
        opened = stream()
        await anext(opened)
        return opened

    left = asyncio.run(leave())

    assert ([True], []) == (closed, complaints)
    assert left.ag_frame is None
    assert 1 == finished(telemetry, endpoint="/left")["cancelled"]


def test_what_is_thrown_into_a_stream_is_released(telemetry):
    """An exception thrown into a generator is in no cycle with its frame."""

    class Held:
        pass

    @otelkit.monitor_performance("thrown", "/thrown")
    def stream(held):
        yield held

    def throw():
        held = Held()
        opened = stream(held)
        next(opened)
        with contextlib.suppress(KeyError):
            opened.throw(KeyError())
        return weakref.ref(held)

    gc.disable()
    try:
        assert throw()() is None
    finally:
        gc.enable()


async def test_cancelled_task(telemetry):
    """A cancelled task is cancelled, and its call too."""
    begun = asyncio.Event()

    @otelkit.monitor_performance("t", "/task")
    async def waits():
        begun.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(waits())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert 1 == finished(telemetry, endpoint="/task")["cancelled"]


@pytest.mark.parametrize("target", [property(lambda self: 1), type("Thing", (), {}), 7, None, "text"])
def test_wrong_targets_stay(target, said):
    """What is no function is left as it is, and named in one line with the right use."""
    assert otelkit.monitor_performance("x")(target) is target

    (line,) = said()
    assert "monitor_performance was given a" in line
    assert "@otelkit.monitor_performance(method=" in line


def test_callables_of_other_kinds(telemetry):
    """A partial and a callable object are monitored under the name that they have."""
    partial = functools.partial(lambda a, b: a + b, 1)

    class Callable:
        def __call__(self):
            return 7

    assert 3 == otelkit.monitor_performance("c", "/partial")(partial)(2)
    assert 7 == otelkit.monitor_performance("c", "/object")(Callable())()
    assert 1 == finished(telemetry, endpoint="/partial")["success"]
    assert 1 == finished(telemetry, endpoint="/object")["success"]


async def test_what_is_awaited_in_other_ways(telemetry):
    """A callable object with an async ``__call__`` and a generator-based coroutine are awaited to their end."""

    class Callable:
        async def __call__(self):
            await asyncio.sleep(0)
            raise KeyError

    @types.coroutine
    def old():
        yield from asyncio.sleep(0).__await__()
        return 5

    call = otelkit.monitor_performance("aw", "/object")(Callable())
    with pytest.raises(KeyError):
        await call()

    assert 5 == await otelkit.monitor_performance("aw", "/old")(old)()
    assert inspect.iscoroutinefunction(call.__call__)
    assert 1 == finished(telemetry, endpoint="/object")["error"]
    assert 1 == finished(telemetry, endpoint="/old")["success"]


async def test_objects_that_are_iterated(telemetry):
    """A generator ``__call__``, async or not, is one call until it ends."""

    class Stream:
        def __call__(self):
            yield 1
            raise KeyError

    class AsyncStream:
        async def __call__(self):
            yield 1
            raise KeyError

    with pytest.raises(KeyError):
        list(otelkit.monitor_performance("it", "/stream")(Stream())())
    with pytest.raises(KeyError):
        [item async for item in otelkit.monitor_performance("it", "/async stream")(AsyncStream())()]

    for endpoint in ("/stream", "/async stream"):
        assert {"success": 0, "error": 1, "cancelled": 0} == finished(telemetry, endpoint=endpoint)


async def test_work_that_comes_later_is_named(telemetry, said):
    """A plain function whose result is awaited is measured until it returns, named once; its result stays."""

    async def work():
        return 5

    @otelkit.monitor_performance("later", "/later")
    @functools.wraps(work)
    def begins():
        return work()

    first, second = begins(), begins()

    assert inspect.iscoroutine(first)
    assert [5, 5] == [await first, await second]
    (line,) = said()
    assert "it returned a coroutine" in line
    assert "Decorate the async or generator function itself." in line


@pytest.mark.parametrize("label", [7, None, ["un", "hashable"], "x" * 100_000, "\ud83d", "", b"bytes"])
def test_odd_labels(telemetry, label):
    """Labels of any kind become bounded text."""
    assert 1 == otelkit.monitor_performance(str(id(label)), label)(lambda: 1)()

    (point,) = telemetry.metric("agent_requests_total", method=str(id(label)), status="success").points
    endpoint = dict(point.attributes)["endpoint"]
    assert isinstance(endpoint, str)
    assert 1 <= len(endpoint) <= 1_024
    endpoint.encode()


def test_ten_thousand_endpoints(telemetry, said):
    """Endpoints made of input end in the overflow, exact to the unit, and are named once."""
    for number in range(10_000):
        otelkit.monitor_performance("m", f"/user/{number}", log=False, span=False)(lambda: 1)()

    points = telemetry.metric("agent_requests_total").points
    assert len(points) <= 2_001
    assert 10_000 == sum(point.value for point in points)
    assert 10_000 == sum(point.count for point in telemetry.metric("agent_request_duration_seconds").points)
    assert any("'endpoint' alone has" in line for line in said())
    assert 1_000 == len(monitor.endpoints())


def test_results_that_fight_back(telemetry):
    """A result whose properties raise is returned as it is, and costs no series."""

    class Hostile:
        @property
        def data(self):
            raise RuntimeError

        @property
        def usage(self):
            raise RuntimeError

        def __str__(self):
            raise RuntimeError

    class Silent:
        data = Hostile()

    hostile, silent = Hostile(), Silent()
    assert otelkit.monitor_performance("h", "/hostile", True)(lambda: hostile)() is hostile
    assert otelkit.monitor_performance("h", "/hostile", True)(lambda: silent)() is silent
    assert 2 == finished(telemetry, endpoint="/hostile")["success"]


def test_without_telemetry_nothing_happens(capsys):
    """Before `init` a monitored function is the function: no line, no error."""

    @otelkit.monitor_performance("n", "/nothing")
    def call():
        return 1

    assert 1 == call()
    assert ("", "") == tuple(capsys.readouterr())


def test_registry():
    """`endpoints` lists what is monitored, the same function once."""
    for _ in range(3):

        @otelkit.monitor_performance("registered", "/registered", errors=(OSError,))
        def listed():
            pass

    rows = [row for row in monitor.endpoints() if row.method == "registered"]
    assert [("/registered", "listed", __name__, ("OSError",))] == [
        (row.endpoint, row.function, row.module, row.errors) for row in rows
    ]


def test_nothing_monitored_has_no_series(telemetry):
    """A program that monitors nothing has none of the series."""
    assert [] == telemetry.metrics


def test_counts_are_exact_with_threads(telemetry):
    """Calls from many threads are all counted."""
    import threading

    call = otelkit.monitor_performance("threads", "/threads", log=False, span=False)(lambda: 1)
    threads = [threading.Thread(target=lambda: [call() for _ in range(2_000)]) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert 16_000 == finished(telemetry, endpoint="/threads")["success"]
    assert 16_000 == telemetry.metric("agent_request_duration_seconds", endpoint="/threads").count
    assert 0 == telemetry.metric("agent_active_connections").value
