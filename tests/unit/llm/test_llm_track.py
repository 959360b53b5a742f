"""Calls of language models: spans, durations, tokens, errors."""

from __future__ import annotations

import asyncio
import gc
import weakref
from types import SimpleNamespace

import pytest

from otelkit import llm
from otelkit.llm import _call
from otelkit.testing import capture


@pytest.fixture
def telemetry():
    with capture() as telemetry:
        yield telemetry


def answer(**more):
    return SimpleNamespace(
        id="chatcmpl-1",
        model="gpt-x-2026",
        usage=SimpleNamespace(
            prompt_tokens=100, completion_tokens=50, prompt_tokens_details=SimpleNamespace(cached_tokens=40)
        ),
        choices=[SimpleNamespace(finish_reason="stop", message=SimpleNamespace(content="Paris"))],
        **more,
    )


def test_call_is_a_client_span(telemetry):
    """A call is a CLIENT span named after operation and model, with what the conventions want of it."""
    with llm.track("gpt-x", provider="openai", server_address="api.example", server_port=443) as call:
        call.result(answer())

    span = telemetry.span("chat gpt-x")
    assert ("CLIENT", "UNSET", "otelkit.llm") == (span.kind, span.status, span.scope)
    assert {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-x",
        "gen_ai.response.model": "gpt-x-2026",
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.finish_reasons": ("stop",),
        "gen_ai.usage.input_tokens": 100,
        "gen_ai.usage.output_tokens": 50,
        "gen_ai.usage.cache_read.input_tokens": 40,
        "server.address": "api.example",
        "server.port": 443,
    } == dict(span.attributes)


def test_call_is_measured(telemetry):
    """Tokens of each kind, their total, and the duration are measured by the conventions."""
    with llm.track("gpt-x", provider="openai") as call:
        call.result(answer())

    labels = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "gen_ai.request.model": "gpt-x",
        "gen_ai.response.model": "gpt-x-2026",
    }
    tokens = telemetry.metric("gen_ai.client.token.usage")
    duration = telemetry.metric("gen_ai.client.operation.duration").point
    used = telemetry.metric("llm_tokens_used", model="gpt-x-2026", operation="chat")
    assert {"input": 100, "output": 50} == {
        point.attributes["gen_ai.token.type"]: point.sum for point in tokens.points
    }
    assert {**labels, "gen_ai.token.type": "input"} == dict(tokens.points[0].attributes)
    assert (1.0, 4.0, 16.0) == tokens.points[0].bounds[:3]
    assert (labels, 1) == (dict(duration.attributes), duration.count)
    assert (0.01, 81.92) == (duration.bounds[0], duration.bounds[-1])
    assert (1, 150) == (used.count, used.sum)


def test_failed_call_is_freed_at_once(telemetry):
    """Neither the call nor its span keeps the error, and with it all that its frames hold."""

    class Held:
        pass

    def ask(held):
        with llm.track("gpt-x") as call:
            call.result(held)
            raise ValueError("bad")

    held = Held()
    weakly = weakref.ref(held)
    gc.collect()
    gc.disable()
    try:
        try:
            ask(held)
        except ValueError:  # `pytest.raises` keeps it
            pass
        del held
        assert weakly() is None
    finally:
        gc.enable()

    assert "ValueError" == telemetry.span("chat gpt-x").attributes["error.type"]


def test_result_comes_back_as_it_is():
    """`result` gives back the same object, whatever it is."""
    response = answer()
    with llm.track("m") as call:
        for thing in (response, None, object(), 3):
            assert thing is call.result(thing)


@pytest.mark.parametrize("kind", ["sync", "async"])
async def test_error_passes_unchanged(kind, telemetry):
    """An exception passes as the same object; span and duration have its type."""
    error = TimeoutError("no answer")
    with pytest.raises(TimeoutError) as caught:
        if kind == "sync":
            with llm.track("gpt-x"):
                raise error
        else:
            async with llm.track("gpt-x"):
                raise error

    span = telemetry.span("chat gpt-x")
    assert caught.value is error
    assert ("ERROR", "TimeoutError: no answer") == (span.status, span.error)
    assert "TimeoutError" == span.attributes["error.type"]
    assert ["exception"] == [event.name for event in span.events]
    assert 1 == telemetry.metric("gen_ai.client.operation.duration", **{"error.type": "TimeoutError"}).count


@pytest.mark.parametrize("cancellation", [asyncio.CancelledError, GeneratorExit, KeyboardInterrupt])
def test_cancellation_is_no_error(cancellation, telemetry):
    """A cancelled call is measured, without an error."""
    with pytest.raises(cancellation), llm.track("gpt-x"):
        raise cancellation

    span = telemetry.span("chat gpt-x")
    assert ("UNSET", ()) == (span.status, span.events)
    assert "error.type" not in span.attributes
    assert 1 == telemetry.metric("gen_ai.client.operation.duration").count


