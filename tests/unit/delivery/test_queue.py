import threading

from otelkit.delivery.queue import Queue


def queue(*, capacity=100, batch_size=10, wake=lambda: None):
    return Queue(capacity=capacity, batch_size=batch_size, wake=wake)


def test_batches_keep_the_order():
    """Items leave in the order they came, at most one batch at a time."""
    items = queue(batch_size=2)
    for number in range(3):
        items.put(number)

    assert [[0, 1], [2], []] == [items.take() for _ in range(3)]


def test_full_queue_drops_the_newest_and_counts():
    """A full queue keeps what it has; what comes is dropped and counted."""
    items = queue(capacity=2)
    accepted = [items.put(number) for number in range(5)]

    assert [True, True, False, False, False] == accepted
    assert {"queue_full": 3} == items.counts().dropped


def test_reader_is_woken_at_each_full_batch():
    """The reader is woken when a batch has gathered, not at each item."""
    woken = []
    items = queue(batch_size=3, wake=lambda: woken.append(len(items)))
    for number in range(7):
        items.put(number)

    assert [3, 6] == woken


def test_closed_queue_counts_what_is_left_and_what_comes():
    """Closing drops what waits; later items are dropped too, and all are counted."""
    items = queue()
    items.put(1)
    items.put(2)

    assert 2 == items.close(reason="shutdown")
    assert items.put(3) is False
    assert {"shutdown": 3} == items.counts().dropped


def test_counts_add_up_at_every_step():
    """created = delivered + dropped + sampled_out + queued + in_flight, whatever happens."""
    items = queue(capacity=5, batch_size=2)
    for number in range(8):
        items.put(number)
    items.ledger.sample_out()
    items.take()
    assert_balanced(items)
    items.ledger.settle(delivered=1, dropped=1)
    assert_balanced(items)
    items.close(reason="shutdown")
    assert_balanced(items)
    assert 9 == items.counts().created


def assert_balanced(items):
    counts = items.counts()
    parts = counts.delivered + counts.lost + counts.sampled_out + counts.queued + counts.in_flight
    assert counts.created == parts


def test_nothing_is_lost_between_threads():
    """Four threads put, one takes: every item is accounted for."""
    items = queue(capacity=100_000)
    threads = [threading.Thread(target=lambda: [items.put(n) for n in range(2_000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    taken = 0
    while any(thread.is_alive() for thread in threads) or len(items):
        batch = items.take()
        items.ledger.settle(delivered=len(batch))
        taken += len(batch)

    assert (8_000, 8_000) == (taken, items.counts().created)
