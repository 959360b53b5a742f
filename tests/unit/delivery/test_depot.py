import threading
from collections import defaultdict

import pytest
from rooms import names, negative, parcel

from otelkit.delivery.accounting import Ledger
from otelkit.delivery.depot import Depot
from otelkit.delivery.queue import Memory


@pytest.fixture
def made(books):
    def make(*, limit=1 << 20, **options):
        return Depot(ledgers=books("traces", "logs", "metrics"), memory=Memory(limit), **options)

    return make


def put(depot, *parcels):
    for one in parcels:
        depot._ledgers[one.signal].take(one.items)
    depot.put(parcels)


def take(depot, signal="traces", *, backlog=False, max_bytes=1 << 20):
    return depot.take(signal, backlog=backlog, max_bytes=max_bytes)


def texts(load):
    return None if load is None else names(b"".join(one.body for one in load.parcels), load.signal)


def counts(depot, signal="traces"):
    return depot._ledgers[signal].snapshot(queued=0)


def places(depot, signal="traces"):
    now = counts(depot, signal)
    return now.queued, now.in_flight, now.spooled


# -- memory -----------------------------------------------------------------------------------------


def test_in_memory_the_oldest_leaves_first(made):
    """Parcels of one signal leave in order, as many as the bytes allow, at least one."""
    depot = made()
    put(depot, parcel("a"), parcel("b"), parcel("x", signal="logs"), parcel("c"))
    size = len(parcel("a").body)

    assert [["a", "b"], ["c"], None] == [texts(take(depot, max_bytes=2 * size)) for _ in range(3)]
    assert ["x"] == texts(take(depot, "logs", max_bytes=1))


def test_in_memory_nothing_is_backlog(made):
    """What waits in memory is live data."""
    depot = made()
    put(depot, parcel("a"))

    assert take(depot, backlog=True) is None
    assert (1, 0, 0) == places(depot)


def test_a_load_of_memory_is_settled_in_the_books(made):
    """Its items are in flight while it is sent, and then what became of them."""
    depot = made()
    put(depot, parcel("a", "b", "c"))
    load = take(depot)
    assert (0, 3, 0) == places(depot)
    depot.settle(load, delivered=2, rejected=1)

    assert (2, 1) == (counts(depot).delivered, counts(depot).rejected)
    assert (0, 0, 0) == places(depot)


def test_what_could_not_be_sent_is_the_next_again(made):
    """A load that is put back leaves before everything that came later, and takes memory again."""
    depot = made()
    put(depot, parcel("a"), parcel("b"))
    load = take(depot)
    put(depot, parcel("c"))
    depot.put_back(load)

    assert (3, 0, 0) == places(depot)
    assert depot.memory_bytes == depot._memory.used
    assert ["a", "b", "c"] == texts(take(depot))


def test_parcels_take_half_of_the_memory_at_the_most(made):
    """Without a disk the oldest are lost when it is too much, and counted."""
    one = parcel("a", size=1_000)
    depot = made(limit=6 * len(one.body))
    put(depot, *(parcel(name, size=1_000) for name in "abcde"))

    assert {"memory_full": 2} == counts(depot).dropped
    assert ["c", "d", "e"] == texts(take(depot))


def test_memory_takes_from_the_signal_with_the_most(made):
    """The signal with the most parcels loses first: a flood of logs does not cost the spans."""
    one = parcel("a", size=1_000)
    depot = made(limit=6 * len(one.body))
    put(depot, parcel("a", size=1_000), *(parcel(n, size=1_000, signal="logs") for n in "uvwxyz"))

    assert ({}, ["a"]) == (counts(depot).dropped, texts(take(depot)))
    assert counts(depot, "logs").dropped["memory_full"] >= 4


def test_closing_without_a_disk_counts_the_rest(made):
    """What waits in memory at the end is lost under ``shutdown``."""
    depot = made()
    put(depot, parcel("a", "b"))
    depot.close()

    assert ({"shutdown": 2}, (0, 0, 0), 0) == (counts(depot).dropped, places(depot), depot._memory.used)


