import threading
import time
from asyncio import CancelledError

import pytest
from rooms import Exit

from otelkit import _guard
from otelkit.delivery.guests import Outlet
from otelkit.delivery.puller import Puller
from otelkit.wire import Encoded


def soon(seconds=5.0):
    return time.monotonic() + seconds


@pytest.fixture
def made(books):
    pullers = []

    def make(*, collect=lambda: ("data", 3), encode=lambda data: Encoded(data.encode(), 3), **options):
        ledger, parcels = books("metrics")["metrics"], []
        arguments = {"outlet": None, "interval_s": 60.0, **options}
        puller = Puller(collect=collect, encode=encode, ledger=ledger, add=parcels.append, **arguments)
        puller.start()
        pullers.append(puller)
        return puller, ledger, parcels

    yield make
    for puller in pullers:
        puller.stop(deadline=soon())


def test_asking_collects_now(made):
    """Who asks gets a collection, packed, whose points are in flight."""
    puller, ledger, parcels = made()

    assert puller.wait(puller.ask(), deadline=soon()) is True
    assert [("metrics", 3, b"data")] == [(p.signal, p.items, p.body) for p in parcels]
    assert (3, 3) == (ledger.snapshot(queued=0).created, ledger.snapshot(queued=0).in_flight)


def test_it_collects_by_itself_at_each_interval(made):
    """Without being asked it collects again and again."""
    thrice, calls = threading.Event(), []

    def collect():
        calls.append(1)
        if len(calls) == 3:
            thrice.set()
        return None, 0

    made(collect=collect, interval_s=0.001)

    assert thrice.wait(5)


def test_it_does_not_collect_before_the_interval(made):
    """Being started, or woken, is no reason to collect."""
    puller, _, parcels = made()
    puller._worker.wake()
    puller.stop(deadline=soon())

    assert [] == parcels


def test_nothing_measured_is_nothing_sent(made):
    """A collection without points makes no request."""
    puller, ledger, parcels = made(collect=lambda: (None, 0))
    puller.wait(puller.ask(), deadline=soon())

    assert ([], 0) == (parcels, ledger.snapshot(queued=0).created)


def test_an_exit_gets_the_data_too(made):
    """An exit besides OTLP gets the collected data as a batch of one."""
    exit_ = Exit()
    outlet = Outlet(exits=[exit_], ledger=None, pass_on=lambda o: o.outlet.deliver(o.batch, o.items))
    puller, _, parcels = made(outlet=outlet)
    puller.wait(puller.ask(), deadline=soon())

    assert ([["data"]], 1) == (exit_.batches, len(parcels))


def test_without_otlp_the_exit_has_the_books(made, books):
    """Where metrics do not leave over OTLP, the exit decides about delivery."""
    exit_, ledger = Exit(), books("metrics")["metrics"]
    outlet = Outlet(exits=[exit_], ledger=ledger, pass_on=lambda o: o.outlet.deliver(o.batch, o.items))
    puller, _, parcels = made(encode=None, outlet=outlet)
    puller._ledger = ledger
    puller.wait(puller.ask(), deadline=soon())

    assert ([], 3) == (parcels, ledger.snapshot(queued=0).delivered)


def test_points_that_cannot_be_encoded_are_counted(made):
    """What the encoder leaves out is lost, the rest goes."""
    puller, ledger, parcels = made(encode=lambda _: Encoded(b"x", 1, failed=2))
    puller.wait(puller.ask(), deadline=soon())

    counts = ledger.snapshot(queued=0)
    assert ({"processing_failed": 2}, 1, 1) == (counts.dropped, counts.in_flight, len(parcels))


@pytest.mark.parametrize("error", [ValueError, CancelledError, SystemExit])
def test_an_encoder_that_fails_costs_the_collection(made, error):
    """A failure of ours is counted, and the next collection is made."""
    broken = [True]

    def encode(_):
        if broken and broken.pop():
            raise error
        return Encoded(b"x", 3)

    with _guard.reraise(False):
        puller, ledger, parcels = made(encode=encode)
        puller.wait(puller.ask(), deadline=soon())
        puller.wait(puller.ask(), deadline=soon())

    assert ({"processing_failed": 3}, 1) == (ledger.snapshot(queued=0).dropped, len(parcels))


def test_a_callback_that_hangs_holds_up_nobody(made):
    """Waiting and stopping keep their deadlines while the application's callback blocks."""
    entered, open_ = threading.Event(), threading.Event()

    def collect():
        entered.set()
        open_.wait(5)
        return None, 0

    puller, _, _ = made(collect=collect)
    ticket = puller.ask()
    assert entered.wait(5)

    assert puller.wait(ticket, deadline=soon(0.01)) is False
    assert puller.stop(deadline=soon(0.01)) is False
    open_.set()


def test_a_collection_that_fails_is_not_told_as_made(made):
    """A flush is no success when the metrics could not be collected."""

    def collect():
        raise ValueError("ours")

    with _guard.reraise(False):
        puller, _, _ = made(collect=collect)

        assert puller.wait(puller.ask(), deadline=soon(2)) is False


@pytest.mark.parametrize("error", [CancelledError, SystemExit])
def test_a_callback_that_raises_anything_is_not_the_last(made, error):
    """A cancellation in a callback of the application's costs that collection, and no later one."""
    broken = [True]

    def collect():
        if broken and broken.pop():
            raise error
        return "data", 3

    with _guard.reraise(False):
        puller, _, parcels = made(collect=collect)
        assert puller.wait(puller.ask(), deadline=soon(2)) is False

        assert puller.wait(puller.ask(), deadline=soon()) is True
    assert (True, 1) == (puller.alive, len(parcels))
