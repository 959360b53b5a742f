import os
import resource

import pytest
from spooling import drain, files, numbered, parcel

from otelkit.delivery.spool._file import LockedFile
from otelkit.delivery.spool._handle import Handle

DATA = b"APPLICATION DATA " * 40

APPLICATION = f"""
import time
DATA = {DATA!r}
databases = []
def close_all():
    "As python-daemon does; then the application's own files get the numbers."
    os.closerange(3, 256)
    for number in range(20):
        databases.append(open(folder.parent / f"{{number}}.db", "wb+", buffering=0))
        databases[-1].write(DATA)
def untouched():
    for database in databases:
        database.seek(0)
    return all(database.read() == DATA for database in databases)
def drain():
    found = []
    for backlog in (True, False):
        while batch := spool.read("traces", backlog=backlog, max_bytes=500):
            found += [parcel.time_ns for parcel in batch.parcels]
            spool.settle(batch)
    return found
spool = make(max_age_s=10**10)
"""

OWN = """
spool.append([parcel(1), parcel(2), parcel(3)])
batch = spool.read("traces", backlog=False, max_bytes=132)
close_all()
spool.settle(batch)
spool.append([parcel(4)])
spool.adopt()
found = drain()
spool.append([parcel(5)])
spool.close()
tell(f"{found} {untouched()} {spool.tallies()['traces']}")
"""

ADOPTED = """
spool.adopt()
spool.settle(spool.read("traces", backlog=True, max_bytes=132))
close_all()
spool.enforce()
spool.adopt()
spool.append([parcel(30)])
found = drain()
spool.close()
tell(f"{found} {untouched()} {spool.tallies()['traces'].adopted}")
"""

WAITING = """
spool.append([parcel(1), parcel(2), parcel(3), parcel(4, items=9)])
batch = spool.read("traces", backlog=False, max_bytes=132)
close_all()
tell("closed")
wait()
settled = spool.settle(batch)
spool.append([parcel(5)])
found = drain()
spool.close()
tally = spool.tallies()["traces"]
tell(f"{found} {untouched()} {settled} {tally.settled} {tally.damaged} {tally.held} {tally.held_bytes}")
"""

DAEMON = """
spool.append([parcel(1)])
if os.fork():
    os._exit(0)
os.setsid()
if os.fork():
    os._exit(0)
spool.append([parcel(2)])
close_all()
spool.append([parcel(3)])
for _ in range(1000):  # the parent may need a moment to end
    if spool.adopt():
        break
    time.sleep(0.01)
found = drain()
spool.close()
tell(f"{sorted(found)} {untouched()}")
"""

CHILD = """
spool.append([parcel(1)])
child = os.fork()
if child == 0:
    close_all()
    spool.append([parcel(2)])
    found = drain()
    spool.close()
    tell(f"{found} {untouched()}")
    os._exit(0)
os.waitpid(child, 0)
tell(f"{drain()}")
"""

NO_STDIO = """
kept = [os.dup(number) for number in range(3)]
for number in range(3):
    os.close(number)
spool.append([parcel(1)])
for number in range(3):
    try:
        os.write(number, DATA)
    except OSError:
        pass
found = drain()
spool.close()
for number in range(3):
    os.dup2(kept[number], number)
tell(f"{found} {spool.tallies()['traces'].damaged}")
"""


def told(process):
    answer, _ = process.communicate(timeout=60)
    return answer.strip()


def test_closing_all_descriptors_loses_nothing(spool_in, folder, run):
    """The application's files are not written to nor closed; every item is given once, also to the heir."""
    folder.mkdir(mode=0o700)
    found, right, tally = told(run(APPLICATION + OWN, folder)).partition(" True ")

    assert (" True ", "[2, 3, 4]") == (right, found)
    assert "appended=5, adopted=0, settled=4, evicted=0, damaged=0, held=1," in tally
    assert {"traces": 1} == spool_in(folder).adopt()


