import pytest
from spooling import drain, files, numbered, parcel

from otelkit.delivery.spool import Evicted
from otelkit.delivery.spool._file import LockedFile


def size_of(folder):
    return sum(path.stat().st_size for path in folder.iterdir())


def left_behind(spool_in, folder, *parcels, identity="me"):
    other = spool_in(folder, identity=identity)
    other.append(parcels)
    other.close()


def test_own_files_never_outgrow_the_cap(spool_in, folder):
    """An append makes room first: the oldest file goes, of whatever signal, and is counted."""
    spool = spool_in(folder, max_bytes=4000)
    lost = {"traces": 0, "logs": 0}
    for number in range(100):
        for signal in lost:
            evicted = spool.append([parcel(number, items=3, signal=signal)])
            for name, (own, others) in evicted.items():
                assert others == 0
                lost[name] += own
        assert size_of(folder) <= 4000
        assert all(path.stat().st_size <= 1000 for path in folder.iterdir()), "a quarter at a time"

    kept = numbered(drain(spool))
    assert kept == list(range(100 - len(kept), 100))
    assert lost["traces"] == 300 - 3 * len(kept)
    assert lost["logs"] == spool.tallies()["logs"].evicted


def test_live_file_is_evicted_if_there_is_nothing_else(spool_in, folder):
    """When one large request needs all the room, the rest goes."""
    spool = spool_in(folder, max_bytes=4000)
    spool.append([parcel(1)])

    assert {"traces": Evicted(own=1)} == spool.append([parcel(2, size=3900)])
    assert [2] == numbered(drain(spool))


def test_batch_evicted_while_it_is_sent_is_not_counted_twice(spool_in, folder):
    """What a cap has taken meanwhile is not settled again, so the sums stay right."""
    spool = spool_in(folder, max_bytes=4000)
    spool.append([parcel(1, items=5)])
    batch = spool.read("traces", backlog=False, max_bytes=1)
    spool.append([parcel(2, size=3900)])

    assert 0 == spool.settle(batch)
    assert (5, 0, 1) == tuple(
        getattr(spool.tallies()["traces"], name) for name in ("evicted", "settled", "held")
    )


def test_file_evicted_while_it_is_read_stays_open(spool_in, folder, monkeypatch):
    """The reader never meets a closed descriptor, or another file's; the batch is just worth nothing."""
    spool = spool_in(folder, max_bytes=4000)
    spool.append([parcel(1)])
    read = LockedFile.read

    def evicted_then_read(self, entries):
        monkeypatch.undo()
        spool.append([parcel(2, size=3900)])
        return read(self, entries)

    monkeypatch.setattr(LockedFile, "read", evicted_then_read)
    batch = spool.read("traces", backlog=False, max_bytes=1)

    assert [1] == numbered(batch.parcels)
    assert 0 == spool.settle(batch)
    assert (0, 0) == spool.damage()["traces"]


def test_oldest_files_of_the_folder_go_first(spool_in, folder):
    """The cap is over the whole folder; dead others' items are told apart from our own."""
    left_behind(spool_in, folder, parcel(1, size=3000, items=4), identity="another service")
    spool = spool_in(folder, max_bytes=8000, max_file_bytes=1000)
    spool.append([parcel(2, size=3000, items=5)])
    left_behind(spool_in, folder, parcel(3, size=3000, items=6, signal="logs"))
    spool.append([parcel(4, size=3000, items=7)])

    assert {"traces": Evicted(own=5, others=4)} == spool.enforce()
    assert [4] == numbered(drain(spool))
    assert {"logs": 6} == spool.adopt()


def test_files_of_the_living_are_left_alone(spool_in, folder):
    """What another process holds counts, but only what is ours or nobody's is deleted."""
    living = spool_in(folder)
    living.append([parcel(1, size=5000)])
    spool = spool_in(folder, max_bytes=6000)
    spool.append([parcel(2, size=3000)])

    assert {"traces": Evicted(own=1)} == spool.enforce()
    assert [1] == numbered(drain(living))


def test_nothing_is_evicted_below_the_caps(spool_in, folder):
    """Files that fit and are young stay."""
    left_behind(spool_in, folder, parcel(1))
    spool = spool_in(folder)
    spool.append([parcel(2)])

    assert {} == spool.enforce()
    assert 2 == len(files(folder))


def test_what_is_too_old_goes(spool_in, folder, clock):
    """After the greatest age everything unsettled is evicted: others', our own, and the live file."""
    left_behind(spool_in, folder, parcel(1, items=4))
    spool = spool_in(folder, max_age_s=100)
    spool.append([parcel(2, items=5), parcel(3, items=6, signal="logs")])
    clock.advance(99)
    assert {} == spool.enforce()
    clock.advance(1)

    assert {"traces": Evicted(own=5, others=4), "logs": Evicted(own=6)} == spool.enforce()
    assert [] == files(folder)
    spool.append([parcel(4)])
    assert [4] == numbered(drain(spool))


def test_only_unsettled_items_count_as_evicted(spool_in, folder, clock):
    """What was settled before is not lost when its file goes."""
    left = spool_in(folder)
    left.append([parcel(1, items=4), parcel(2, items=5)])
    left.settle(left.read("traces", backlog=False, max_bytes=1))
    left.close()
    clock.advance(100)

    assert {"traces": Evicted(others=5)} == spool_in(folder, max_age_s=10).enforce()


def test_file_is_as_old_as_its_records(spool_in, folder, clock):
    """A file takes records for a small part of the greatest age only, so none goes much too early."""
    spool = spool_in(folder, max_age_s=240)
    spool.append([parcel(1)])
    clock.advance(9)
    spool.append([parcel(2)])
    clock.advance(2)
    spool.append([parcel(3)])

    assert [1, 2] == numbered(spool.read("traces", backlog=True, max_bytes=10**6).parcels)
    assert [3] == numbered(spool.read("traces", backlog=False, max_bytes=10**6).parcels)


def test_old_and_settled_live_file_is_replaced(spool_in, folder, clock):
    """A quiet service's file does not stay for ever."""
    spool = spool_in(folder, max_age_s=240)
    spool.append([parcel(1)])
    (before,) = files(folder)
    clock.advance(11)
    drain(spool)
    spool.append([parcel(2)])

    (after,) = files(folder)
    assert before != after


@pytest.mark.parametrize("wound", [70, 110])
def test_damaged_files_of_others_are_counted_as_far_as_known(spool_in, folder, clock, wound):
    """A dead other's evicted items include those of broken bodies, not those without a header."""
    left_behind(spool_in, folder, parcel(1, items=4), parcel(2, items=5))
    path = folder / files(folder)[0]
    data = bytearray(path.read_bytes())
    data[wound] ^= 1
    path.write_bytes(data)
    clock.advance(100)

    assert {"traces": Evicted(others=5 if wound == 70 else 9)} == spool_in(folder, max_age_s=10).enforce()
