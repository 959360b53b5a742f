import os
import stat
from pathlib import Path

import pytest
from spooling import drain, files, numbered, parcel

from otelkit.delivery.spool import SpoolError, _folder
from otelkit.delivery.spool._folder import Folder
from otelkit.delivery.spool._name import Name


def mode(path):
    return stat.S_IMODE(path.stat().st_mode)


def refused(spool, match):
    with pytest.raises(SpoolError, match=match) as caught:
        spool.append([parcel(1, items=5)])
    assert (parcel(1, items=5),) == caught.value.parcels
    assert ({}, {}) == (spool.adopt(), spool.enforce())


@pytest.mark.parametrize("umask", [0, 0o022, 0o077])
def test_only_the_owner_can_read(spool_in, tmp_path, umask):
    """Folders that are made have mode 0700, files 0600, whatever the umask."""
    before = os.umask(umask)
    try:
        spool_in(tmp_path / "a" / "b" / "spool").append([parcel(1)])
    finally:
        os.umask(before)

    (file,) = (tmp_path / "a" / "b" / "spool").iterdir()
    assert 0o600 == mode(file)
    assert [0o700] * 3 == [mode(parent) for parent in list(file.parents)[:3]]


@pytest.mark.parametrize("shared", [0o777, 0o755, 0o1777, 0o1700, 0o2770, 0o710])
def test_folder_that_others_may_enter_stays_as_it_is(spool, folder, shared):
    """In a folder that was there and is for others too, a private one is made; its mode is not touched."""
    folder.mkdir()
    folder.chmod(shared)
    (folder / "theirs").write_text("precious")
    spool.append([parcel(1)])

    assert (shared, 0o700) == (mode(folder), mode(folder / "otelkit") & 0o777)
    assert (["otelkit", "theirs"], 1) == (files(folder), len(files(folder / "otelkit")))


@pytest.mark.parametrize("private", [0o700, 0o2700])
def test_private_folder_is_used_itself(spool, folder, private):
    """A folder that nobody else may enter is the spool's, whatever else is in it."""
    folder.mkdir()
    folder.chmod(private)
    (folder / "mine").write_text("")
    spool.append([parcel(1)])

    assert (private, 2) == (mode(folder), len(files(folder)))
    assert not (folder / "otelkit").exists()


def test_folder_in_a_shared_one_is_found_again(spool_in, folder):
    """The next process takes over what lies in the private folder of a shared one; looking makes nothing."""
    folder.mkdir()
    folder.chmod(0o755)
    assert ({}, {}) == (spool_in(folder).adopt(), spool_in(folder).enforce())
    assert [] == files(folder)
    before = spool_in(folder)
    before.append([parcel(1)])
    before.close()

    assert {"traces": 1} == spool_in(folder).adopt()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_shared_folder_of_another_user_will_do(spool, folder):
    """Where everybody may make folders, as in a mounted volume, it need not be ours."""
    folder.mkdir()
    os.chown(folder, 12345, 12345)
    folder.chmod(0o1777)
    spool.append([parcel(1)])

    assert (0o1777, 0o700) == (mode(folder), mode(folder / "otelkit"))


@pytest.mark.parametrize("kind", ["link", "file", "foreign", "busy"])
def test_folder_in_a_shared_one_may_be_refused(spool, folder, tmp_path, kind):
    """What has its name but is a link, a file, another user's, or open to others and used, stays as it is."""
    if kind == "foreign" and os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    folder.mkdir()
    folder.chmod(0o777)
    inner = folder / "otelkit"
    if kind == "link":
        (tmp_path / "elsewhere").mkdir(mode=0o700)
        inner.symlink_to(tmp_path / "elsewhere")
    elif kind == "file":
        inner.write_text("")
    else:
        inner.mkdir()
        inner.chmod(0o755)
        (inner / "notes.txt").write_text("")
        os.chown(inner, 12345 if kind == "foreign" else -1, -1)
    before = mode(inner)

    refused(spool, {"foreign": "uid 12345", "busy": "more than a spool"}.get(kind, "link or not a folder"))
    assert before == mode(inner)


def test_folder_in_a_shared_one_is_made_private_again(spool_in, folder):
    """Where a volume's modes are reset at each start, what was made for the spool is closed to others again."""
    folder.mkdir()
    folder.chmod(0o2770)
    before = spool_in(folder)
    before.append([parcel(1)])
    before.close()
    (folder / "otelkit").chmod(0o2770)

    assert {"traces": 1} == spool_in(folder).adopt()
    assert 0o700 == mode(folder / "otelkit") & 0o777


def test_relative_folder_is_where_it_was(spool_in, tmp_path, monkeypatch):
    """A daemon that goes to another working folder later writes where it was told to."""
    monkeypatch.chdir(tmp_path)
    spool = spool_in(Path("relative"))
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    spool.append([parcel(1)])

    assert 1 == len(files(tmp_path / "relative"))


def test_existing_parents_are_left_alone(spool_in, tmp_path):
    """Only the folder itself has to be private."""
    (tmp_path / "shared").mkdir()
    (tmp_path / "shared").chmod(0o755)
    spool_in(tmp_path / "shared" / "spool").append([parcel(1)])

    assert 0o755 == mode(tmp_path / "shared")


def test_link_is_refused(spool, folder, tmp_path):
    """A symbolic link in place of the folder is not followed."""
    (tmp_path / "elsewhere").mkdir()
    folder.symlink_to(tmp_path / "elsewhere")

    refused(spool, "symbolic link")
    assert [] == files(tmp_path / "elsewhere")


def test_dangling_link_is_refused(spool_in, folder):
    """A link to nowhere, as the folder or as its parent, is an error and no endless loop."""
    folder.symlink_to("nowhere")

    refused(spool_in(folder), "symbolic link")
    refused(spool_in(folder / "deeper"), "cannot be written")