def test_closing_all_descriptors_loses_nothing_adopted(spool_in, folder, run):
    """Adopted files are had again too, more of them than may be open at once, and none is adopted twice."""
    for number in range(20):
        other = spool_in(folder)
        other.append([parcel(number)])
        other.close()

    assert f"{[*range(1, 20), 30]} True 20" == told(run(APPLICATION + ADOPTED, folder))
    assert [] == files(folder)


def test_daemon_without_stdout_prints_into_no_spool(folder, run):
    """What is written to the numbers 0 to 2, which a daemon has closed, is none of ours."""
    assert "[1] 0" == told(run(APPLICATION + NO_STDIO, folder))


def test_daemon_that_closes_all_descriptors_loses_nothing(folder, run):
    """Forked twice, with files of its own and the parent's, all closed: each item is given once."""
    assert "[1, 2, 3] True" == told(run(APPLICATION + DAEMON, folder))


def test_child_that_closed_what_it_inherited(folder, run):
    """A child that forgets the parent's spool after its descriptors were closed touches no file of either."""
    assert "[2] True\n[1]" == told(run(APPLICATION + CHILD, folder))


def closed(spool, folder, run):
    process = run(APPLICATION + WAITING, folder)
    assert "closed" == process.stdout.readline().strip()
    return process


def test_file_adopted_meanwhile_is_the_adopters(spool, folder, run):
    """With the descriptor the lock is gone: what another process has taken over is left to it.

    Its items stay among those held, as what a process leaves behind does, and are the other's adopted.
    """
    process = closed(spool, folder, run)
    assert {"traces": 12} == spool.adopt()

    assert "[5] True 1 2 0 11 0" == told(process)
    assert [1, 2, 3, 4] == numbered(drain(spool))


def test_what_another_has_settled_meanwhile_is_not_given_again(spool_in, folder, run):
    """A file that another process adopted, sent in part and let go of is ours again without that part."""
    process = closed(None, folder, run)
    other = spool_in(folder)
    other.adopt()
    other.settle(other.read("traces", backlog=True, max_bytes=3 * 132))
    other.close()

    assert "[4, 5] True 1 11 0 2 0" == told(process)
    assert {} == spool_in(folder).adopt()


def test_file_that_is_gone_with_its_descriptor_is_counted(folder, run):
    """What can neither be read nor found any more is damaged, item by item."""
    process = closed(None, folder, run)
    os.unlink(folder / files(folder)[0])

    assert "[5] True 1 2 11 0 0" == told(process)


def test_folder_that_is_gone_with_its_descriptor_is_counted(folder, run):
    """So it is when the whole folder was deleted; a new one is begun."""
    process = closed(None, folder, run)
    os.unlink(folder / files(folder)[0])
    folder.rmdir()

    assert "[5] True 1 2 11 0 0" == told(process)


@pytest.fixture
def lose():
    """Has the numbers of descriptors stand for a file of the application's; it must stay as it is."""
    taken = []
    with open(os.devnull) as victim:

        def take(*handles):
            for handle in handles:
                taken.append(handle.unasked)
                os.dup2(victim.fileno(), handle.unasked)

        yield take
        for number in taken:
            assert os.path.samestat(os.fstat(victim.fileno()), os.fstat(number)), "it was closed"
            os.close(number)


def handles(spool):
    return [spool._shelf._folder._handle, *(file.handle for file in spool._shelf.files)]


def test_lock_is_taken_again(spool_in, folder, lose):
    """A file whose descriptor was closed is locked again at the next look, so that nobody adopts it."""
    spool = spool_in(folder)
    spool.append([parcel(1)])
    lose(*handles(spool))
    spool.adopt()

    assert {} == spool_in(folder).adopt()
    assert [1] == numbered(drain(spool))


@pytest.mark.parametrize("which", [slice(0, 1), slice(1, 2), slice(2, 3)])
def test_any_descriptor_may_be_closed_alone(spool_in, folder, lose, which):
    """The folder's, a finished file's or the live one's: settled files are deleted all the same."""
    spool = spool_in(folder, max_file_bytes=200)
    spool.append([parcel(1), parcel(2)])
    lose(*handles(spool)[which])

    assert [1, 2] == numbered(drain(spool))
    spool.close()
    assert [] == files(folder)


