import threading

import pytest
from spooling import drain, files, numbered, parcel

from otelkit.delivery.spool import Held, Spool, SpoolError
from otelkit.delivery.spool._format import RECORD_HEADER


def test_nothing_is_touched_before_the_first_append(spool, folder):
    """A spool that was never written to leaves no trace, whatever else is asked of it."""
    assert spool.read("traces", backlog=False, max_bytes=1) is None
    assert ({}, {}) == (spool.adopt(), spool.enforce())
    assert {"traces", "logs", "metrics"} == set(spool.held())
    spool.close()

    assert not folder.exists()


def test_parcels_come_out_as_they_went_in(spool):
    """Order, content, items and times are kept, each signal for itself."""
    sent = [parcel(1, items=3), parcel(2, signal="logs"), parcel(3, size=0), parcel(4, signal="metrics")]
    assert {} == spool.append(sent)

    assert [sent[0], sent[2]] == drain(spool)
    assert [sent[1]] == drain(spool, "logs")
    assert [sent[3]] == drain(spool, "metrics")


def test_reading_moves_nothing(spool):
    """What was read and not settled is read again, with what came since."""
    spool.append([parcel(1)])
    assert [1] == numbered(spool.read("traces", backlog=False, max_bytes=10**6).parcels)
    spool.append([parcel(2)])

    assert [1, 2] == numbered(spool.read("traces", backlog=False, max_bytes=10**6).parcels)
    assert Held(2, 2 * (RECORD_HEADER + 100)) == spool.held()["traces"]


def test_batch_is_bounded_but_never_empty(spool):
    """A batch takes what fits; a parcel larger than that comes alone."""
    spool.append([parcel(1, size=5000), *(parcel(number) for number in range(2, 8))])

    sizes = []
    while batch := spool.read("traces", backlog=False, max_bytes=300):
        sizes.append(len(batch.parcels))
        spool.settle(batch)

    assert [1, 2, 2, 2] == sizes


def test_part_of_a_batch_is_settled(spool):
    """The first parcels of a batch can be settled alone, the rest later; each counts once."""
    spool.append([parcel(number, items=number) for number in (1, 2, 3)])
    batch = spool.read("traces", backlog=False, max_bytes=10**6)

    assert 3 == spool.settle(batch, parcels=2)
    assert [3] == numbered(spool.read("traces", backlog=False, max_bytes=10**6).parcels)
    assert 3 == spool.settle(batch)
    assert Held(0, 0) == spool.held()["traces"]
    spool.append([parcel(4), parcel(5), parcel(6)])
    assert (0, 0) == (spool.settle(batch), spool.settle(batch, parcels=1))
    assert [4, 5, 6] == numbered(drain(spool))


def test_full_file_becomes_backlog(spool_in, folder):
    """A file that would get too large takes no more; its records leave by the other lane."""
    spool = spool_in(folder, max_file_bytes=1000)
    for number in range(1, 10):
        spool.append([parcel(number)])

    assert 2 == len(files(folder))
    assert [8, 9] == numbered(spool.read("traces", backlog=False, max_bytes=10**6).parcels)
    assert [1, 2, 3, 4, 5, 6, 7] == numbered(spool.read("traces", backlog=True, max_bytes=10**6).parcels)
    assert all(path.stat().st_size <= 1000 for path in folder.iterdir())


def test_one_append_may_fill_many_files(spool_in, folder):
    """What is larger than a file is divided; a parcel larger than a file has one of its own."""
    spool = spool_in(folder, max_file_bytes=1000)
    spool.append([parcel(1), parcel(2, size=3000), *(parcel(number) for number in range(3, 12))])

    assert [196, 3096, 988, 328] == [
        path.stat().st_size for path in sorted(folder.iterdir(), key=lambda path: path.name.split("-")[2])
    ]
    assert list(range(1, 12)) == numbered(drain(spool))


def test_backlog_of_small_files_leaves_in_one_batch(spool_in, folder):
    """Many small files, as recycled workers leave them, make one large batch."""
    for number in range(20):
        other = spool_in(folder)
        other.append([parcel(number)])
        other.close()
    spool = spool_in(folder)
    spool.adopt()

    batch = spool.read("traces", backlog=True, max_bytes=12 * 132)
    assert list(range(12)) == numbered(batch.parcels)
    assert 12 == spool.settle(batch)
    assert 8 == len(files(folder))
    assert list(range(12, 20)) == numbered(drain(spool))


