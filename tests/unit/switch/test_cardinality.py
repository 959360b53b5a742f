"""The limit of attribute sets, on every kind of instrument."""

from __future__ import annotations

import pytest
from opentelemetry import metrics

import otelkit
from otelkit.settings import Settings
from otelkit.testing import capture

OVERFLOW = {"otel.metric.overflow": True}


@pytest.fixture
def few():
    """A capture in which an instrument may have five attribute sets."""
    with capture(settings=Settings(service_name="test", cardinality_limit=5)) as telemetry:
        yield telemetry


def test_sets_within_the_limit_go_on(few):
    """The first five sets are measured to the end, whatever comes beyond the limit."""
    counter = otelkit.get_meter("few").create_counter("few.sold")
    for turn in (1, 2, 3):
        for user in range(12):
            counter.add(turn, {"user": user, "shop": "north"})

    assert 6 == len(few.metric("few.sold").points)
    assert [6] * 5 == [few.metric("few.sold", user=user).value for user in range(5)]


def test_overflow_takes_the_rest(few):
    """The overflow point has what the five sets have not."""
    counter = otelkit.get_meter("few").create_counter("few.rest")
    for user in range(12):
        counter.add(2, {"user": user})

    overflow = few.metric("few.rest", **OVERFLOW)
    assert (14, 24) == (overflow.value, sum(point.value for point in few.metric("few.rest").points))


def test_worst_label_is_named_once(few, said):
    """One line names the label with the most values, however many measurements follow."""
    counter = otelkit.get_meter("few").create_counter("few.named")
    for user in range(50):
        counter.add(1, {"shop": "north", "user": user})

    (line,) = said()
    assert "few.named" in line
    assert "'user' alone has 5 values" in line
    assert "cardinality_limit" in line


@pytest.mark.parametrize(
    ("make", "measure", "expected"),
    [
        ("create_histogram", "record", 7),
        ("create_up_down_counter", "add", 7),
        ("create_gauge", "set", 1),
    ],
)
def test_every_synchronous_kind(few, make, measure, expected):
    """Histograms, up-down counters and gauges are limited alike."""
    instrument = getattr(otelkit.get_meter("few"), make)(f"few.{make}")
    for user in range(12):
        getattr(instrument, measure)(1, {"user": str(user)})

    metric = few.metric(f"few.{make}")
    overflow = few.metric(f"few.{make}", **OVERFLOW)
    assert 6 == len(metric.points)
    assert expected == (overflow.count if make == "create_histogram" else overflow.value)


def test_up_down_counter_comes_back_to_zero(few):
    """What went up in the overflow comes down there."""
    counter = otelkit.get_meter("few").create_up_down_counter("few.open")
    for amount in (1, -1):
        for user in range(12):
            counter.add(amount, {"user": user})

    assert {0} == {point.value for point in few.metric("few.open").points}


def test_observed_sums_are_added_up(few):
    """Observations beyond the limit are one, with their sum."""
    otelkit.get_meter("few").create_observable_counter(
        "few.observed", callbacks=[lambda _: [metrics.Observation(2, {"user": n}) for n in range(12)]]
    )

    for _ in range(2):  # a second collection finds the same
        assert 14 == few.metric("few.observed", **OVERFLOW).value
    assert 6 == len(few.metric("few.observed").points)


def test_values_that_need_repair_are_limited_too(few):
    """Attributes that had to be made plain count like others."""
    counter = otelkit.get_meter("few").create_counter("few.repaired")
    for user in range(12):
        counter.add(1, {"user": [user]})
        counter.add(1, {"user": float("nan")})

    assert 6 == len(few.metric("few.repaired").points)
    assert 24 == sum(point.value for point in few.metric("few.repaired").points)


def test_each_run_has_its_own_sets():
    """A new run begins with none."""
    counter = otelkit.get_meter("few").create_counter("few.runs")
    for run in range(2):
        with capture(settings=Settings(service_name="test", cardinality_limit=5)) as telemetry:
            for user in range(5):
                counter.add(1, {"user": (run, user)})
        assert 5 == len(telemetry.metric("few.runs").points)


def test_the_default_is_two_thousand():
    """Without a setting the limit is 2,000 sets and the overflow."""
    with capture() as telemetry:
        counter = otelkit.get_meter("few").create_counter("few.default")
        for user in range(2_100):
            counter.add(1, {"user": user})

    assert 2_001 == len(telemetry.metric("few.default").points)
    assert 100 == telemetry.metric("few.default", **OVERFLOW).value


def test_a_higher_limit_holds_on_every_way_out():
    """The SDK has a limit of its own (2,000 sets, from 1.45.2 on), which follows the setting."""
    with capture(settings=Settings(service_name="test", cardinality_limit=2_500)) as telemetry:
        meter = otelkit.get_meter("few")
        counter = meter.create_counter("few.higher")
        for user in range(2_500):
            counter.add(1, {"user": user})
        counter.add(1)
        meter.create_observable_gauge(
            "few.observed", [lambda _: [metrics.Observation(1, {"user": user}) for user in range(2_500)]]
        )

    assert 2_501 == len(telemetry.metric("few.higher").points)
    assert 2_500 == len(telemetry.metric("few.observed").points)
