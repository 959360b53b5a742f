import threading
import time
from asyncio import CancelledError

import pytest
from rooms import Exit

from otelkit import _guard
from otelkit.delivery.guests import Guests


class Other:
    """A processor of the user's."""

    def __init__(self, *, idle=False, answer=True):
        self.idle = idle
        self.answer = answer
        self.calls = []

    def flush(self, *, timeout_s):
        self.calls.append("flush")
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer

    def close(self, *, timeout_s):
        self.calls.append("close")


def soon(seconds=5.0):
    return time.monotonic() + seconds


@pytest.fixture
def made():
    opened, everyone = [], []

    def make(*exits, ledger=None, others=(), **options):
        guests = Guests(others=others, **options)
        outlet = guests.outlet(exits, ledger=ledger) if exits else None
        guests.start()
        everyone.append(guests)
        opened.extend(exits)
        return guests, outlet

    yield make
    for exit_ in opened:
        exit_.open.set()
    for guests in everyone:
        if guests.alive:
            guests.close(deadline=soon())


def put(outlet, ledger, *items):
    ledger.take(len(items))
    outlet.put(list(items), len(items), size=100 * len(items))


def test_an_exit_gets_its_batches_in_order(made, books):
    """What is handed on arrives in order, and is delivered in the books."""
    exit_, ledger = Exit(), books("traces")["traces"]
    guests, outlet = made(exit_, ledger=ledger)
    put(outlet, ledger, 1, 2)
    put(outlet, ledger, 3)

    assert guests.wait(guests.ask(), deadline=soon()) is True
    assert ([[1, 2], [3]], 3) == (exit_.batches, ledger.snapshot(queued=0).delivered)


@pytest.mark.parametrize("answer", [False, RuntimeError("no")])
def test_a_batch_that_is_not_taken_is_lost(made, books, answer):
    """An exit that refuses or raises costs its batch, is told of, and gets the next one."""
    exit_, ledger, losses = Exit(answer), books("traces")["traces"], []
    guests, outlet = made(exit_, ledger=ledger, on_loss=lambda: losses.append(1))
    exit_.open.clear()
    put(outlet, ledger, 1)
    ticket = guests.ask()
    exit_.open.set()
    assert guests.wait(ticket, deadline=soon()) is False
    exit_.answer = True
    put(outlet, ledger, 2)

    assert guests.wait(guests.ask(), deadline=soon()) is True
    counts = ledger.snapshot(queued=0)
    assert ({"export_failed": 1}, 1, [1]) == (counts.dropped, counts.delivered, losses)


def test_a_raising_exit_is_named(made, books, said):
    """The line about it has its name and the error."""
    ledger = books("traces")["traces"]
    guests, outlet = made(Exit(RuntimeError("no")), ledger=ledger)
    put(outlet, ledger, 1)
    guests.wait(guests.ask(), deadline=soon())

    assert any("the exporter exit raised RuntimeError: no" in line for line in said())


def test_the_first_exit_decides(made, books):
    """Another exit that fails harms nobody; each gets the batch."""
    first, second, ledger = Exit(), Exit(False), books("traces")["traces"]
    guests, outlet = made(first, second, ledger=ledger)
    put(outlet, ledger, 1)

    assert guests.wait(guests.ask(), deadline=soon()) is True
    assert ([[1]], [[1]], 1) == (first.batches, second.batches, ledger.snapshot(queued=0).delivered)


def test_beside_otlp_an_exit_has_no_books(made):
    """Where OTLP decides about delivery, an exit that fails is no failure."""
    guests, outlet = made(Exit(False), ledger=None)
    outlet.put([1], 1, size=100)

    assert guests.wait(guests.ask(), deadline=soon()) is True


def test_a_hanging_exit_blocks_nobody_and_holds_little(made, books):
    """Handing on never blocks; what is too much for the exit's pace is lost."""
    exit_, ledger = Exit(), books("traces")["traces"]
    exit_.open.clear()
    _, outlet = made(exit_, ledger=ledger, max_bytes=200)
    put(outlet, ledger, 0)
    assert exit_.entered.wait(5)
    for number in range(5):
        put(outlet, ledger, number)

    assert ({"export_failed": 3}, 3) == (
        ledger.snapshot(queued=0).dropped,
        ledger.snapshot(queued=0).in_flight,
    )