@pytest.mark.parametrize("call", ["forget", "close", "enforce"])
def test_nothing_of_others_is_closed(spool_in, folder, clock, lose, call):
    """However the spool lets go of its files, those that were put in their place stay open."""
    spool = spool_in(folder, max_age_s=10)
    spool.append([parcel(1)])
    clock.advance(20)
    lose(*handles(spool))
    getattr(spool, call)()

    assert (0 if call == "enforce" else 1) == len(files(folder))


def test_file_lost_before_its_eviction_is_counted_once(spool_in, folder, lose):
    """The cap has it locked again first, so that nobody adopts what is counted as evicted."""
    spool = spool_in(folder, max_bytes=4000)
    spool.append([parcel(1, items=5)])
    lose(*handles(spool))

    assert 5 == spool.append([parcel(2, size=3900)])["traces"].own
    assert {} == spool_in(folder).adopt()
    assert [2] == numbered(drain(spool))


def test_file_closed_while_it_is_read_is_not_damaged(spool, folder, lose, monkeypatch):
    """What could not be read because the descriptor was closed is read again, by another one."""
    spool.append([parcel(1), parcel(2)])
    read = LockedFile.read

    def lost_then_read(self, entries):
        monkeypatch.undo()
        lose(*handles(spool))
        return read(self, entries)

    monkeypatch.setattr(LockedFile, "read", lost_then_read)

    assert [1, 2] == numbered(drain(spool))
    assert (0, 0) == spool.damage()["traces"]


@pytest.mark.parametrize("call", ["adopt", "enforce"])
def test_file_closed_while_it_is_searched_is_left_for_later(spool_in, folder, clock, lose, monkeypatch, call):
    """What was found in another file's bytes does not count; the next look takes the file over."""
    other = spool_in(folder)
    other.append([parcel(1), parcel(2)])
    other.close()
    clock.advance(20)
    spool = spool_in(folder, max_age_s=10)
    load = LockedFile.load

    def lost_then_load(self):
        monkeypatch.undo()
        lose(self.handle)
        return load(self)

    monkeypatch.setattr(LockedFile, "load", lost_then_load)

    assert {} == getattr(spool, call)()
    assert {"traces": 2} == spool_in(folder).adopt()


def test_file_that_cannot_be_had_now_is_had_later(spool, folder, lose):
    """While there are no descriptors left nothing is lost or counted twice, and appending is refused."""
    spool.append([parcel(1), parcel(2)])
    batch = spool.read("traces", backlog=False, max_bytes=132)
    lose(*handles(spool))
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        assert ({}, {}) == (spool.adopt(), spool.enforce())
        assert spool.read("traces", backlog=True, max_bytes=400) is None
        assert 1 == spool.settle(batch)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))

    assert {} == spool.adopt()
    assert [2] == numbered(drain(spool))
    assert [] == files(folder)


def test_older_of_two_handles_of_one_number_is_not_trusted(folder, spool_in, lose):
    """Where a file was opened again under the number that others had closed, only the later one closes it."""
    folder.mkdir(mode=0o700)
    path = folder / "a"
    path.write_text("")
    number = os.open(path, os.O_RDWR)
    first = Handle(number)
    os.close(number)
    assert number == os.open(path, os.O_RDWR)
    second = Handle(number)
    first.close()

    assert (False, True) == (first.held, second.held)
    second.close()
    with pytest.raises(OSError):
        os.fstat(number)


def test_second_spool_of_the_process_may_get_the_number(folder, spool_in):
    """A runtime that lingers does not take for its own what the next one has adopted under its number."""
    first, second = spool_in(folder), spool_in(folder)
    first.append([parcel(1)])
    second.append([parcel(2, signal="logs")])
    number = first._shelf.files[0].handle.unasked
    os.close(number)
    assert {"traces": 1} == second.adopt()
    assert number == second._shelf.files[0].handle.unasked

    assert [] == drain(first)
    first.close()
    assert [1] == numbered(drain(second))
