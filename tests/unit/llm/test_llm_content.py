"""Prompts and answers: recorded only when asked for, redacted, bounded."""

from __future__ import annotations

import json
from dataclasses import dataclass

import pytest

from otelkit import llm
from otelkit.llm._content import input_messages
from otelkit.testing import capture

KEY = "sk-proj-Zm9vYmFyYmF6cXV4Zm9vYmFyYmF6cXV4MTIzNDU2"
PROMPT = [
    {"role": "system", "content": "Be brief."},
    {"role": "user", "content": [{"type": "text", "text": f"My key is {KEY}"}]},
]
ANSWER = {"choices": [{"message": {"content": "Paris"}, "finish_reason": "stop"}]}
CONTENT = {"gen_ai.input.messages", "gen_ai.output.messages", "gen_ai.system_instructions"}


@pytest.fixture
def telemetry():
    with capture() as telemetry:
        yield telemetry


def ask(**more):
    with llm.track("m", messages=PROMPT, system="No jokes.", **more) as call:
        call.result(ANSWER)


def test_nothing_is_recorded_unasked(telemetry):
    """Prompts and answers stay where they are: not on the span, and not even looked at."""

    class Untouchable:
        def __getattribute__(self, name):
            raise AssertionError(name)

    ask()
    with llm.track("n", messages=Untouchable()):
        pass

    assert not CONTENT & {name for span in telemetry.spans for name in span.attributes}


@pytest.mark.parametrize("way", ["call", "set-up"])
def test_content_is_recorded_when_asked_for(way, telemetry):
    """Asked for, content is on the span as the conventions have it: JSON of roles and parts."""
    if way == "call":
        ask(record_content=True)
    else:
        with llm.configure(record_content=True):
            ask()

    attributes = telemetry.span("chat m").attributes
    first = json.loads(attributes["gen_ai.input.messages"])[0]
    assert {"role": "system", "parts": [{"type": "text", "content": "Be brief."}]} == first
    assert [{"type": "text", "content": "No jokes."}] == json.loads(attributes["gen_ai.system_instructions"])
    assert [
        {"role": "assistant", "parts": [{"type": "text", "content": "Paris"}], "finish_reason": "stop"}
    ] == json.loads(attributes["gen_ai.output.messages"])


def test_a_call_can_decline(telemetry):
    """A call that says no is not recorded, whatever the set-up."""
    with llm.configure(record_content=True):
        ask(record_content=False)

    assert not CONTENT & set(telemetry.span("chat m").attributes)


def test_content_is_redacted():
    """Secrets in a prompt are hidden before it becomes an attribute."""
    shown = input_messages([*PROMPT, {"role": "tool", "content": [{"type": "call", "password": "hunter2"}]}])

    assert KEY not in shown
    assert "hunter2" not in shown
    assert "My key is" in shown


def test_content_is_bounded():
    """Long texts are cut and the oldest messages left out; what is kept is whole JSON."""
    messages = [{"role": "user", "content": f"{n} " + "x" * 10_000} for n in range(100)]
    shown = input_messages(messages)

    kept = json.loads(shown)
    assert len(shown) <= 32_768
    assert kept[-1]["parts"][0]["content"].startswith("99 ")
    assert 1 < len(kept) < 100


def test_stream_is_recorded(telemetry):
    """The text of a stream is put together from its chunks, up to the bound."""
    chunks = [
        {"delta": {"text": "Pa"}},
        {"type": "ping"},
        {"delta": {"text": "ris"}},
        {"delta": {"text": "x" * 9999}},
    ]
    with llm.track("m", record_content=True) as call:
        list(call.stream(chunks))

    (message,) = json.loads(telemetry.span("chat m").attributes["gen_ai.output.messages"])
    text = message["parts"][0]["content"]
    assert text.startswith("Parisx")
    assert 4_000 == len(text)


@dataclass
class Message:
    role: str
    content: str


@pytest.mark.parametrize("messages", [
    "hello", ["a", "b"], Message("user", "hi"), [Message("user", "hi")], {"role": "user", "parts": [{"text": "x"}]},
    [], None, 3, [None], [[1]], object(), {"content": b"\xff"}, {"content": float("nan")}, "\ud83d", {1: {2: 3}},
    {"role": "assistant", "content": None, "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]},
])  # fmt: skip
def test_any_prompt_is_json(messages, telemetry):
    """Prompts of any shape become a JSON list of messages; nothing raises."""
    shown = json.loads(input_messages(messages))
    with llm.track("m", messages=messages, system=messages, record_content=True) as call:
        call.result(messages)

    assert all({"role", "parts"} <= message.keys() for message in shown)
    assert 1 == len(telemetry.spans)


@pytest.mark.parametrize("result, text", [
    ({"content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}, "ab"),
    ({"candidates": [{"content": {"parts": [{"text": "a"}, {"text": "b"}]}}]}, "ab"),
    ({"output_text": "ab"}, "ab"),
    ("ab", "ab"),
    ({"choices": [{"text": "ab"}]}, "ab"),
])  # fmt: skip
def test_answers_of_all_providers(result, text, telemetry):
    """An answer's text is read from each provider's own words."""
    with llm.track("m", record_content=True) as call:
        call.result(result)

    (message,) = json.loads(telemetry.span("chat m").attributes["gen_ai.output.messages"])
    assert text == message["parts"][0]["content"]