def test_what_waits_for_a_hanging_exit_is_bounded_in_bytes(made, books):
    """Few batches of large items are too much as well."""
    exit_, ledger = Exit(), books("traces")["traces"]
    exit_.open.clear()
    _, outlet = made(exit_, ledger=ledger, max_bytes=250)
    put(outlet, ledger, 0)
    assert exit_.entered.wait(5)
    for number in range(10):
        put(outlet, ledger, number)

    assert ledger.snapshot(queued=0).in_flight <= 4
    exit_.open.set()


def test_room_comes_back_with_the_exit(made, books):
    """An exit that was slow is given batches again when it has taken the others."""
    exit_, ledger = Exit(), books("traces")["traces"]
    guests, outlet = made(exit_, ledger=ledger, max_bytes=250)
    for number in range(20):
        put(outlet, ledger, number)
        guests.wait(guests.ask(), deadline=soon())

    assert 20 == ledger.snapshot(queued=0).delivered


def test_asking_keeps_its_deadline(made, books):
    """Whoever waits for a hanging exit is told no in time."""
    exit_, ledger = Exit(), books("traces")["traces"]
    exit_.open.clear()
    guests, outlet = made(exit_, ledger=ledger)
    put(outlet, ledger, 1)

    assert guests.wait(guests.ask(), deadline=soon(0.05)) is False


@pytest.mark.parametrize("answer", [False, RuntimeError("no")])
def test_others_are_flushed(made, answer):
    """Processors are flushed when asked; one that fails is a no."""
    good, bad = Other(), Other(answer=answer)
    guests, _ = made(others=[good, bad])

    assert guests.wait(guests.ask(), deadline=soon()) is False
    assert (["flush"], ["flush"]) == (good.calls, bad.calls)


def test_without_guests_there_is_no_thread(made):
    """Nobody to call: no thread, no ticket, all well, nothing closed."""
    other = Other(idle=True)
    guests, _ = made(others=[other])

    assert (False, None) == (guests.alive, guests.ask())
    assert guests.wait(None, deadline=soon()) is True
    assert guests.close(deadline=soon()) is True
    assert [] == other.calls


def test_a_processor_that_comes_later_gets_a_thread(made):
    """A processor that was added meanwhile is flushed too."""
    other = Other(idle=True)
    guests, _ = made(others=[other])
    other.idle = False

    assert guests.wait(guests.ask(), deadline=soon()) is True
    assert ["flush"] == other.calls


def test_close_passes_on_the_rest_and_closes_everyone(made, books):
    """What waits is delivered, each exit and processor is closed once, and the thread ends."""
    exit_, other, ledger = Exit(), Other(), books("traces")["traces"]
    guests, outlet = made(exit_, ledger=ledger, others=[other])
    put(outlet, ledger, 1)

    assert guests.close(deadline=soon()) is True
    assert ([[1]], 1, ["close"], False) == (exit_.batches, exit_.closed, other.calls, guests.alive)


def test_close_keeps_its_deadline_and_counts_what_waits(made, books):
    """A hanging exit is interrupted at the deadline; what waits behind it is lost, what it has may arrive."""
    exit_, ledger = Exit(), books("traces")["traces"]
    exit_.open.clear()
    guests, outlet = made(exit_, ledger=ledger)
    put(outlet, ledger, 1)
    assert exit_.entered.wait(5)
    put(outlet, ledger, 2, 3)

    assert guests.close(deadline=soon(0.05)) is False
    assert exit_.interrupted.is_set()
    counts = ledger.snapshot(queued=0)
    assert ({"shutdown": 2}, 1) == (counts.dropped, counts.in_flight)


def test_after_close_a_batch_is_lost(made, books):
    """A batch that comes after the end is counted, not kept."""
    exit_, ledger = Exit(), books("traces")["traces"]
    guests, outlet = made(exit_, ledger=ledger)
    guests.close(deadline=soon())
    put(outlet, ledger, 1)

    assert ({"export_failed": 1}, 0) == (
        ledger.snapshot(queued=0).dropped,
        ledger.snapshot(queued=0).in_flight,
    )