def test_what_a_disk_can_take_is_durable(made, disk):
    """What is on disk outlives the process, and what can be written there at the end."""
    assert made().durable("traces") is False
    assert made(spool=disk()).durable("traces") is True
    depot = made(spool=disk(), always=False)
    put(depot, parcel("a"))

    assert depot.durable("traces") is True


def test_a_signal_without_a_place_on_disk_waits_in_memory(made, disk):
    """It is sent and settled from there; an end, or too much of it, costs it alone."""
    one = parcel("a", size=1_000)
    depot = made(limit=4 * len(one.body), spool=disk(signals=("traces",)))
    put(depot, parcel("a"), *(parcel(name, size=1_000, signal="logs") for name in "xyz"))
    assert ((0, 0, 1), (2, 0, 0)) == (places(depot), places(depot, "logs"))
    assert [True, False] == [depot.durable(name) for name in ("traces", "logs")]
    assert (1, 2) == (depot.waiting("traces")[0], depot.waiting("logs")[0])
    assert take(depot, "logs", backlog=True) is None
    load = take(depot, "logs", max_bytes=1)
    depot.settle(load, delivered=1)
    depot.rescue()
    assert (1, 0, 0) == places(depot, "logs")
    depot.close()

    assert {"memory_full": 1, "shutdown": 1} == counts(depot, "logs").dropped
    assert ({}, (0, 0, 1)) == (counts(depot).dropped, places(depot))


def test_what_is_safe_does_not_depend_on_guesses(made, disk):
    """Where there is a disk the end need not wait for what has no place on it, and which may go nowhere."""
    assert not made().safe
    depot = made(spool=disk(signals=("traces",)))
    put(depot, parcel("a"), parcel("x", signal="logs"))

    assert depot.safe


def test_memory_says_nothing_about_the_disk(made, disk, tmp_path):
    """A parcel that is not for the disk does not make one that fails look as if it worked."""
    (tmp_path / "file").write_text("x")
    depot = made(spool=disk("file", signals=("traces",)))
    put(depot, parcel("a"))
    put(depot, parcel("x", signal="logs"))

    assert (False, False) == (depot.durable("traces"), depot.safe)


# -- disk -------------------------------------------------------------------------------------------


def test_always_means_that_everything_is_on_disk_at_once(made, disk):
    """What is put is spooled, takes no memory, and is settled there."""
    depot = made(spool=disk())
    put(depot, parcel("a"), parcel("b", "c"))
    assert ((0, 0, 3), 0, True) == (places(depot), depot.memory_bytes, depot.durable("traces"))
    load = take(depot)
    assert ((0, 3, 0), True) == (places(depot), load.spooled)
    depot.settle(load, delivered=3)

    assert (3, (0, 0, 0), None) == (counts(depot).delivered, places(depot), take(depot))


def test_a_spooled_load_that_is_put_back_is_given_again(made, disk):
    """What could not be sent stays on disk."""
    depot = made(spool=disk())
    put(depot, parcel("a"))
    depot.put_back(take(depot))

    assert (0, 0, 1) == places(depot)
    assert ["a"] == texts(take(depot))


def test_on_failure_the_disk_is_used_while_the_receiver_fails(made, disk):
    """Memory while all is well, the disk from the first failure on, memory afterwards."""
    failing = []
    depot = made(spool=disk(), always=False, failing=lambda: bool(failing))
    put(depot, parcel("a"))
    assert (1, 0, 0) == places(depot)
    failing.append(True)
    put(depot, parcel("b"))
    assert (1, 0, 1) == places(depot)
    failing.clear()
    put(depot, parcel("c"))

    assert (2, 0, 1) == places(depot)
    assert [["a", "c"], ["b"]] == [texts(take(depot)) for _ in range(2)]


def test_on_failure_what_failed_is_on_disk(made, disk):
    """What the sender has failed to send does not wait in memory for a kill."""
    failing = []
    depot = made(spool=disk(), always=False, failing=lambda: bool(failing))
    put(depot, parcel("a"))
    load = take(depot)
    failing.append(True)
    depot.put_back(load)
    put(depot, parcel("b"))

    assert (0, 0, 2) == places(depot)