def test_backlog_is_never_read_past_a_record(spool_in, folder):
    """A record that does not fit ends the batch, though smaller ones in younger files would fit."""
    for first in ([parcel(1), parcel(2, size=900)], [parcel(3)]):
        other = spool_in(folder)
        other.append(first)
        other.close()
    spool = spool_in(folder)
    spool.adopt()

    assert [1] == numbered(spool.read("traces", backlog=True, max_bytes=300).parcels)
    assert [1, 2, 3] == numbered(drain(spool, max_bytes=300))


def test_older_files_leave_first_whoever_made_them(spool_in, folder):
    """An adopted file that is older than our own backlog is read before it."""
    other, spool = spool_in(folder), spool_in(folder, max_file_bytes=200)
    other.append([parcel(1)])
    spool.append([parcel(2), parcel(3)])
    other.close()
    spool.adopt()

    assert [1, 2] == numbered(spool.read("traces", backlog=True, max_bytes=10**6).parcels)


def test_settled_files_are_deleted(spool_in, folder):
    """A finished file goes when its last record is settled; a live one when it has become large."""
    spool = spool_in(folder, max_file_bytes=1000)
    spool.append([parcel(number) for number in range(10)])
    drain(spool)
    assert 1 == len(files(folder))

    spool.append([parcel(11, size=2000)])
    drain(spool)
    assert [] == files(folder)


def test_cursor_survives_the_process(spool_in, folder):
    """After a restart only what was not settled is given again."""
    spool = spool_in(folder)
    spool.append([parcel(number) for number in range(6)])
    for _ in range(2):
        spool.settle(spool.read("traces", backlog=False, max_bytes=264))
    spool.close()
    spool = spool_in(folder)

    assert {"traces": 2} == spool.adopt()
    assert [4, 5] == numbered(drain(spool))
    assert [] == files(folder)


def test_closing_leaves_only_what_is_unsettled(spool_in, folder):
    """`close` deletes files that have nothing left; what was left stays counted as held."""
    spool = spool_in(folder)
    spool.append([parcel(1), parcel(2, signal="logs", items=7)])
    drain(spool)
    spool.close()

    assert 1 == len(files(folder))
    assert (0, 7) == (spool.held()["traces"].items, spool.held()["logs"].items)
    assert spool.read("logs", backlog=False, max_bytes=1) is None


def test_closed_spool_stores_nothing(spool):
    """After `close` an append is refused and holds its parcels."""
    spool.close()

    with pytest.raises(SpoolError, match="closed") as caught:
        spool.append([parcel(1)])
    assert (parcel(1),) == caught.value.parcels


def test_unknown_signals_are_refused(spool_in, folder):
    """A signal that does not exist, or that has no identity here, is a clear error; others are stored."""
    with pytest.raises(ValueError, match="profiles"):
        Spool(folder=folder, identities={"profiles": "me"})
    spool = Spool(folder=folder, identities={"logs": "me"})

    with pytest.raises(SpoolError, match="'traces'") as caught:
        spool.append([parcel(1), parcel(2, signal="logs")])

    assert (parcel(1),) == caught.value.parcels
    assert 1 == spool.held()["logs"].items
    spool.close()


def test_request_too_large_for_the_spool_is_refused(spool_in, folder):
    """What can never fit costs nothing that is there."""
    spool = spool_in(folder, max_bytes=10_000)
    spool.append([parcel(1)])

    with pytest.raises(SpoolError, match="too large"):
        spool.append([parcel(2, size=10_000)])

    assert [1] == numbered(drain(spool))


@pytest.mark.parametrize("fsync, count", [("none", 400), ("batch", 40)])
def test_threads_may_write_and_read_together(spool_in, folder, fsync, count):
    """One thread appends, one sends and one looks: each item is given once, and the sums are right."""
    spool = spool_in(folder, max_file_bytes=5000, fsync=fsync)
    done = threading.Event()
    sums = []

    def write():
        for number in range(count):
            spool.append([parcel(number, items=2)])
        done.set()

    def look():
        while not done.is_set():
            tally = spool.tallies()["traces"]
            sums.append(tally.appended - tally.settled - tally.held)

    threads = [threading.Thread(target=target) for target in (write, look)]
    for thread in threads:
        thread.start()
    found = []
    while not done.is_set():
        found += drain(spool, max_bytes=1000)
    for thread in threads:
        thread.join()
    found += drain(spool)

    assert list(range(count)) == sorted(numbered(found))
    assert {0} >= set(sums)
