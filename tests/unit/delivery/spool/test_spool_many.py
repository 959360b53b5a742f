import os

import pytest
from spooling import drain, files, numbered, parcel

from otelkit.delivery.spool import Evicted, Spool
from otelkit.delivery.spool._estate import _AT_ONCE
from otelkit.delivery.spool._name import Name

HEIR = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
spool = make(max_age_s=10**10)
spool.adopt()
spool.enforce()
opened = [open(os.devnull) for _ in range(20)]
found = []
for signal in ("traces", "logs"):
    while batch := spool.read(signal, backlog=True, max_bytes=10**6):
        found += [parcel.time_ns for parcel in batch.parcels]
        spool.settle(batch)
tell(f"{sorted(found)} {spool.tallies()['traces'].adopted}")
"""


def left_behind(spool_in, folder, numbers, *, signal="traces"):
    for number in numbers:
        other = spool_in(folder)
        other.append([parcel(number, items=2, signal=signal)])
        other.close()


def test_descriptors_are_left_for_the_application(spool_in, folder, run):
    """With 200 files to adopt and 64 descriptors in all, the application can open its own; all arrives."""
    left_behind(spool_in, folder, range(100))
    left_behind(spool_in, folder, range(100, 200), signal="logs")
    heir = run(HEIR, folder)
    told, _ = heir.communicate(timeout=60)

    assert f"{list(range(200))} 200" == told.strip()
    assert [] == files(folder)


def test_few_adopted_files_are_open_at_once(spool_in, folder):
    """At most 16 of each signal are held, the oldest; reading takes over more as they are settled."""
    left_behind(spool_in, folder, range(40))
    spool = spool_in(folder)
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else None
    assert {"traces": 2 * _AT_ONCE} == spool.adopt()
    assert {} == spool.adopt(), "the others wait"
    if before is not None:
        assert before + _AT_ONCE + 1 == len(os.listdir("/proc/self/fd"))

    found = []
    while batch := spool.read("traces", backlog=True, max_bytes=3 * 132):
        found += numbered(batch.parcels)
        assert 2 * len(batch.parcels) == spool.settle(batch)
        assert _AT_ONCE >= len(spool._shelf.files)
    assert list(range(40)) == found
    assert 80 == spool.tallies()["traces"].adopted


def test_many_files_of_one_signal_do_not_hold_up_another(spool_in, folder):
    """Each signal has its own share, so that older traces that cannot leave keep no logs back."""
    left_behind(spool_in, folder, range(30))
    left_behind(spool_in, folder, range(30, 35), signal="logs")
    spool = spool_in(folder)

    assert {"traces": 2 * _AT_ONCE, "logs": 10} == spool.adopt()


def test_caps_hold_for_files_not_adopted_yet(spool_in, folder):
    """What waits to be adopted counts for the size of the folder; the oldest goes first, and is counted."""
    left_behind(spool_in, folder, range(40))
    spool = spool_in(folder, max_bytes=10 * 200)
    spool.adopt()

    evicted = spool.enforce()["traces"]
    assert Evicted(own=2 * _AT_ONCE, others=2 * 30 - 2 * _AT_ONCE) == evicted
    assert list(range(30, 40)) == numbered(drain(spool))


def test_files_found_may_be_gone_when_it_is_their_turn(spool_in, folder):
    """What another process has adopted or deleted meanwhile is passed over, and each item is given once."""
    left_behind(spool_in, folder, range(60))
    first, second = spool_in(folder), spool_in(folder)
    first.adopt()
    second.adopt()

    assert [*range(16), *range(32, 60)] == numbered(drain(first))
    assert list(range(16, 32)) == numbered(drain(second))
    assert (88, 32) == (first.tallies()["traces"].adopted, second.tallies()["traces"].adopted)


def planted(spool, folder, number, *, size):
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / Name(spool._identities["traces"], "traces", number, 1, number).text
    path.touch(mode=0o600)
    os.truncate(path, size)


@pytest.mark.parametrize("size, at_once", [(0, 256), (9 * 2**20, 2), (17 * 2**20, 1)])
def test_files_with_nothing_in_them_do_not_hold_up_the_sender(spool_in, folder, size, at_once):
    """However many and large they are, a look ends after 16 MiB or 256 files; a later one finds the good."""
    spool = spool_in(folder, max_age_s=10**10)
    for number in range(2 * at_once + 1):
        planted(spool, folder, number, size=size)
    left_behind(spool_in, folder, [7])

    assert {} == spool.adopt()
    assert at_once + 2 == len(files(folder))
    assert spool.read("traces", backlog=True, max_bytes=400) is None
    assert 2 == len(files(folder))
    assert [7] == numbered(drain(spool) + drain(spool))


def test_closed_spool_adopts_no_more(spool_in, folder):
    """What is left of a backlog at the end is for the next process."""
    left_behind(spool_in, folder, range(20))
    spool = spool_in(folder)
    spool.adopt()
    spool.close()

    assert spool.read("traces", backlog=True, max_bytes=400) is None
    assert 20 == len(files(folder))


@pytest.mark.parametrize("max_mib, file_mib", [(1, 0.25), (256, 4), (10 * 1024, 160)])
def test_files_of_a_large_spool_are_larger(folder, max_mib, file_mib):
    """A finished file is an open descriptor, too; so they get larger instead of more."""
    spool = Spool(folder=folder, identities={}, max_bytes=max_mib * 2**20)

    assert file_mib * 2**20 == spool._max_file_bytes
