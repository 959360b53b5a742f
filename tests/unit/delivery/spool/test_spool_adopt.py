import os
import signal

import pytest
from spooling import drain, files, numbered, parcel

from otelkit.delivery.spool import _format
from otelkit.delivery.spool._folder import Folder
from otelkit.delivery.spool._name import Name

WRITER = """
spool = make()
spool.append([parcel(number, items=2) for number in range(10)])
batch = spool.read("traces", backlog=False, max_bytes=3 * 132)
spool.settle(batch)
spool.read("traces", backlog=False, max_bytes=3 * 132)
tell("written")
wait()
"""

ADOPTER = """
spool = make()
tell("ready")
wait()
adopted = spool.adopt().get("traces", 0)
found = []
while batch := spool.read("traces", backlog=True, max_bytes=1000):
    found += [parcel.time_ns for parcel in batch.parcels]
    spool.settle(batch)
tell(f"{adopted} {found}")
wait()
"""


def line(process):
    return process.stdout.readline().strip()


def say(process):
    process.stdin.write("\n")
    process.stdin.flush()


def test_files_of_a_killed_process_are_adopted(spool, folder, run):
    """After SIGKILL the next process sends what was not settled, and only that."""
    writer = run(WRITER, folder)
    assert "written" == line(writer)
    assert {} == spool.adopt(), "it lives"

    writer.send_signal(signal.SIGKILL)
    writer.wait()

    assert {"traces": 14} == spool.adopt()
    assert [3, 4, 5, 6, 7, 8, 9] == numbered(drain(spool))
    assert [] == files(folder)


def test_each_item_is_adopted_once(folder, run):
    """Of several processes that adopt at the same moment each file goes to one."""
    for _ in range(12):
        writer = run("make().append([parcel(number) for number in range(5)])", folder)
        assert 0 == writer.wait(30)
    adopters = [run(ADOPTER, folder) for _ in range(3)]
    assert ["ready"] * 3 == [line(adopter) for adopter in adopters]
    for adopter in adopters:
        say(adopter)
    told = [line(adopter).partition(" ") for adopter in adopters]

    assert 60 == sum(int(count) for count, _, _ in told)
    assert sorted(list(range(5)) * 12) == sorted(number for _, _, found in told for number in eval(found))
    assert [] == files(folder)


def test_only_the_same_identity_adopts(spool_in, folder):
    """Two services may share a folder; neither takes what is the other's."""
    other = spool_in(folder, identity="other")
    other.append([parcel(1)])
    other.close()

    assert {} == spool_in(folder).adopt()
    assert {"traces": 1} == spool_in(folder, identity="other").adopt()


def test_identity_is_not_written_down(spool_in, folder):
    """A destination or an environment cannot be read from the folder, and may be any text."""
    spool_in(folder, identity="https://collector|secret-env|\udcff").append([parcel(1)])

    (name,) = files(folder)
    assert "secret" not in name
    assert b"secret" not in (folder / name).read_bytes()


def test_second_spool_of_one_process_does_not_adopt_from_the_first(spool_in, folder):
    """The lock holds between two runtimes of one process, too; when the first closes, it is adopted."""
    first, second = spool_in(folder), spool_in(folder)
    first.append([parcel(1)])
    assert {} == second.adopt()

    first.close()

    assert {"traces": 1} == second.adopt()
    assert {} == second.adopt()


def test_new_file_is_never_seen_unlocked(spool_in, folder, monkeypatch):
    """A file has its final name only when it is locked, so nobody adopts it from its maker."""
    seen = []
    rename = Folder.rename

    def look_then_rename(self, old, new):
        seen.append(spool_in(folder).adopt() or files(folder)[0])
        rename(self, old, new)
        seen.append(spool_in(folder).adopt())

    monkeypatch.setattr(Folder, "rename", look_then_rename)
    spool_in(folder).append([parcel(1)])

    assert seen[0].startswith(".")
    assert {} == seen[1]


def test_file_deleted_before_the_lock_is_not_adopted(spool_in, folder, monkeypatch):
    """When the owner finishes and deletes a file between our opening and our locking, it stays so."""
    owner, spool = spool_in(folder), spool_in(folder)
    owner.append([parcel(1)])
    path = folder / files(folder)[0]
    copy = path.read_bytes()
    owner.close()

    def replaced_then_locked(descriptor):
        path.unlink()
        path.write_bytes(copy)  # another file under the same name: the lock says nothing about it
        path.chmod(0o600)

    monkeypatch.setattr("otelkit.delivery.spool._folder.lock", replaced_then_locked)

    assert {} == spool.adopt()
    assert path.exists()