def test_file_in_its_place_is_refused(spool_in, folder):
    """A file in place of the folder, or of its parent, is an error."""
    folder.write_text("not a folder")

    refused(spool_in(folder), "not a folder")
    refused(spool_in(folder / "deeper"), "cannot be written|not a folder")
    assert "not a folder" == folder.read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_folder_of_another_user_is_refused(spool, folder):
    """A folder of another user is refused, even by root, and not changed."""
    folder.mkdir(mode=0o755)
    os.chown(folder, 12345, 12345)

    refused(spool, "uid 12345")
    assert 0o755 == mode(folder)


def test_system_without_locks_is_refused(spool, monkeypatch):
    """Where no file can be locked nothing is stored; importing the package works."""
    monkeypatch.setattr(_folder, "fcntl", None)

    refused(spool, "no file locks")


def test_spool_works_again_when_the_folder_does(spool, folder):
    """A refusal is not for ever: the next append looks again."""
    folder.write_text("in the way")
    refused(spool, "not a folder")
    folder.unlink()
    spool.append([parcel(1)])

    assert [1] == numbered(drain(spool))


def test_deleted_folder_is_made_again(spool, folder):
    """When the folder is deleted, what was in it is still delivered, and a new one is made."""
    spool.append([parcel(1)])
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
    spool.append([parcel(2)])

    assert 1 == len(files(folder))
    assert [1, 2] == numbered(drain(spool))


def test_folder_deleted_at_the_worst_moment_is_made_again(spool, folder, monkeypatch):
    """When the folder goes between our look at it and the new file, the same append makes it again."""
    create = Folder.create

    def deleted_then_create(self, name):
        monkeypatch.undo()
        folder.rmdir()
        return create(self, name)

    monkeypatch.setattr(Folder, "create", deleted_then_create)
    spool.append([parcel(1)])

    assert 1 == len(files(folder))


def test_deleted_file_is_begun_again(spool, folder):
    """When only the file is deleted its records are still delivered, and new ones are on disk."""
    spool.append([parcel(1)])
    os.unlink(folder / files(folder)[0])
    spool.append([parcel(2)])

    assert 1 == len(files(folder))
    assert [1, 2] == numbered(drain(spool))


def test_swapped_path_leads_nowhere(spool, folder, tmp_path):
    """When the folder is replaced by a link later, files still go to the folder that was checked."""
    spool.append([parcel(1)])
    folder.rename(tmp_path / "moved")
    (tmp_path / "trap").mkdir()
    folder.symlink_to(tmp_path / "trap")
    spool.append([parcel(2, signal="logs")])

    assert ([], 2) == (files(tmp_path / "trap"), len(files(tmp_path / "moved")))


def planted(kind, path, tmp_path):
    if kind == "link":
        (tmp_path / "target").write_text("precious")
        path.symlink_to(tmp_path / "target")
    elif kind == "pipe":
        os.mkfifo(path, 0o600)
    elif kind == "folder":
        path.mkdir()
    else:
        path.write_bytes(b"x" * 100)
        path.chmod(0o622 if kind == "writable" else 0o600)
        if kind == "foreign":
            os.chown(path, 12345, 12345)


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "writable", "foreign"])
def test_planted_files_are_not_adopted(spool_in, folder, tmp_path, kind):
    """What has the right name but is no file of ours, written by us alone, is never taken or deleted."""
    if kind == "foreign" and os.geteuid() != 0:
        pytest.skip("only root can give a file away")
    spool = spool_in(folder, max_age_s=1, max_bytes=10)
    spool.adopt()
    folder.mkdir(mode=0o700)
    name = Name.new(spool._identities["traces"], "traces", 1).text
    planted(kind, folder / name, tmp_path)

    assert ({}, {}) == (spool.adopt(), spool.enforce())
    assert [name] == files(folder)

    opened = Folder.open(folder, make=False)
    assert opened.take(name) is None, "not even if it took that place after the folder was listed"
    assert (kind == "writable") is bool(opened.listing())
    opened.close()


def test_foreign_names_are_never_touched(spool_in, folder, clock):
    """Files that are not named as the spool names them are none of its business, whatever the caps."""
    folder.mkdir(mode=0o700)
    spool = spool_in(folder, max_bytes=2000, max_age_s=1)
    right = Name.new(spool._identities["traces"], "traces", 1)
    names = [
        "notes.txt",
        "a.otlp",
        right.text.upper(),
        right.text.replace("-1-", "-01-"),
        f"{right.text}.bak",
    ]
    for name in names:
        (folder / name).write_bytes(bytes(5000))
    spool.append([parcel(1)])

    assert ({}, {}) == (spool.adopt(), spool.enforce())
    assert set(names) <= set(files(folder))


@pytest.mark.parametrize("age_s, left", [(3599, 1), (3700, 0)])
def test_unfinished_files_are_removed_after_an_hour(spool_in, folder, clock, age_s, left):
    """What a crash left of a file being made is removed when it is old, unless somebody holds it."""
    folder.mkdir(mode=0o700)
    spool = spool_in(folder)
    name = Name.new(spool._identities["traces"], "traces", clock.time_ns())
    (folder / name.temporary).write_bytes(b"")
    (folder / name.temporary).chmod(0o600)
    clock.advance(age_s)

    spool.enforce()

    assert left == len(files(folder))


def test_names_can_be_read_back():
    """A name says whose file it is, of which signal, and since when."""
    name = Name.new("0123456789abcdef", "logs", 1234)

    assert name == Name.parse(name.text) == Name.parse_temporary(name.temporary)
    assert Name.parse(name.temporary) is None
    assert Name.parse_temporary(name.text) is None
