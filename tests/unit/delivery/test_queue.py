import signal
import threading

from rooms import Watched, balanced

from otelkit.delivery.queue import Memory, Queue


class Calls(list):
    def __call__(self, *args):
        self.append(args)


def made(*, limit=1_000, size=1, batch_size=10, capacity=None, relieve=None, begun=bool, wake=bool):
    queue = Queue(
        memory=Memory(limit),
        size_of=size if callable(size) else lambda _: size,
        batch_size=batch_size,
        begun=begun,
        wake=wake,
        capacity=capacity,
        relieve=relieve,
    )
    queue.ledger = Watched()
    return queue


def test_batches_keep_the_order():
    """Items leave in the order they came, at most one batch at a time."""
    queue = made(batch_size=2)
    for number in range(3):
        queue.put(number)

    assert [[0, 1], [2], []] == [queue.take() for _ in range(3)]


def test_large_items_make_small_batches():
    """A batch is about a megabyte at the most, and at least one item."""
    queue = made(limit=1 << 30, size=700_000)
    for number in range(5):
        queue.put(number)

    assert [[0, 1], [2, 3], [4]] == [queue.take() for _ in range(3)]


def test_used_up_memory_drops_the_newest_and_counts():
    """When the bytes are used up the queue keeps what it has; what comes is dropped and counted."""
    queue = made(limit=20, size=10)
    accepted = [queue.put(number) for number in range(5)]

    assert [True, True, False, False, False] == accepted
    assert ({"queue_full": 3}, 2) == (queue.counts().dropped, queue.counts().queued)


def test_a_capacity_bounds_the_number_too():
    """Where a number of items is set, it is a limit besides the bytes."""
    queue = made(capacity=2)
    accepted = [queue.put(number) for number in range(3)]

    assert [True, True, False] == accepted


def test_memory_is_shared_and_given_back():
    """The bytes of one queue are missing to another one until they are taken."""
    one, other = made(limit=10, size=10), made(size=10)
    other._memory = one._memory
    one.put(1)
    assert other.put(2) is False
    one.take()

    assert other.put(3) is True
    assert 10 == one._memory.used


def test_relief_makes_room():
    """A full queue asks for relief, and takes the item when there was some."""
    queue = made(limit=10, size=10, relieve=lambda asking: bool(asking.take()))

    assert [True, True, True] == [queue.put(number) for number in range(3)]
    assert ({}, 1, 2) == (queue.counts().dropped, queue.counts().queued, queue.counts().in_flight)


def test_without_relief_the_item_is_lost():
    """Where relief could not help the newest item is dropped, once."""
    asked = Calls()
    queue = made(limit=10, size=10, relieve=asked)

    assert [True, False] == [queue.put(number) for number in range(2)]
    assert ([(queue,)], {"queue_full": 1}) == (asked, queue.counts().dropped)


def test_a_sleeping_reader_is_told_of_the_first_item_and_of_each_batch():
    """An item while the reader sleeps and a full batch are told, the others are not."""
    begun, wake = Calls(), Calls()
    queue = made(batch_size=3, begun=begun, wake=wake)
    told = []
    for number in range(7):
        queue.put(number)
        told.append((len(begun), len(wake)))

    assert [(1, 0), (1, 0), (1, 1), (1, 1), (1, 1), (1, 2), (1, 2)] == told


def test_closed_queue_counts_what_is_left_and_what_comes():
    """Closing drops what waits; later items are dropped too, and all are counted."""
    relieve = Calls()
    queue = made(relieve=relieve)
    queue.put(1)
    queue.put(2)

    assert 2 == queue.close(reason="shutdown")
    assert queue.put(3) is False
    assert ({"shutdown": 3}, [], 0) == (queue.counts().dropped, relieve, queue._memory.used)


def test_an_item_that_comes_while_it_is_closed_is_counted():
    """An item on its way into the queue when it is closed is dropped and counted like a later one."""
    queue = made(size=lambda _: queue.close(reason="shutdown"))
    queue.put(1)

    assert (0, {"shutdown": 1}) == (queue.counts().queued, queue.counts().dropped)


def test_an_item_that_comes_while_it_is_shut_costs_no_other():
    """Shut, the queue keeps what waits for its reader, whoever comes too late."""
    queue = made()
    queue._size_of = lambda item: (queue.shut() if item == "late" else None) or 1
    queue.put("early")
    queue.put("late")

    assert "early" in queue.take()


def test_a_shut_queue_can_be_emptied():
    """Shut, it takes nothing more and gives what it has."""
    queue = made()
    queue.put("early")
    queue.shut()

    assert [False] == [queue.put("late")]
    assert ["early"] == queue.take()


def test_counts_add_up_at_every_step():
    """created = delivered + dropped + sampled_out + queued + in_flight, whatever happens."""
    queue = made(capacity=5, batch_size=2)
    for number in range(8):
        queue.put(number)
        assert balanced(queue.counts())
    queue.ledger.sample_out()
    queue.take()
    assert balanced(queue.counts())
    queue.ledger.settle(delivered=1, dropped=1)
    queue.close(reason="shutdown")

    assert balanced(queue.counts())
    assert 9 == queue.counts().created


def test_nothing_is_lost_between_threads():
    """Four threads put, one takes: every item is accounted for."""
    queue = made(limit=1 << 30)
    threads = [threading.Thread(target=lambda: [queue.put(n) for n in range(2_000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    taken = 0
    while any(thread.is_alive() for thread in threads) or len(queue):
        batch = queue.take()
        queue.ledger.settle(delivered=len(batch))
        taken += len(batch)

    assert (8_000, 8_000, 0) == (taken, queue.counts().created, queue._memory.used)


def test_a_signal_handler_may_put_during_a_put():
    """A handler that puts, whatever it interrupts, blocks nothing and loses nothing."""
    queue, handled = made(limit=1 << 30), []

    def handler(*_):
        handled.append(queue.put("handler"))

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0001, 0.0001)
    puts = 0
    try:
        while len(handled) < 1_000:
            puts += queue.put("main")
            if len(queue) > 100:
                queue.ledger.settle(delivered=len(queue.take()))
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)

    assert puts + len(handled) == queue.counts().created
    assert len(queue) == queue._memory.used


def test_a_forks_child_takes_nothing():
    """In the child the queue is empty and closed, its books are new, and no old lock is touched."""
    queue = made()
    queue.put(1)
    old = queue.ledger
    taken = threading.Thread(target=old._lock.acquire)
    taken.start()
    taken.join()
    queue.forget()

    assert ([], False) == (queue.take(), queue.put(2))
    assert (1, {"shutdown": 1}) == (queue.counts().created, queue.counts().dropped)
