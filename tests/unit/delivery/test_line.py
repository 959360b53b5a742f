"""When a receiver is asked, and for how much."""

from __future__ import annotations

import pytest

from otelkit.delivery.line import Breaker, Pace


def test_a_failing_receiver_is_left_alone_longer_each_time():
    """The pauses double from half a second to five."""
    breaker, pauses = Breaker(jitter=lambda: 1.0), []
    for _ in range(6):
        breaker.failed(begun=0.0, now=0.0, retry_after_s=None)
        pauses.append(breaker.closed_until)

    assert [0.5, 1.0, 2.0, 4.0, 5.0, 5.0] == pauses


def test_jitter_takes_up_to_half_of_a_pause():
    """Without luck a pause is half as long."""
    breaker = Breaker(jitter=lambda: 0.0)
    breaker.failed(begun=10.0, now=10.0, retry_after_s=None)

    assert (False, True) == (breaker.allows(10.24), breaker.allows(10.25))


def test_the_time_of_the_request_counts_as_waiting():
    """A request that took longer than its pause has waited enough."""
    breaker = Breaker(jitter=lambda: 1.0)
    breaker.failed(begun=0.0, now=3.0, retry_after_s=None)

    assert breaker.allows(3.0)


@pytest.mark.parametrize(("told", "kept"), [(30.0, 30.0), (0.3, 0.3), (1e9, 3_600.0)])
def test_retry_after_is_kept(told, kept):
    """A receiver is left alone at least as long as it asks, up to an hour."""
    breaker = Breaker(jitter=lambda: 0.0)
    breaker.failed(begun=0.0, now=5.0, retry_after_s=told)

    assert (5.0 + kept, True) == (breaker.closed_until, breaker.told_to_wait)


@pytest.mark.parametrize("told", [0.0, -1.0, float("nan")])
def test_retry_after_nothing_asks_for_nothing(told):
    """A receiver that asks for no pause at all gets the usual one."""
    breaker = Breaker(jitter=lambda: 1.0)
    breaker.failed(begun=5.0, now=5.0, retry_after_s=told)

    assert (5.5, False) == (breaker.closed_until, breaker.told_to_wait)


def test_retry_after_does_not_shorten_the_pause():
    """What the receiver asks for counts where it is longer than the pause that is due anyway."""
    breaker = Breaker(jitter=lambda: 1.0)
    for _ in range(5):
        breaker.failed(begun=0.0, now=0.0, retry_after_s=1.0)

    assert (5.0, True) == (breaker.closed_until, breaker.told_to_wait)


def test_an_answer_forgets_all_failures():
    """After any answer the receiver is asked freely, and the next failure is a first one."""
    breaker = Breaker(jitter=lambda: 1.0)
    for _ in range(5):
        breaker.failed(begun=0.0, now=0.0, retry_after_s=None)
    breaker.succeeded()
    assert (0, True, False) == (breaker.failures, breaker.allows(0.0), breaker.told_to_wait)
    breaker.failed(begun=0.0, now=0.0, retry_after_s=None)

    assert 0.5 == breaker.closed_until


def test_the_round_trip_is_smoothed():
    """The first answer counts whole, each later one a third."""
    pace = Pace()
    pace.succeeded(1.0, size=100)
    pace.succeeded(2.0, size=100)

    assert 1.3 == pytest.approx(pace.round_trip_s)


def test_requests_grow_with_each_answer():
    """From 128 KB fourfold up to a megabyte; after a failure from 64 KB. A small request says nothing."""
    pace, sizes = Pace(), []
    for _ in range(3):
        sizes.append(pace.request_bytes)
        pace.succeeded(0.1, size=pace.request_bytes)
    pace.failed(0.1, size=1 << 20)
    for _ in range(4):
        sizes.append(pace.request_bytes)
        pace.succeeded(0.1, size=pace.request_bytes)
    pace.succeeded(0.1, size=100)

    assert [128, 512, 1024, 64, 256, 1024, 1024] == [size // 1024 for size in sizes]
    assert 1 << 20 == pace.request_bytes


def test_what_was_not_answered_in_time_is_halved():
    """After a silence requests grow up to half of what was in vain, and slowly on from there."""
    pace, sizes = Pace(), []
    pace.failed(10.0, size=1 << 20)
    for _ in range(20):
        sizes.append(pace.request_bytes)
        pace.succeeded(1.0, size=pace.request_bytes)

    assert [64, 256, 512, 544, 578] == [size // 1024 for size in sizes[:5]]
    assert 1 << 20 == sizes[-1]


def test_what_was_too_large_is_halved():
    """A small request that is too large says nothing: one of its items is."""
    pace = Pace()
    pace.too_large(10_000)
    assert 128 * 1024 == pace.request_bytes
    pace.too_large(100_000)

    assert 64 * 1024 == pace.request_bytes


def test_a_silence_after_a_small_request_does_not_count():
    """A receiver that hangs is away; nothing is learnt about sizes from asking whether it is back."""
    pace = Pace()
    for _ in range(10):
        pace.failed(5.0, size=64 * 1024)
    for _ in range(3):
        pace.succeeded(0.1, size=pace.request_bytes)

    assert 1 << 20 == pace.request_bytes


@pytest.mark.parametrize(
    ("seconds", "size"), [(0.0, 64 * 1024), (0.1, 64 * 1024), (0.5, 150_000), (9.0, 600_000)]
)
def test_a_request_that_is_to_be_answered_in_time(seconds, size):
    """As large as the last answer promises, between 64 KB and the present size."""
    pace = Pace()
    assert 128 * 1024 == pace.bytes_within(seconds or 1.0)
    pace.succeeded(0.5, size=150_000)

    assert size == pace.bytes_within(seconds)


def test_many_failures_are_no_overflow():
    """A receiver that is away for a year has the longest pause."""
    breaker = Breaker(jitter=lambda: 1.0)
    breaker.failures = 10**6
    breaker.failed(begun=0.0, now=0.0, retry_after_s=None)

    assert 5.0 == breaker.closed_until
