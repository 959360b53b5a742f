"""Streamed answers: passed through untouched, measured to their end."""

from __future__ import annotations

import asyncio
import gc
import threading
import time
from collections import UserDict
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from types import SimpleNamespace

import pytest
from pydantic import BaseModel

from otelkit import llm
from otelkit.testing import capture

CHUNKS = [
    {"model": "gpt-x-2026", "choices": [{"delta": {"content": "Pa"}}]},
    {"choices": [{"delta": {"content": "ris"}, "finish_reason": "stop"}]},
    {"choices": [], "usage": {"prompt_tokens": 100, "completion_tokens": 50, "total_tokens": 150}},
]
CLAUDE = [
    {"type": "message_start", "message": {"id": "m1", "model": "claude-x", "usage": {
        "input_tokens": 25, "cache_read_input_tokens": 100, "output_tokens": 1}}},
    {"type": "content_block_delta", "delta": {"text": "Hi"}},
    {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {
        "input_tokens": 25, "output_tokens": 15}},
]  # fmt: skip


@pytest.fixture
def telemetry():
    with capture() as telemetry:
        yield telemetry


def plain(chunks, error=None):
    yield from chunks
    if error is not None:
        raise error


async def coming(chunks, error=None):
    for chunk in chunks:
        await asyncio.sleep(0)
        yield chunk
    if error is not None:
        raise error


def span_of(telemetry, timeout_s=10.0):
    """The span, also where a released stream ended it elsewhere."""
    until = time.monotonic() + timeout_s
    while not telemetry.spans and time.monotonic() < until:
        threading.Event().wait(0.01)
    (span,) = telemetry.spans
    return span


def test_chunks_pass_untouched(telemetry):
    """The application gets the same chunks; the usage is that of the last one."""
    with llm.track("gpt-x") as call:
        got = list(call.stream(plain(CHUNKS)))

    attributes = span_of(telemetry).attributes
    assert all(one is other for one, other in zip(CHUNKS, got, strict=True))
    assert (100, 50) == (attributes["gen_ai.usage.input_tokens"], attributes["gen_ai.usage.output_tokens"])
    assert ("gpt-x-2026", ("stop",)) == (
        attributes["gen_ai.response.model"],
        attributes["gen_ai.response.finish_reasons"],
    )
    assert 150 == telemetry.metric("llm_tokens_used", model="gpt-x-2026").sum


async def test_async_chunks_pass_untouched(telemetry):
    """The same for an async stream."""
    async with llm.track("gpt-x") as call:
        got = [chunk async for chunk in call.stream(coming(CHUNKS))]

    assert all(one is other for one, other in zip(CHUNKS, got, strict=True))
    assert 50 == span_of(telemetry).attributes["gen_ai.usage.output_tokens"]


def test_usage_told_in_parts_is_put_together(telemetry):
    """Anthropic tells the input at the start and the output at the end."""
    with llm.track("claude") as call:
        list(call.stream(plain(CLAUDE)))

    attributes = span_of(telemetry).attributes
    assert (125, 15, 100) == (
        attributes["gen_ai.usage.input_tokens"],
        attributes["gen_ai.usage.output_tokens"],
        attributes["gen_ai.usage.cache_read.input_tokens"],
    )
    assert ("m1", "claude-x", ("end_turn",)) == (
        attributes["gen_ai.response.id"],
        attributes["gen_ai.response.model"],
        attributes["gen_ai.response.finish_reasons"],
    )
    assert 140 == telemetry.metric("llm_tokens_used").sum


def test_counts_that_grow_are_not_added_up(telemetry):
    """Gemini tells in each chunk what was used so far."""
    chunks = [
        {
            "usage_metadata": {
                "prompt_token_count": 10,
                "candidates_token_count": n,
                "total_token_count": 10 + n,
            }
        }
        for n in (1, 2, 3)
    ]
    with llm.track("gemini") as call:
        list(call.stream(plain(chunks)))

    assert 13 == telemetry.metric("llm_tokens_used").sum


def test_time_to_first_chunk(telemetry):
    """The first chunk's time is on the span and in its histogram; a plain call has neither."""
    with llm.track("gpt-x") as call:
        list(call.stream(plain(CHUNKS)))
    with llm.track("other"):
        pass

    first, other = telemetry.spans
    assert 0 <= first.attributes["gen_ai.response.time_to_first_chunk"] <= first.duration_s + 0.1
    assert "gen_ai.response.time_to_first_chunk" not in other.attributes
    assert 1 == telemetry.metric("gen_ai.client.operation.time_to_first_chunk").count


