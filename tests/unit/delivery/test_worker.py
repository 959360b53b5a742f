import threading
import time
from asyncio import CancelledError

import pytest

from otelkit import _guard
from otelkit.delivery import worker as room
from otelkit.delivery.worker import Bell, Worker
from otelkit.processors.context import suppressed


def soon(seconds=5.0):
    return time.monotonic() + seconds


@pytest.fixture
def started():
    workers = []

    def start(work, **options):
        worker = Worker(name="otelkit-test", work=work, **options)
        worker.start()
        workers.append(worker)
        return worker

    yield start
    for worker in workers:
        worker.stop(deadline=soon())


def test_a_bell_wakes_the_next_wait():
    """Rung while nobody waits, however often, it ends one wait."""
    bell = Bell()
    bell.ring()
    bell.ring()

    assert [True, False] == [bell.wait(0), bell.wait(0)]


def test_a_bell_wakes_a_waiting_thread():
    """Rung while somebody waits, it ends that wait."""
    bell, woken = Bell(), threading.Event()
    thread = threading.Thread(target=lambda: bell.wait(None) and woken.set())
    thread.start()
    bell.ring()

    assert woken.wait(5)
    thread.join()


def test_a_bell_may_be_waited_for_very_long():
    """A wait longer than a lock can do is no error."""
    bell = Bell()
    bell.ring()

    assert bell.wait(1e300) is True


def test_asking_gets_a_whole_round(started):
    """Who asks waits for a round that was told to do everything."""
    rounds = []
    worker = started(rounds.append)

    assert worker.wait(worker.ask(), deadline=soon()) is True
    assert True in rounds


def test_a_question_during_a_round_gets_its_own(started):
    """A round that has begun before the question does not answer it."""
    entered, open_, rounds = threading.Event(), threading.Event(), []

    def work(asked):
        rounds.append(asked)
        entered.set()
        open_.wait(5)

    worker = started(work)
    assert entered.wait(5)
    ticket = worker.ask()
    assert worker.wait(ticket, deadline=soon(0.01)) is False
    open_.set()

    assert worker.wait(ticket, deadline=soon()) is True
    assert [False, True] == rounds


def test_a_round_knows_that_it_is_called(started):
    """A long round can see that somebody asks, or says stop."""
    entered, open_, called = threading.Event(), threading.Event(), []

    def work(asked):
        called.append(worker.called)
        entered.set()
        open_.wait(5)
        called.append(worker.called)

    worker = Worker(name="otelkit-test", work=work)
    worker.start()
    assert entered.wait(5)
    worker.stop(deadline=0.0)
    open_.set()
    worker.stop(deadline=soon())

    assert [False, True] == called


def test_the_round_says_when_the_next_one_is(started):
    """A round that returns a number of seconds is called again by itself."""
    again, rounds = threading.Event(), []

    def work(asked):
        rounds.append(asked)
        if len(rounds) == 3:
            again.set()
        return 0.001 if len(rounds) < 3 else None

    started(work)

    assert again.wait(5)


def test_the_thread_makes_no_telemetry(started):
    """Its context suppresses telemetry."""
    seen = []
    worker = started(lambda asked: seen.append(suppressed()))
    worker.wait(worker.ask(), deadline=soon())

    assert {True} == set(seen)


@pytest.mark.parametrize("error", [ValueError, CancelledError, SystemExit, KeyboardInterrupt])
def test_a_failing_round_is_not_the_last(started, monkeypatch, error):
    """A round that raises, whatever it is, is said and tried again after a while."""
    monkeypatch.setattr(room, "_AFTER_FAILURE_S", 0.001)
    again, rounds = threading.Event(), []

    def work(asked):
        rounds.append(asked)
        if len(rounds) == 1:
            raise error
        again.set()

    with _guard.reraise(False):
        started(work)
        assert again.wait(5)

    assert {"otelkit-test": 1} == _guard.failures()


def test_a_failing_round_is_no_answer(started):
    """Who asked for a round that failed is told so."""

    def work(asked):
        if asked:
            raise ValueError("ours")

    with _guard.reraise(False):
        worker = started(work)

        assert worker.wait(worker.ask(), deadline=soon(2)) is False


def test_stop_ends_the_thread_with_its_last_step(started):
    """Stopped, the thread does its last step and ends."""
    steps = []
    worker = started(lambda asked: None, end=lambda: steps.append(threading.current_thread().name))

    assert worker.stop(deadline=soon()) is True
    assert (["otelkit-test"], False, True) == (steps, worker.alive, worker.stopping)


def test_stop_keeps_its_deadline(started):
    """A round that hangs does not hold up who says stop."""
    entered, open_ = threading.Event(), threading.Event()

    def work(asked):
        entered.set()
        open_.wait(5)

    worker = started(work)
    assert entered.wait(5)

    assert worker.stop(deadline=soon(0.01)) is False
    open_.set()


def test_a_thread_may_stop_itself(started):
    """Said on the thread itself, stop does not wait for itself."""
    answers, done = [], threading.Event()

    def work(asked):
        answers.append(worker.stop(deadline=soon()))
        done.set()

    worker = Worker(name="otelkit-test", work=work)
    worker.start()

    assert done.wait(5)
    assert [False] == answers


def test_a_pause_is_ended_by_stop_only(started):
    """A pause goes on when the bell rings, and ends at stop."""
    paused, over = threading.Event(), threading.Event()

    def work(asked):
        paused.set()
        worker.pause(60)
        over.set()

    worker = Worker(name="otelkit-test", work=work)
    worker.start()
    assert paused.wait(5)
    worker.wake()
    assert not over.wait(0.01)

    assert worker.stop(deadline=soon()) is True
    assert over.is_set()


def test_without_a_thread_nobody_waits():
    """A worker that was never started answers at once."""
    worker = Worker(name="otelkit-test", work=bool)
    begin = time.monotonic()

    assert worker.wait(worker.ask(), deadline=soon(60)) is False
    assert worker.stop(deadline=soon(60)) is True
    assert time.monotonic() - begin < 30


def test_the_end_of_the_thread_ends_waiting(started):
    """Who waits for a thread that ends is told so at once, even while it still takes its leave."""

    class Leaving(threading.Thread):
        def is_alive(self):
            return True

    entered, open_, over = threading.Event(), threading.Event(), threading.Event()

    def work(asked):
        entered.set()
        open_.wait(5)

    worker = started(work)
    thread, worker._thread = worker._thread, Leaving()
    assert entered.wait(5)
    ticket = worker.ask()
    waiting = threading.Thread(target=lambda: (worker.wait(ticket, deadline=soon(3.0)), over.set()))
    waiting.start()
    worker._stopping = True
    open_.set()
    thread.join()
    told = over.wait(1.0)
    waiting.join()
    worker._thread = thread

    assert told