async def test_cancelled_task_ends_its_span(telemetry):
    """A task that is cancelled in a call leaves a finished span."""
    started = asyncio.Event()

    async def work():
        async with llm.track("gpt-x"):
            started.set()
            await asyncio.Event().wait()

    task = asyncio.ensure_future(work())
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert "UNSET" == telemetry.span("chat gpt-x").status


def test_tokens_can_be_told(telemetry):
    """Where an answer does not say its tokens, the caller can."""
    with llm.track("m", "embeddings") as call:
        call.tokens(7, 0, model="m-2")

    assert 7 == telemetry.metric("llm_tokens_used", model="m-2", operation="embeddings").sum
    assert 7 == telemetry.span("embeddings m").attributes["gen_ai.usage.input_tokens"]


def test_without_usage_no_tokens_are_measured(telemetry):
    """A call whose answer says no tokens has a duration and no token counts."""
    with llm.track("m") as call:
        call.result({"model": "m-2"})

    names = {metric.name for metric in telemetry.metrics}
    assert "gen_ai.client.operation.duration" in names
    assert not names & {"llm_tokens_used", "gen_ai.client.token.usage"}
    assert "m-2" == telemetry.span("chat m").attributes["gen_ai.response.model"]


def test_later_answer_stands(telemetry):
    """Told twice, an answer counts once."""
    with llm.track("m") as call:
        call.result({"usage": {"total_tokens": 5}})
        call.result({"usage": {"total_tokens": 6}})

    assert (1, 6) == (telemetry.metric("llm_tokens_used").count, telemetry.metric("llm_tokens_used").sum)


def test_attributes_of_your_own(telemetry):
    """Further attributes are there at start, and more can be set meanwhile."""
    with llm.track("m", attributes={"gen_ai.request.temperature": 0.2}) as call:
        call.span.set_attribute("shop", "north")

    attributes = telemetry.span("chat m").attributes
    assert (0.2, "north") == (attributes["gen_ai.request.temperature"], attributes["shop"])


@pytest.mark.parametrize("odd", [None, "", 3, [], {"a": 1}, object(), "x" * 10_000, "\ud83d"])
def test_odd_names_never_raise(odd, telemetry):
    """Any value as a name makes a bounded text of it; nothing raises."""
    with llm.track(odd, odd, provider=odd, server_address=odd, server_port=odd, attributes=odd) as call:
        call.result(answer())

    (span,) = telemetry.spans
    assert len(span.name) < 500


def test_spans_inside_are_children(telemetry):
    """What happens in the block belongs to the call."""
    with llm.track("outer"), llm.track("inner"):
        pass

    assert telemetry.span("chat outer").span_id == telemetry.span("chat inner").parent_id


def test_metrics_do_not_depend_on_sampling():
    """A call that is not sampled is measured all the same."""
    from otelkit.settings import Settings

    with capture(settings=Settings(service_name="t", sample_ratio=0.0)) as telemetry:
        with llm.track("m") as call:
            call.result(answer())

        assert [] == telemetry.spans
        assert 150 == telemetry.metric("llm_tokens_used").sum


@pytest.mark.parametrize("reasons, result", [
    (("end_turn",), {"stop_reason": "end_turn"}),
    (("STOP",), {"candidates": [{"finishReason": "STOP"}]}),
    (("max_tokens",), {"stopReason": "max_tokens"}),
    (("stop", "length"), {"choices": [{"finish_reason": "stop"}, {"finish_reason": "length"}]}),
    (("tool_use",), {"delta": {"stop_reason": "tool_use"}}),
    ((), {"choices": 3}),
])  # fmt: skip
def test_finish_reasons_of_all_providers(reasons, result, telemetry):
    """Why an answer ended is read from each provider's own words."""
    with llm.track("m") as call:
        call.result(result)

    assert reasons == telemetry.span("chat m").attributes.get("gen_ai.response.finish_reasons", ())


def test_our_failure_does_not_reach_the_caller(monkeypatch, telemetry):
    """Where measuring itself fails, the block's result and its exceptions are as without it."""
    from otelkit import _guard

    def broken(*args, **kwargs):
        raise RuntimeError("ours")

    monkeypatch.setattr(_call._record, "record_duration", broken)
    monkeypatch.setattr(_call, "usage_of", broken)
    with _guard.reraise(False):
        with llm.track("m") as call:
            assert 3 == call.result(3)
        with pytest.raises(KeyError), llm.track("m"):
            raise KeyError