async def test_closed_by_the_clients_own_close(telemetry):
    """The async streams of OpenAI and Anthropic have ``close``, which ends the call."""

    class Client:
        closed = False

        def __aiter__(self):
            return coming(CHUNKS)

        async def close(self):
            self.closed = True

    async with llm.track("gpt-x") as call:
        stream = call.stream(Client())
    await anext(aiter(stream))
    await stream.close()

    assert stream.closed
    assert "gpt-x-2026" == span_of(telemetry, timeout_s=0).attributes["gen_ai.response.model"]


def test_stream_outlives_its_block(telemetry):
    """A stream that is read after the block: the call ends with the stream."""

    def ask():
        with llm.track("gpt-x") as call:
            return call.stream(plain(CHUNKS))

    stream = ask()
    next(stream)
    assert [] == telemetry.spans
    list(stream)

    assert 50 == span_of(telemetry).attributes["gen_ai.usage.output_tokens"]


@pytest.mark.parametrize("inside", [True, False])
def test_error_of_a_stream_passes_unchanged(inside, telemetry):
    """An error while streaming is the same object, and the call's error."""
    error = ConnectionError("reset")

    def ask():
        with llm.track("gpt-x") as call:
            stream = call.stream(plain(CHUNKS[:1], error))
            return list(stream) if inside else stream

    with pytest.raises(ConnectionError) as caught:
        list(ask())

    span = span_of(telemetry)
    assert caught.value is error
    assert ("ERROR", "ConnectionError") == (span.status, span.attributes["error.type"])
    assert ["exception"] == [event.name for event in span.events]


def test_early_break_in_the_block(telemetry):
    """A stream left by `break` ends with its block, without an error."""
    with llm.track("gpt-x") as call:
        for _ in call.stream(plain(CHUNKS)):
            break

    assert "UNSET" == span_of(telemetry).status


def test_early_break_after_the_block(telemetry):
    """A stream that is left and released after its block ends the call."""

    def ask():
        with llm.track("gpt-x") as call:
            return call.stream(plain(CHUNKS))

    for _ in ask():
        break
    gc.collect()

    assert "UNSET" == span_of(telemetry).status
    assert 1 == telemetry.metric("gen_ai.client.operation.duration").count


def test_released_stream_is_measured_elsewhere(monkeypatch):
    """What releases a stream may be the garbage collector, in a thread that holds a lock of ours."""
    threads = []
    monkeypatch.setattr(llm.Call, "_finish", lambda _: threads.append(threading.get_ident()))
    with llm.track("gpt-x") as call:
        stream = call.stream(plain(CHUNKS))
    del call, stream
    gc.collect()

    until = time.monotonic() + 10
    while not threads and time.monotonic() < until:
        threading.Event().wait(0.01)
    assert 1 == len(threads)
    assert threading.get_ident() != threads[0]


def test_closed_stream_ends_the_call(telemetry):
    """`close` closes the source and ends the call, once."""
    closed = []

    class Source:
        def __iter__(self):
            return iter(CHUNKS)

        def close(self):
            closed.append(1)

    def ask():
        with llm.track("gpt-x") as call:
            return call.stream(Source())

    stream = ask()
    next(stream)
    stream.close()
    stream.close()

    assert [1, 1] == closed
    assert "UNSET" == span_of(telemetry).status


def test_the_last_of_several_streams_ends_the_call(telemetry):
    """A call with two streams ends with the second one; a stream ends once, closed again or not."""

    def ask():
        with llm.track("gpt-x") as call:
            return call.stream(plain(CHUNKS)), call.stream(plain(CHUNKS))

    first, second = ask()
    list(first)
    first.close()
    assert [] == telemetry.spans
    list(second)

    span_of(telemetry)


async def test_aclose_ends_the_call(telemetry):
    """`aclose` of an async stream closes the source and ends the call."""
    ended = []

    async def source():
        try:
            for chunk in CHUNKS:
                yield chunk
        finally:
            ended.append(1)

    async with llm.track("gpt-x") as call:
        stream = call.stream(source())
    await stream.__anext__()
    await stream.aclose()

    assert [1] == ended
    assert "UNSET" == span_of(telemetry).status


async def test_cancelled_stream_is_no_error(telemetry):
    """A consumer that is cancelled in mid-stream ends the call without an error."""

    async def endless():
        yield CHUNKS[0]
        await asyncio.Event().wait()

    begun = asyncio.Event()

    async def consume():
        async with llm.track("gpt-x") as call:
            stream = call.stream(endless())
        async for _ in stream:
            begun.set()

    task = asyncio.ensure_future(consume())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert "UNSET" == span_of(telemetry).status


