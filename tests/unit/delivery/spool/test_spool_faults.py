import errno
import os
import shutil
import subprocess

import pytest
from spooling import drain, files, numbered, parcel

from otelkit.delivery.spool import Held, SpoolError

LIMITED = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (3000, 3000))
spool = make()
stored, refused = [], []
for number in range(10):
    try:
        spool.append([parcel(number, size=1000)])
        stored.append(number)
    except SpoolError as error:
        refused.append((number, error.__cause__.errno, len(error.parcels)))
tell(f"{stored} {refused} {spool.held()['traces'].items} {sorted(p.stat().st_size for p in folder.iterdir())}")
found = []
for backlog in (True, False):
    while batch := spool.read("traces", backlog=backlog, max_bytes=10**6):
        found += [parcel.time_ns for parcel in batch.parcels]
        spool.settle(batch)
tell(found)
"""


def fill(spool):
    """Append until the disk is full; the numbers that were stored, and the error."""
    stored = []
    for number in range(1000):
        try:
            spool.append([parcel(number, size=5000)])
        except SpoolError as error:
            return stored, error
        stored.append(number)
    raise AssertionError("never full")


def test_full_disk_is_an_error_that_holds_the_parcels(spool_in, small_disk):
    """When the disk is full the parcel is handed back; all that was stored before can be sent."""
    spool = spool_in(small_disk / "spool")
    stored, error = fill(spool)

    assert errno.ENOSPC == error.__cause__.errno
    assert [len(stored)] == numbered(error.parcels)
    assert "No space left" in str(error)
    assert Held(len(stored), len(stored) * 5032) == spool.held()["traces"]
    assert stored == numbered(drain(spool))


def test_partial_write_is_cut_off_again(spool_in, small_disk):
    """What fits of a write that fails does not stay: the file ends at a border of records."""
    spool = spool_in(small_disk / "spool")
    stored, _ = fill(spool)
    (path,) = (small_disk / "spool").iterdir()

    assert 64 + len(stored) * 5032 == path.stat().st_size


def test_append_works_again_when_there_is_room(spool_in, small_disk):
    """After a full disk the next append just works, and an adopter finds every record."""
    (small_disk / "ballast").write_bytes(bytes(100_000))
    spool = spool_in(small_disk / "spool")
    stored, _ = fill(spool)
    (small_disk / "ballast").unlink()
    spool.append([parcel(5000)])
    spool.close()
    spool = spool_in(small_disk / "spool")

    assert {"traces": len(stored) + 1} == spool.adopt()
    assert [*stored, 5000] == numbered(drain(spool))
    assert (0, 0) == spool.damage()["traces"]


def test_no_room_for_a_new_file_leaves_nothing(spool_in, small_disk):
    """A file that cannot be begun leaves no temporary one; other signals' files are as they were."""
    spool = spool_in(small_disk / "spool")
    spool.append([parcel(1)])
    try:
        (small_disk / "ballast").write_bytes(bytes(300_000))
    except OSError:
        pass

    with pytest.raises(SpoolError, match="No space left"):
        spool.append([parcel(2, signal="logs")])

    assert 1 == len(files(small_disk / "spool"))
    assert [1] == numbered(drain(spool))


def test_read_only_disk_is_an_error_until_it_is_writable(spool_in, small_disk):
    """On a read-only disk nothing is stored or adopted, nothing raises but append; later all works."""
    folder = small_disk / "spool"
    left = spool_in(folder)
    left.append([parcel(1)])
    left.close()
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    spool = spool_in(folder, max_bytes=100)

    with pytest.raises(SpoolError) as caught:
        spool_in(folder).append([parcel(2)])
    assert errno.EROFS == caught.value.__cause__.errno
    assert ({}, {}) == (spool.adopt(), spool.enforce())

    subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
    assert {"traces": 1} == spool.adopt()


def test_limit_of_file_sizes_is_survived(folder, run):
    """A file that may not grow is left behind for a new one; nothing that was stored is lost."""
    limited = run(LIMITED, folder)
    told, _ = limited.communicate(timeout=30)

    assert told.splitlines() == [
        f"[0, 1, 3, 4, 6, 7, 9] {[(number, errno.EFBIG, 1) for number in (2, 5, 8)]} 7 [1096, 2128, 2128, 2128]",
        "[0, 1, 3, 4, 6, 7, 9]",
    ]


def test_one_signal_that_cannot_be_stored_does_not_stop_the_others(spool_in, small_disk):
    """Each signal is stored for itself; the error holds those that were not, in their order."""
    spool = spool_in(small_disk / "spool")

    with pytest.raises(SpoolError) as caught:
        spool.append([parcel(1, size=300_000), parcel(2, signal="logs"), parcel(3, size=10)])

    assert [1, 3] == numbered(caught.value.parcels)
    assert [2] == numbered(drain(spool, "logs"))


@pytest.fixture
def undeletable(folder):
    """Makes the folder one in which nothing can be deleted."""

    def protect(how="+a"):
        if os.geteuid() != 0:
            folder.chmod(0o500 if how == "+a" else 0o700)
        elif not shutil.which("chattr") or subprocess.run(["chattr", how, folder], check=False).returncode:
            pytest.skip("root needs a file system with attributes")

    yield protect
    protect("-a")


def test_undeletable_file_is_sent_once(spool_in, folder, undeletable):
    """Where a finished file cannot be deleted its cursor says that nothing is left."""
    spool = spool_in(folder, max_file_bytes=200)
    spool.append([parcel(1), parcel(2)])
    undeletable()

    assert [1, 2] == numbered(drain(spool))
    assert files(folder)
    assert {} == spool_in(folder).adopt()


def test_undeletable_file_is_evicted_once(spool_in, folder, undeletable, clock):
    """What is evicted is not adopted later, nor counted again, though its file stays."""
    spool, other = spool_in(folder, max_age_s=10), spool_in(folder)
    spool.append([parcel(1)])
    other.append([parcel(2, items=2)])
    other.close()
    undeletable()
    clock.advance(11)

    assert {"traces": (1, 2)} == spool.enforce()
    assert {} == spool.enforce()
    assert {} == spool_in(folder).adopt()
