"""Tokens told in one call, and what they cost."""

from __future__ import annotations

import math

import pytest

from otelkit import llm
from otelkit.llm._prices import cost, prices_of
from otelkit.testing import capture

PRICE = llm.Price(input=2.5, output=10.0, cached=1.25)


@pytest.fixture
def telemetry():
    with capture() as telemetry:
        yield telemetry


def test_tokens_are_measured(telemetry):
    """One observation of the total, and one of each kind, with the names of the conventions."""
    llm.record_tokens("gpt-x", "chat", 100, 50, provider="openai")

    used = telemetry.metric("llm_tokens_used", model="gpt-x", operation="chat")
    kinds = telemetry.metric("gen_ai.client.token.usage").points
    assert (1, 150) == (used.count, used.sum)
    assert (100.0, 500.0) == used.point.bounds[:2]
    assert [("input", 100), ("output", 50)] == [
        (point.attributes["gen_ai.token.type"], point.sum) for point in kinds
    ]


@pytest.mark.parametrize("given, total", [((3, None), 3), ((None, 4), 4), ((0, 0), 0)])
def test_unknown_tokens_are_not_measured(given, total, telemetry):
    """A kind that is not known has no observation; the total is of what is known."""
    llm.record_tokens("m", "chat", *given)

    assert total == telemetry.metric("llm_tokens_used").sum
    assert sum(number is not None for number in given) == len(
        telemetry.metric("gen_ai.client.token.usage").points
    )


@pytest.mark.parametrize("bad", ["12", -1, math.nan, True, [], 10**20])
def test_what_is_no_number_is_named_once(bad, telemetry, said):
    """A value that is no number of tokens is left out and named once; nothing raises."""
    for _ in range(2):
        llm.record_tokens("m", "chat", bad, 4)

    assert (2, 8) == (telemetry.metric("llm_tokens_used").count, telemetry.metric("llm_tokens_used").sum)
    assert 1 == len(said())


def test_nothing_known_is_nothing_measured(telemetry):
    """Without any tokens there is no observation, not one of zero."""
    llm.record_tokens("m", "chat", None, None)

    assert [] == telemetry.metrics


# -- cost -----------------------------------------------------------------------------------------


def test_cost_is_measured(telemetry):
    """A call of a model with a price adds its cost in USD to the counter, and to the span."""
    with llm.configure(prices={"gpt-x": PRICE}):
        with llm.track("gpt-x", provider="openai") as call:
            call.tokens(1_000, 500, cached_tokens=400)
        llm.record_tokens("gpt-x", "chat", 1_000_000, 0, provider="openai")

    # 600 * 2.5 + 400 * 1.25 + 500 * 10 = 7,000 millionths of a dollar
    assert 0.007 == pytest.approx(telemetry.span("chat gpt-x").attributes["otelkit.llm.cost"])
    metric = telemetry.metric("otelkit_llm_cost_total")
    assert 2.507 == pytest.approx(metric.value)
    assert ("{USD}", "counter") == (metric.unit, metric.kind)


def test_cost_counts_the_cached_part_once():
    """Cached tokens are part of the input; more of them than input count as all of it."""
    assert 0.0025 == pytest.approx(cost(llm.Price(input=2.5, output=0), 1_000, 0, 400))
    assert 0.00125 == pytest.approx(cost(PRICE, 1_000, 0, 9_000))


@pytest.mark.parametrize("model, wanted", [
    ("gpt-x", 1), ("GPT-X", 1), ("gpt-x-mini", 2), ("gpt-x-mini-2026", 2), ("gpt-y", 3), ("other", 4),
    ("gpt-x[1]", 3), ("ft[1]", 5),
])  # fmt: skip
def test_most_specific_pattern_wins(model, wanted):
    """An exact name wins, then the pattern with the most characters besides wildcards."""
    table = {
        "*": llm.Price(input=4, output=0),
        "gpt-*": llm.Price(input=3, output=0),
        "gpt-x*": llm.Price(input=3, output=0),
        "gpt-x-mini*": llm.Price(input=2, output=0),
        "ft[1]": llm.Price(input=5, output=0),
        "gpt-x": llm.Price(input=1, output=0),
    }

    assert wanted == prices_of(table).of(model).input


def test_model_that_answered_is_looked_up_first():
    """The price is that of the model that answered; of the asked one where the table knows only it."""
    prices = prices_of({"a": llm.Price(input=1, output=0), "b": llm.Price(input=2, output=0)})

    assert (2, 1, None) == (prices.of("b", "a").input, prices.of("c", "a").input, prices.of(None, "c"))


def test_cost_of_a_call_is_that_of_the_model_that_answered(telemetry):
    """Asked for one model and answered by another, a call costs what the other one does."""
    table = {"asked": llm.Price(input=1, output=0), "answers": llm.Price(input=2, output=0)}
    with llm.configure(prices=table):
        llm.record_tokens("asked", "chat", 1_000_000, 0, response_model="answers")

    assert 2 == telemetry.metric("otelkit.llm.cost").value


def test_unknown_model_has_no_cost(telemetry, said):
    """A model that no pattern matches has no cost, which is said once for it."""
    with llm.configure(prices={"gpt-x": PRICE}):
        for _ in range(2):
            llm.record_tokens("other", "chat", 1, 1)

    assert "otelkit.llm.cost" not in {metric.name for metric in telemetry.metrics}
    (line,) = said()
    assert "'other'" in line


def test_without_prices_nothing_costs_anything(telemetry, said):
    """There are no prices of our own, and nothing is said about it."""
    llm.record_tokens("gpt-4o", "chat", 1, 1)

    assert "otelkit.llm.cost" not in {metric.name for metric in telemetry.metrics}
    assert [] == said()


@pytest.mark.parametrize("row", [
    None, 3, (1, 2), {}, {"input": 1}, {"input": "x", "output": 1}, {"input": -1, "output": 1},
    llm.Price(input=math.nan, output=1), {"input": 1, "output": 1, "more": 1},
])  # fmt: skip
def test_bad_price_is_named_and_left_out(row, said):
    """A row that is no price is named; the others hold."""
    prices = prices_of({"bad": row, "good": {"input": 1, "output": 2}})

    assert (None, llm.Price(input=1, output=2, cached=1)) == (prices.of("bad"), prices.of("good"))
    assert 1 == len(said())


def test_configure_restores(telemetry):
    """Leaving a set-up restores the one before; what is not given stays."""
    from otelkit.llm._configured import present

    before = present()
    with llm.configure(prices={"m": PRICE}):
        with llm.configure(record_content=True) as inner:
            assert (True, PRICE) == (present().record_content, present().prices.of("m"))
        inner.restore()
        assert not present().record_content
    assert before is present()


def test_configure_never_raises(said):
    """A table that is none is named; nothing is measured by it."""
    with llm.configure(prices=[1, 2]):
        pass

    assert 1 == len(said())