def forked(work):
    """Run ``work`` in a forked child; its answer, which is text."""
    inside, outside = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(outside, str(work()).encode())
        except BaseException as error:
            os.write(outside, repr(error).encode())
        finally:
            os._exit(0)
    os.close(outside)
    with open(inside) as answer:
        return child, answer.read()


def test_forked_child_does_not_keep_the_parents_lock(spool_in, folder):
    """A child that forgot lets the parent's files be adopted when the parent is gone."""
    parent = spool_in(folder)
    parent.append([parcel(1)])
    go_in, go_out = os.pipe()
    ready_in, ready_out = os.pipe()
    child = os.fork()
    if child == 0:
        parent.forget()
        os.write(ready_out, b"x")
        os.close(go_out)
        os.read(go_in, 1)
        os._exit(0)
    try:
        os.read(ready_in, 1)
        parent.close()

        assert {"traces": 1} == spool_in(folder).adopt()
    finally:
        for descriptor in (go_out, go_in, ready_in, ready_out):
            os.close(descriptor)
        os.waitpid(child, 0)


@pytest.mark.parametrize("forget", [True, False])
def test_forked_child_has_a_spool_of_its_own(spool, folder, forget):
    """A child starts empty and writes its own file, also when nobody told it; the parent's is as it was."""
    spool.append([parcel(1), parcel(2)])
    batch = spool.read("traces", backlog=False, max_bytes=132)

    def work():
        if forget:
            spool.forget()
        held = spool.held()["traces"].items
        spool.append([parcel(3)])
        return held, spool.adopt(), spool.settle(batch), numbered(drain(spool)), len(files(folder))

    child, answer = forked(work)
    os.waitpid(child, 0)

    assert str((0, {}, 0, [3], 2)) == answer
    assert [1, 2] == numbered(drain(spool))


def planted(folder, name, data):
    folder.mkdir(mode=0o700, exist_ok=True)
    (folder / name.text).write_bytes(data)
    (folder / name.text).chmod(0o600)


def name_for(spool, clock):
    return Name.new(spool._identities["traces"], "traces", clock.time_ns())


def test_newer_version_is_left_alone_until_it_is_too_old(spool_in, folder, clock):
    """A file of a later otelkit is not touched by the size cap; the age cap deletes it, uncounted."""
    spool = spool_in(folder, max_bytes=100, max_age_s=3600)
    name = name_for(spool, clock)
    header = bytearray(_format.pack_file_header(name.stamp))
    header[8] = 2
    header[12:16] = _format._CRC.pack(_format.zlib.crc32(header[:12], name.stamp.salt))
    planted(folder, name, bytes(header) + b"who knows" * 100)

    assert ({}, {}) == (spool.adopt(), spool.enforce())
    assert [name.text] == files(folder)

    clock.advance(3601)
    assert {} == spool.enforce()
    assert [] == files(folder)


def test_records_behind_an_unreadable_header_are_adopted(spool_in, folder, clock):
    """Without a readable header all records are given, also settled ones; none is overwritten."""
    spool = spool_in(folder)
    name = name_for(spool, clock)
    records = [b"".join(_format.pack_record(parcel(number), name.stamp)) for number in range(3)]
    planted(folder, name, b"".join(records))  # the header is missing: records begin where it was

    assert {"traces": 3} == spool.adopt()
    spool.settle(spool.read("traces", backlog=True, max_bytes=1))

    assert b"".join(records) == (folder / name.text).read_bytes()
    assert [1, 2] == numbered(drain(spool))


@pytest.mark.parametrize("content", [b"", b"\0" * 9000, b"otkspool" * 99, b"\xf5\xd7\x0b\xa6" * 999])
def test_file_with_nothing_in_it_is_cleared_away(spool_in, folder, clock, content):
    """A file of ours without any record holds nothing: it is deleted, its bytes counted as damage."""
    spool = spool_in(folder)
    planted(folder, name_for(spool, clock), content)

    assert {} == spool.adopt()
    assert [] == files(folder)
    assert (0, len(content)) == spool.damage()["traces"]