def test_on_failure_the_disk_takes_what_memory_cannot_hold(made, disk):
    """Instead of losing the oldest everything is written."""
    one = parcel("a", size=1_000)
    depot = made(spool=disk(), always=False, limit=6 * len(one.body))
    put(depot, *(parcel(name, size=1_000) for name in "abcde"))

    assert ({}, (0, 0, 5)) == (counts(depot).dropped, places(depot))


def test_at_the_end_memory_is_rescued(made, disk):
    """What waits in memory is written for the next process, and nothing is lost."""
    depot = made(spool=disk(), always=False)
    put(depot, parcel("a"), parcel("b", signal="logs"))
    depot.close()
    assert ({}, (0, 0, 1)) == (counts(depot).dropped, places(depot))
    heir = made(spool=disk())
    heir.tend()

    assert ["a"] == texts(take(heir, backlog=True))
    assert (1, 0) == (counts(heir).adopted, counts(heir).created)


def test_a_disk_that_fails_means_memory_and_one_line(made, disk, tmp_path, said):
    """Where the folder cannot be used everything waits in memory; it is said once."""
    (tmp_path / "file").write_text("x")
    depot = made(spool=disk("file"))
    put(depot, parcel("a"))
    put(depot, parcel("b"))

    assert ((2, 0, 0), False) == (places(depot), depot.durable("traces"))
    assert 1 == len([line for line in said() if "the spool is not used for now" in line])
    assert ["a", "b"] == texts(take(depot))


def test_a_disk_that_fails_is_tried_again_later(made, disk, tmp_path):
    """Not at each put, but after a while."""
    (tmp_path / "file").write_text("x")
    depot = made(spool=disk("file"))
    put(depot, parcel("a"))
    (tmp_path / "file").unlink()
    put(depot, parcel("b"))
    assert (2, 0, 0) == places(depot)
    depot._disk_from = 0.0
    put(depot, parcel("c"))

    assert (2, 0, 1) == places(depot)


def test_a_disk_that_fails_at_the_end_costs_what_waits(made, disk, tmp_path):
    """What could not be written by the end is lost, and counted."""
    (tmp_path / "file").write_text("x")
    depot = made(spool=disk("file"))
    put(depot, parcel("a"))
    depot.close()

    assert ({"shutdown": 1}, (0, 0, 0)) == (counts(depot).dropped, places(depot))


def test_what_was_sent_in_part_waits_with_its_rest(made, disk):
    """Replacing settles the parts that are done with and keeps the others, once."""
    depot = made(spool=disk())
    put(depot, parcel("a", "b"), parcel("c"))
    load = take(depot)
    depot.replace(load, [parcel("c")], delivered=1, rejected=1)

    assert (1, 1, (0, 0, 1)) == (counts(depot).delivered, counts(depot).rejected, places(depot))
    assert ["c"] == texts(take(depot))


def test_replacing_in_memory_keeps_the_rest(made):
    """The same without a disk."""
    depot = made()
    put(depot, parcel("a", "b", "c"))
    depot.replace(take(depot), [parcel("c")], delivered=2, rejected=0)

    assert (2, (1, 0, 0), ["c"]) == (counts(depot).delivered, places(depot), texts(take(depot)))


def test_an_eviction_is_in_the_books(made, disk):
    """What the caps of the spool cost is lost under ``evicted``."""
    depot = made(spool=disk(max_bytes=20_000))
    for _ in range(30):
        put(depot, parcel("a", size=1_000))

    now = counts(depot)
    assert (30, 0) == (now.dropped["evicted"] + now.spooled, now.queued)


@pytest.mark.parametrize("sent", [True, False])
def test_evicted_while_it_is_sent_it_is_lost_only_if_it_was_not(made, disk, sent):
    """What the receiver has taken is delivered, whatever a cap has done to its file; no number is negative."""
    depot = made(spool=disk(max_bytes=20_000))
    put(depot, parcel("a", size=1_000))
    load = take(depot)
    for _ in range(30):
        put(depot, parcel("b", size=1_000))
        assert [] == negative(counts(depot))
    if sent:
        depot.settle(load, delivered=1)
    else:
        depot.put_back(load)
    depot.tend()

    now = counts(depot)
    assert (31 - sent, int(sent), 0) == (now.dropped["evicted"] + now.spooled, now.delivered, now.in_flight)
    assert now.spooled == depot.waiting("traces")[0]


