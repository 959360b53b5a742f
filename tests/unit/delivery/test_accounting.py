import signal
import threading

from rooms import balanced

from otelkit.delivery.accounting import Counts, Ledger


def test_a_delivered_item_is_in_one_place_at_each_step(books):
    """Queue, flight, memory, flight, receiver: one item is counted once on its whole way."""
    ledger = books("traces")["traces"]
    seen = [ledger.snapshot(queued=1)]
    ledger.take(1)
    seen.append(ledger.snapshot(queued=0))
    ledger.hold(1)
    seen.append(ledger.snapshot(queued=0))
    ledger.pick(1, spooled=False)
    ledger.settle(delivered=1)
    seen.append(ledger.snapshot(queued=0))

    places = [(c.queued, c.in_flight, c.spooled, c.delivered) for c in seen]
    assert [(1, 0, 0, 0), (0, 1, 0, 0), (1, 0, 0, 0), (0, 0, 0, 1)] == places
    assert {1} == {counts.created for counts in seen}


def test_an_item_on_disk_comes_back_after_a_failure(books):
    """What could not be sent is on disk again, and can be lost there."""
    ledger = books("traces")["traces"]
    ledger.take(3)
    ledger.hold(3)
    ledger.spool(3)
    ledger.pick(2, spooled=True)
    ledger.put_back(2, spooled=True)
    assert (3, 0) == (ledger.snapshot(queued=0).spooled, ledger.snapshot(queued=0).in_flight)
    ledger.lose(3, "evicted", spooled=True)

    assert {"evicted": 3} == ledger.snapshot(queued=0).dropped


def test_adopted_items_are_not_created_here(books):
    """What a dead process left has a place of its own among the incomes."""
    ledger = books("traces")["traces"]
    ledger.adopt(5)
    ledger.pick(5, spooled=True)
    ledger.settle(delivered=2, rejected=2, dropped=1)

    assert Counts(adopted=5, delivered=2, rejected=2, dropped={"export_failed": 1}) == ledger.snapshot(
        queued=0
    )


def test_lost_is_everything_that_never_arrives():
    """Rejected and dropped items are lost; sampled out and waiting ones are not."""
    counts = Counts(created=20, rejected=2, dropped={"a": 3, "b": 4}, sampled_out=5, queued=6)

    assert 9 == counts.lost
    assert balanced(counts)


def test_nothing_dropped_leaves_no_reason(books):
    """A reason is there when something was lost for it."""
    ledger = books("traces")["traces"]
    ledger.take(1)
    ledger.settle(delivered=1, dropped=0, reason="shutdown")

    assert {} == ledger.snapshot(queued=0).dropped


def test_a_loss_on_disk_may_turn_out_to_be_none(books):
    """What was evicted while it was sent, and sent all the same, is settled like the rest."""
    ledger = books("traces")["traces"]
    ledger.take(2)
    ledger.hold(2)
    ledger.spool(2)
    ledger.pick(2, spooled=True)
    ledger.lose(2, "evicted", spooled=True)
    ledger.undo_loss(2, "evicted")
    ledger.settle(delivered=2)

    counts = ledger.snapshot(queued=0)
    assert (2, 0, 0) == (counts.delivered, counts.lost, counts.spooled)


def test_threads_do_not_lose_counts():
    """Four threads tell at once; nothing is missing."""
    ledger = Ledger()

    def tell():
        for _ in range(2_000):
            ledger.drop(1, "queue_full")
            ledger.sample_out()

    threads = [threading.Thread(target=tell) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    counts = ledger.snapshot(queued=0)
    assert (16_000, {"queue_full": 8_000}) == (counts.created, counts.dropped)


def test_a_signal_handler_does_not_cost_a_count():
    """A handler that drops an item in the middle of another drop: both are counted."""
    ledger, fired = Ledger(), []

    def handler(*_):
        fired.append(ledger.drop(1, "queue_full"))

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.00005, 0.00005)
    try:
        while len(fired) < 3_000:
            ledger.drop(1, "queue_full")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    assert balanced(ledger.snapshot(queued=0))
