"""Calls of models with objects of which nothing can be asked: only those are lost."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from otelkit import llm
from otelkit.testing import capture


def boom(*_args, **_kwargs):
    raise ZeroDivisionError


class Meta(type):
    __name__ = property(boom)
    __hash__ = boom


class Hostile:
    """Nothing can be asked of it."""

    __class__ = property(boom)
    __bool__ = __hash__ = __eq__ = __str__ = __repr__ = __iter__ = __len__ = __getattr__ = boom


Odd = Meta("Odd", (Hostile,), {})


class HostileMapping(dict):
    """One that cannot be read."""

    __iter__ = keys = items = __getitem__ = __len__ = boom


# In functions: pytest compares and hashes what it is given.
MAKERS = [lambda: Hostile(), lambda: Odd(), lambda: HostileMapping(a=1), lambda: 5]


@pytest.fixture
def telemetry():
    with capture() as telemetry:
        yield telemetry


@pytest.mark.parametrize("make", MAKERS[:2])
def test_names_of_a_call(telemetry, make):
    """A model, an operation and whatever else is named by such an object has its class's name."""
    odd = make()
    with llm.track(odd, odd, provider=odd, server_address=odd, server_port=odd, record_content=odd):
        pass
    llm.record_tokens(odd, odd, 1, 2, provider=odd, response_model=odd)

    name = f"<unprintable {type.__dict__['__name__'].__get__(type(odd))}>"
    assert name == telemetry.span(f"{name} {name}").attributes["gen_ai.request.model"]
    assert 1 == telemetry.metric("llm_tokens_used", model=name).count


@pytest.mark.parametrize("make", MAKERS)
def test_attributes_of_a_call(telemetry, make):
    """Attributes that are no mapping, or cannot be read, leave the span and what was told of the call."""
    with llm.track("m", attributes=make()) as call:
        call.tokens(1, 2)

    assert 2 == telemetry.span("chat m").attributes["gen_ai.usage.output_tokens"]


@pytest.mark.parametrize("make", MAKERS[:2])
def test_an_answer_with_content(telemetry, make):
    """An answer of which nothing can be asked is passed on; prompt and call are there."""
    with llm.track("m", messages=[make(), "hello"], record_content=True) as call:
        answer = make()
        assert answer is call.result(answer)

    assert "hello" in telemetry.span("chat m").attributes["gen_ai.input.messages"]


def test_a_stream_whose_members_raise(telemetry):
    """A stream whose `close` cannot be asked for is read as any other."""

    class Chunks:
        close = property(boom)

        def __init__(self):
            self._left = [
                SimpleNamespace(model="m", usage=SimpleNamespace(prompt_tokens=3, completion_tokens=4))
            ]

        def __iter__(self):
            return self

        def __next__(self):
            if not self._left:
                raise StopIteration
            return self._left.pop()

    with llm.track("m") as call:
        assert 1 == len(list(call.stream(Chunks())))

    assert 4 == telemetry.span("chat m").attributes["gen_ai.usage.output_tokens"]


@pytest.mark.parametrize("make", MAKERS[:2])
def test_a_stream_that_cannot_be_asked(telemetry, make):
    """What may be a stream or not, and does not say, comes back as it is."""
    thing = make()
    with llm.track("m") as call:
        assert thing is call.stream(thing)

    assert telemetry.span("chat m")


@pytest.mark.parametrize("make", MAKERS)
def test_prices_that_cannot_be_read(said, make):
    """A table of prices that is none, or cannot be read, is named."""
    with llm.configure(prices=make()):
        pass

    assert ["no mapping" in line for line in said()] == [True]


class Key:
    """A key of a dict that cannot be shown."""

    __class__ = property(boom)
    __str__ = __repr__ = boom


def test_a_price_that_cannot_be_read(telemetry, said):
    """A row whose pattern or price cannot be asked is left out; the others hold."""
    with llm.configure(
        prices={Key(): llm.Price(input=1, output=1), "x": Hostile(), "m": {"input": 1, "output": 1}}
    ):
        llm.record_tokens("m", "chat", 1_000_000, 0)

    assert 1.0 == telemetry.metric("otelkit.llm.cost").value
    assert 2 == len(said())