def test_evicted_and_given_up_it_is_lost_once(made, disk):
    """A load that is given up after its file was evicted is counted once."""
    depot = Depot(
        ledgers=defaultdict(Ledger, traces=Ledger()), memory=Memory(1 << 20), spool=disk(max_bytes=20_000)
    )
    put(depot, parcel("a", size=1_000))
    load = take(depot)
    for _ in range(30):
        put(depot, parcel("b", size=1_000))
    depot.settle(load, dropped=1, reason="export_failed")

    assert [] == negative(counts(depot))


def test_evicted_while_it_was_refused_it_is_lost_once(made, disk):
    """A load that was rejected in parts after its file was evicted leaves no number below zero."""
    depot = Depot(
        ledgers=defaultdict(Ledger, traces=Ledger()), memory=Memory(1 << 20), spool=disk(max_bytes=20_000)
    )
    put(depot, parcel("a", "a", size=1_000))
    load = take(depot)
    for _ in range(30):
        put(depot, parcel("b", size=1_000))
    depot.replace(load, [], delivered=0, rejected=2)

    assert [] == negative(counts(depot))


def test_damage_is_in_the_books(made, disk, tmp_path):
    """A record that cannot be read any more is lost under ``damaged``."""
    depot = made(spool=disk())
    put(depot, parcel("a", size=1_000), parcel("b"))
    (file,) = (tmp_path / "spool").glob("*")
    data = bytearray(file.read_bytes())
    data[300] ^= 1
    file.write_bytes(data)

    assert ["b"] == texts(take(depot))
    assert {"damaged": 1} == counts(depot).dropped


def test_waiting_is_what_lies_in_memory_and_on_disk(made, disk):
    """Items and bytes of one signal, wherever they wait."""
    failing = []
    depot = made(spool=disk(), always=False, failing=lambda: bool(failing))
    put(depot, parcel("a", "b"), parcel("x", signal="logs"))
    failing.append(True)
    put(depot, parcel("c"))
    items, size = depot.waiting("traces")

    assert (3, True) == (items, size > len(parcel("a", "b").body) + len(parcel("c").body))
    assert 1 == depot.waiting("logs")[0]


def test_a_forks_child_has_nothing_of_it(made, disk, tmp_path):
    """In the child the shelves are empty, the disk is let go of, and no old lock is touched."""
    depot = made(spool=disk(), always=False)
    put(depot, parcel("a"))
    depot.rescue()
    put(depot, parcel("b"))
    taken = threading.Thread(target=depot._lock.acquire)
    taken.start()
    taken.join()
    depot.forget()

    assert (None, False) == (take(depot), depot.durable("traces"))
    assert len(list((tmp_path / "spool").glob("*"))) == 1


def test_what_comes_after_the_end_is_lost(made, disk):
    """A courier that was late puts nothing where nobody looks: it is counted under ``shutdown``."""
    depot = made(spool=disk())
    depot.close()
    put(depot, parcel("a"))

    assert ({"shutdown": 1}, (0, 0, 0)) == (counts(depot).dropped, places(depot))


def test_what_comes_back_after_the_end_is_lost(made):
    """A sender that was stuck until after the end gives its load back: it is counted under ``shutdown``."""
    depot = made()
    put(depot, parcel("a"))
    load = take(depot)
    depot.close()
    depot.put_back(load)

    assert ({"shutdown": 1}, (0, 0, 0)) == (counts(depot).dropped, places(depot))


def test_two_threads_lose_nothing(made, disk):
    """One thread puts, one takes, puts back and settles: everything is delivered in the end."""
    depot = made(spool=disk(), always=False, failing=lambda: bool(len(done) % 2))
    done = []

    def fill():
        for number in range(200):
            put(depot, parcel(str(number)))

    thread = threading.Thread(target=fill)
    thread.start()
    while thread.is_alive() or depot.waiting("traces")[0]:
        load = take(depot, backlog=True) or take(depot, max_bytes=100)
        if load is None:
            continue
        done.append(load.items)
        if len(done) % 3:
            depot.settle(load, delivered=load.items)
        else:
            depot.put_back(load)
    thread.join()

    assert (200, (0, 0, 0)) == (counts(depot).delivered, places(depot))