def test_an_exit_that_fails_to_close_costs_no_other(made):
    """Each one is closed, whatever the one before it does."""

    class Failing(Exit):
        def close(self):
            raise RuntimeError("no")

    good = Exit()
    with _guard.reraise(False):
        guests, _ = made(Failing(), good)
        guests.close(deadline=soon())

    assert 1 == good.closed


def test_an_exit_is_closed_once(made):
    """A flush beside the end does not bring the guests back."""
    exit_ = Exit()
    guests, _ = made(exit_)
    guests.close(deadline=soon())
    guests.wait(guests.ask(), deadline=soon(0.5))

    assert 1 == exit_.closed


def test_orders_dropped_during_a_round_are_no_error(made):
    """The end drops what waits while the thread takes it: neither fails."""

    class Emptied(type(Guests()._orders)):
        def __bool__(self):
            return True  # another thread has taken the last one since

    guests = Guests()
    guests._orders = Emptied()

    guests._drop_orders()


class Raising(Exit):
    """Raises ``error`` at the first batch and when it is closed."""

    def __init__(self, error):
        super().__init__()
        self.error = error

    def send(self, batch):
        self.open.wait(10)
        if self.error is not None:
            error, self.error = self.error, None
            raise error
        return super().send(batch)

    def close(self):
        super().close()
        raise CancelledError


@pytest.mark.parametrize("error", [CancelledError, SystemExit, KeyboardInterrupt])
def test_an_exit_that_raises_anything_costs_its_batch_only(made, books, error):
    """A cancellation or exit in an exporter costs that batch; the next one is delivered."""
    exit_, ledger = Raising(error("once")), books("traces")["traces"]
    guests, outlet = made(exit_, ledger=ledger)
    put(outlet, ledger, 1)
    guests.wait(guests.ask(), deadline=soon())
    put(outlet, ledger, 2)

    assert guests.wait(guests.ask(), deadline=soon()) is True
    counts = ledger.snapshot(queued=0)
    assert ({"export_failed": 1}, 1, 0) == (counts.dropped, counts.delivered, counts.in_flight)
    exit_.close = bool


def test_whatever_an_exit_raises_at_its_end_the_others_end_too(made):
    """A cancellation while one exit or processor is closed or flushed costs no other."""
    good, other = Exit(), Other()
    other.flush = other.close = lambda **_: (_ for _ in ()).throw(CancelledError)
    with _guard.reraise(False):
        guests, _ = made(Raising(None), good, others=[other])

        assert guests.wait(guests.ask(), deadline=soon(2)) is False
        guests.close(deadline=soon())

    assert 1 == good.closed


class NoThread(threading.Thread):
    """A thread that cannot be started."""

    def start(self):
        raise RuntimeError("can't start new thread")


def test_ctrl_c_at_an_end_without_a_thread_passes_and_is_counted(monkeypatch, books):
    """Where exits must be ended on the closing thread Ctrl-C reaches it; what waits is counted."""
    guests, ledger = Guests(), books("traces")["traces"]
    outlet = guests.outlet([Raising(KeyboardInterrupt())], ledger=ledger)
    put(outlet, ledger, 1)
    put(outlet, ledger, 2, 3)
    monkeypatch.setattr(threading, "Thread", NoThread)

    with pytest.raises(KeyboardInterrupt):
        guests.close(deadline=soon())
    counts = ledger.snapshot(queued=0)
    assert ({"export_failed": 1, "shutdown": 2}, 0) == (counts.dropped, counts.in_flight)


def test_what_a_dead_thread_left_is_counted(made, books):
    """Where the thread has ended by itself, what waited for it is lost and not in flight for ever."""
    exit_, ledger = Exit(), books("traces")["traces"]
    guests, outlet = made(exit_, ledger=ledger)
    guests._worker._end = None
    guests._worker.stop(deadline=soon())
    put(outlet, ledger, 1)
    guests.close(deadline=soon())

    assert ({"shutdown": 1}, 0) == (
        ledger.snapshot(queued=0).dropped,
        ledger.snapshot(queued=0).in_flight,
    )
