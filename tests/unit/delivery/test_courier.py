import threading
import time

import pytest

from otelkit import _guard
from otelkit.delivery.courier import Courier, Lane, Pull, lost_line
from otelkit.delivery.queue import Queue
from otelkit.processors.context import suppressed


class Gate:
    """An exit whose `send` can be held, failed, or made to raise."""

    name = "gate"

    def __init__(self):
        self.batches = []
        self.open = threading.Event()
        self.open.set()
        self.entered = threading.Event()
        self.answer = True
        self.error = None
        self.closed = 0
        self.contexts = []

    def send(self, batch):
        self.entered.set()
        self.contexts.append(suppressed())
        self.open.wait(10)
        if self.error:
            raise self.error
        self.batches.append(list(batch))
        return self.answer

    def interrupt(self):
        self.open.set()

    def close(self):
        self.closed += 1


@pytest.fixture
def gate():
    return Gate()


@pytest.fixture
def made(gate):
    couriers = []

    def make(*, batch_size=10, delay_s=60.0, prepare=list, exits=None, pull=None, others=()):
        wake = threading.Event()
        queue = Queue(capacity=1_000, batch_size=batch_size, wake=wake.set)
        lane = Lane(name="spans", queue=queue, prepare=prepare, exits=exits or [gate], delay_s=delay_s)
        courier = Courier(lanes=[lane], pull=pull, wake=wake, where="the test", others=others)
        courier.start()
        couriers.append(courier)
        return queue, courier

    yield make
    gate.open.set()
    for courier in couriers:
        courier.close(timeout_s=1.0)


def test_flush_delivers_everything_before_it(made, gate):
    """A flush sends what was accepted before it, in batches, and says that all went well."""
    queue, courier = made(batch_size=2)
    for number in range(5):
        queue.put(number)

    assert courier.flush(timeout_s=5) is True
    assert [0, 1, 2, 3, 4] == [item for batch in gate.batches for item in batch]
    assert 5 == queue.counts().delivered


def test_full_batch_leaves_at_once(made, gate):
    """A full batch is sent without waiting for the delay."""
    queue, _ = made(batch_size=2)
    queue.put(1)
    queue.put(2)

    assert gate.entered.wait(5)


def test_delay_sends_a_small_batch(made, gate):
    """A batch that is not full leaves after the delay."""
    queue, _ = made(delay_s=0.01)
    queue.put(1)

    assert gate.entered.wait(5)


def test_flush_keeps_its_deadline_while_the_exit_hangs(made, gate):
    """A flush returns in time and says no when the exit hangs."""
    gate.open.clear()
    queue, courier = made()
    queue.put(1)
    begin = time.monotonic()

    assert courier.flush(timeout_s=0.2) is False
    assert time.monotonic() - begin < 2.0


def test_refused_batch_is_counted(made, gate, said):
    """A batch that the exit refuses is counted as lost and said in one line."""
    gate.answer = False
    queue, courier = made()
    queue.put(1)

    assert courier.flush(timeout_s=5) is False
    assert {"export_failed": 1} == queue.counts().dropped
    assert 1 == len(said())


def test_raising_exit_costs_only_its_batch(made, gate, said):
    """An exit that raises loses its batch, is named, and gets the next one."""
    gate.error = RuntimeError("no")
    queue, courier = made()
    queue.put(1)
    courier.flush(timeout_s=5)
    gate.error = None
    queue.put(2)

    assert courier.flush(timeout_s=5) is True
    assert [[2]] == gate.batches
    assert any("gate raised RuntimeError: no" in line for line in said())


def test_failing_second_exit_does_not_decide(made, gate):
    """The first exit decides about delivery; another one that fails harms nobody."""
    other = Gate()
    other.answer = False
    queue, courier = made(exits=[gate, other])
    queue.put(1)

    assert courier.flush(timeout_s=5) is True
    assert 1 == queue.counts().delivered


def test_others_do_not_wait_for_the_deciding_exit(made, gate):
    """An exit of the user's gets its batch while the deciding one still waits for its collector."""
    other = Gate()
    gate.open.clear()
    queue, courier = made(exits=[gate, other])
    queue.put(1)
    courier.flush(timeout_s=0.2)

    assert ([], [[1]]) == (gate.batches, other.batches)


def test_close_sends_the_rest_and_closes_the_exits(made, gate):
    """Closing delivers what waits, ends the thread and closes each exit once."""
    queue, courier = made()
    queue.put(1)

    assert courier.close(timeout_s=5) is True
    assert ([[1]], 1, True) == (gate.batches, gate.closed, courier.ended)


def test_close_keeps_its_deadline_and_counts(made, gate, said):
    """With a hanging exit closing returns in time; what was not sent is counted and said once."""
    gate.open.clear()
    gate.interrupt = lambda: None
    queue, courier = made(batch_size=1)
    for number in range(3):
        queue.put(number)
    assert gate.entered.wait(5)
    begin = time.monotonic()

    assert courier.close(timeout_s=0.3) is False
    assert time.monotonic() - begin < 2.0
    counts = queue.counts()
    assert 3 == counts.lost + counts.in_flight
    assert 1 == len(said())


def test_items_after_close_are_counted(made):
    """What comes after the end is dropped and counted, without an error."""
    queue, courier = made()
    courier.close(timeout_s=5)

    assert queue.put(1) is False
    assert {"shutdown": 1} == queue.counts().dropped


def test_thread_suppresses_telemetry(made, gate):
    """Whatever an exit calls makes no telemetry of its own."""
    queue, courier = made()
    queue.put(1)
    courier.flush(timeout_s=5)

    assert [True] == gate.contexts


def test_failing_preparation_costs_its_batch_only(made, gate):
    """A failure of ours while a batch is cleaned is counted; the thread lives on."""
    broken = [True]

    def prepare(batch):
        if broken.pop():
            raise ValueError("ours")
        return batch

    with _guard.reraise(False):
        queue, courier = made(prepare=prepare)
        queue.put(1)
        courier.flush(timeout_s=5)
    broken.append(False)
    queue.put(2)

    assert courier.flush(timeout_s=5) is True
    assert {"processing_failed": 1} == queue.counts().dropped


def test_retired_courier_waits_for_open_spans(made, gate):
    """A replaced courier stays until nothing is open, delivers it, and ends by itself."""
    still_open = [True]
    queue, courier = made()
    courier.retire(still_open=lambda: bool(still_open), linger_s=60)
    queue.put(1)
    still_open.clear()
    courier._thread.join(5)

    assert (True, [[1]]) == (courier.ended, gate.batches)


def test_metrics_are_collected_at_a_flush(gate):
    """A flush collects the metrics; data points are counted."""
    wake = threading.Event()
    queue = Queue(capacity=0, batch_size=1, wake=wake.set)
    pull = Pull(queue=queue, collect=lambda: ("data", 7), exits=[gate], interval_s=60)
    courier = Courier(lanes=[], pull=pull, wake=wake, where="the test")
    courier.start()

    assert courier.flush(timeout_s=5) is True
    assert ([["data"]], 7) == (gate.batches, queue.counts().delivered)
    courier.close(timeout_s=5)


def test_lost_line_names_signals_reasons_and_place():
    """The line about losses says how much of what, why, and where to."""
    queue = Queue(capacity=0, batch_size=1, wake=lambda: None)
    queue.put(1)

    line = lost_line({"spans": queue.counts()}, where="http://collector:4318", final=False)

    assert "1 span (queue_full 1)" in line
    assert "http://collector:4318" in line
    assert lost_line({}, where="x", final=True) is None