def test_block_left_by_an_error_ends_the_call(telemetry):
    """An error of the block ends the call, whatever becomes of its stream."""
    stream = None
    with pytest.raises(KeyError), llm.track("gpt-x") as call:
        stream = call.stream(plain(CHUNKS))
        raise KeyError
    list(stream)

    assert "KeyError" == span_of(telemetry).attributes["error.type"]
    assert 1 == telemetry.metric("gen_ai.client.operation.duration").count


def test_members_of_the_source_stay():
    """A wrapped stream has its source's members and is a context manager where that is one."""

    class Source:
        response = "headers"
        entered = False

        def __iter__(self):
            return iter(CHUNKS)

        def __enter__(self):
            self.entered = True
            return self

        def __exit__(self, *_):
            self.entered = False

    source = Source()
    with llm.track("m") as call, call.stream(source) as stream:
        assert ("headers", True) == (stream.response, source.entered)
        assert CHUNKS == list(stream)
    assert not source.entered
    with pytest.raises(AttributeError, match="no_such"):
        _ = stream.no_such


@pytest.mark.parametrize("thing", [None, 3, SimpleNamespace(), "text", {"a": 1}, [], range(3)])
def test_what_is_no_stream_comes_back(thing):
    """`stream` of what is no stream gives it back; the application sees its own mistake."""
    with llm.track("m") as call:
        assert thing is call.stream(thing)


class Model(BaseModel):
    """As the answers of most clients are: iterable over its fields."""

    model: str = "gpt-x-2026"
    usage: dict[str, int] = {"prompt_tokens": 100, "completion_tokens": 50}


@pytest.mark.parametrize("answer", [Model(), Model().model_dump(), UserDict(Model()), CHUNKS, tuple(CHUNKS)])
def test_whole_answer_is_read_and_comes_back(answer, telemetry):
    """A client that was not asked to stream, or a list in its place: the same object, and its tokens count."""
    with llm.track("gpt-x") as call:
        assert answer is call.stream(answer)

    span = span_of(telemetry, timeout_s=0)
    assert (50, "gpt-x-2026") == (
        span.attributes["gen_ai.usage.output_tokens"],
        span.attributes["gen_ai.response.model"],
    )


ABILITIES = ("__iter__", "__aiter__", "__enter__", "__aenter__", "close", "aclose", "send", "__len__")


@pytest.mark.parametrize("make", [lambda: iter(CHUNKS), lambda: plain(CHUNKS), lambda: coming(CHUNKS)])
def test_stream_can_what_its_source_can(make):
    """A wrapped stream has the abilities of its source and no others."""
    with llm.track("m") as call:
        passed = call.stream(make())

    assert [hasattr(make(), name) for name in ABILITIES] == [hasattr(passed, name) for name in ABILITIES]
    assert not isinstance(passed, (AbstractContextManager, AbstractAsyncContextManager))


class TwoSided:
    """As LiteLLM's streams are: one object to be read either way."""

    def __init__(self):
        self.chunks = iter(CHUNKS)

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.chunks)

    def __aiter__(self):
        return self

    async def __anext__(self):
        for chunk in self.chunks:
            return chunk
        raise StopAsyncIteration


@pytest.mark.parametrize("way", ["plain", "async"])
async def test_stream_that_can_be_read_either_way(way, telemetry):
    """It is read in the way the application chooses."""
    with llm.track("gpt-x") as call:
        stream = call.stream(TwoSided())
        got = list(stream) if way == "plain" else [chunk async for chunk in stream]

    assert CHUNKS == got
    assert 50 == span_of(telemetry).attributes["gen_ai.usage.output_tokens"]


def test_stream_that_can_be_read_again(telemetry):
    """A second iteration gives what the source gives, and counts nothing twice."""

    class Kept:
        def __iter__(self):
            return iter(CHUNKS)

    with llm.track("gpt-x", record_content=True) as call:
        stream = call.stream(Kept())
        assert CHUNKS == list(stream) == list(stream)

    assert 150 == telemetry.metric("llm_tokens_used").sum
    assert "ParisPa" not in span_of(telemetry).attributes["gen_ai.output.messages"]


def test_source_that_cannot_begin_raises_its_own_error(telemetry):
    """An error when the iteration begins is the source's, at the same place."""

    class Source:
        def __iter__(self):
            raise OSError("gone")

    with pytest.raises(OSError, match="gone"), llm.track("m") as call:
        list(call.stream(Source()))

    assert "OSError" == span_of(telemetry).attributes["error.type"]
