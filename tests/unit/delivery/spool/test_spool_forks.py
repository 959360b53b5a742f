"""A fork may come at any moment of another thread; the child must not keep what it knows nothing of."""

import os

import pytest
from spooling import drain, files, numbered, parcel

from otelkit.delivery.spool import _file, _folder, _forks
from otelkit.delivery.spool._file import LockedFile
from otelkit.delivery.spool._folder import Folder
from otelkit.delivery.spool._handle import Handle
from otelkit.delivery.spool._shelf import Shelf


@pytest.fixture
def fork():
    """Forks children that do something and live until the test is over."""
    go_in, go_out = os.pipe()
    children = []

    def start(work):
        said, say = os.pipe()
        child = os.fork()
        if child == 0:
            try:
                os.close(go_out)
                answer = work()
                os.write(say, f"{'ready' if answer is None else answer}".encode())
                os.read(go_in, 1)
            except BaseException as error:
                os.write(say, repr(error).encode())
            finally:
                os._exit(0)
        children.append(child)
        os.close(say)
        with open(said, "rb", buffering=0) as answer:
            return answer.read(1000).decode()

    yield start
    os.close(go_out)
    os.close(go_in)
    for child in children:
        os.waitpid(child, 0)


@pytest.fixture
def forking(monkeypatch, fork):
    """Has one call of a function forked in, before or after it; as if another thread did it then."""
    answers = []

    def patch(place, name, when, spool):
        real = getattr(place, name)

        def called(*arguments, **named):
            if when == "before":
                once(*arguments)
            result = real(*arguments, **named)
            if when == "after":
                once(*arguments)
            return result

        def once(*arguments):
            if place is os and not str(arguments[0]).endswith((".otlp", ".tmp")):
                return  # the folder
            monkeypatch.undo()
            answers.append(fork(spool.forget))

        monkeypatch.setattr(place, name, called)

    yield patch
    assert ["ready"] == answers


@pytest.mark.parametrize(
    "place, name, when",
    [
        (os, "open", "after"),
        (_file, "lock", "before"),
        (_file, "lock", "after"),
        (Folder, "rename", "before"),
        (Folder, "rename", "after"),
        (Shelf, "keep", "before"),
        (Shelf, "keep", "after"),
    ],
)
def test_child_forked_while_a_file_is_made_keeps_no_lock(spool_in, folder, forking, place, name, when):
    """Wherever the making of a file is when another thread forks, after the parent's end it is adopted."""
    parent = spool_in(folder)
    forking(place, name, when, parent)
    parent.append([parcel(1)])
    parent.close()

    assert {"traces": 1} == spool_in(folder).adopt()
    assert 1 == len(files(folder))


@pytest.mark.parametrize(
    "place, name, when",
    [
        (os, "open", "after"),
        (_folder, "lock", "before"),
        (_folder, "lock", "after"),
        (Handle, "is_at", "after"),
        (LockedFile, "take", "after"),
        (LockedFile, "load", "before"),
        (Shelf, "keep", "before"),
    ],
)
def test_child_forked_while_a_file_is_taken_over_keeps_no_lock(spool_in, folder, forking, place, name, when):
    """So it is with a dead process's file: after the adopter's end another one adopts it."""
    left = spool_in(folder)
    left.append([parcel(1), parcel(2)])
    left.close()
    adopter = spool_in(folder)
    forking(place, name, when, adopter)
    adopter.adopt()
    adopter.close()

    assert {"traces": 2} == spool_in(folder).adopt()


@pytest.mark.parametrize(
    "place, name, when",
    [
        (os, "open", "after"),
        (_folder, "lock", "before"),
        (_folder, "lock", "after"),
        (LockedFile, "regain", "after"),
        (Shelf, "keep", "before"),
    ],
)
def test_child_forked_while_a_file_is_locked_again_keeps_no_lock(
    spool_in, folder, forking, place, name, when
):
    """So it is with a file whose descriptor others have closed."""
    parent = spool_in(folder)
    parent.append([parcel(1)])
    os.close(parent._shelf.files[0].handle.unasked)
    forking(place, name, when, parent)
    parent.adopt()
    parent.close()

    assert {"traces": 1} == spool_in(folder).adopt()


@pytest.mark.parametrize("signal", ["traces", "logs"])
def test_child_forked_while_a_deleted_file_is_read_keeps_nothing(spool, folder, fork, signal):
    """A file that is settled while a batch of it is read takes up no disk because of a child."""
    spool.append([parcel(1, signal=signal)])
    wanted = spool._pin(signal, backlog=False, max_bytes=100)
    spool._shelf.drop(wanted[0].file)
    number = wanted[0].handle.unasked

    def work():
        spool.forget()
        os.fstat(number)

    assert "OSError(9, 'Bad file descriptor')" == fork(work)
    assert [parcel(1, signal=signal)] == wanted[0].file.read(wanted[0].entries)
    spool._unpin(wanted)


def test_forgetting_hurts_nothing_of_the_childs(spool_in, folder, fork):
    """A child that forgets several spools, one of them late, keeps what it has opened with another."""
    first, second, third = spool_in(folder), spool_in(folder), spool_in(folder)
    first.append([parcel(1)])
    second.append([parcel(2, items=2)])

    def work():
        first.forget()
        first.append([parcel(3, items=4)])
        second.forget()
        third.append([parcel(4, items=8)])
        second.append([parcel(5, items=16)])
        return all(file.held for spool in (first, second, third) for file in spool._shelf.files)

    assert "True" == fork(work)
    assert ([1], [2], {}) == (numbered(drain(first)), numbered(drain(second)), third.adopt())
    assert 3 == len(files(folder)) - 2


def test_grandchild_lets_go_of_all_before_it(spool_in, folder, fork):
    """The lock of a child's file ends with the child, too, though a child of its own lives."""
    spool = spool_in(folder)

    def work():
        spool.append([parcel(1)])
        ended, lives = os.pipe()
        if os.fork():
            os._exit(0)
        os.close(lives)
        os.read(ended, 1)  # until the child has ended
        spool.forget()

    fork(work)
    assert {"traces": 1} == spool_in(folder).adopt()


def test_fork_is_told(fork):
    """A fork since a mark is noticed, also one that was under way when the mark was made; not in the child."""
    mark = _forks.now()
    assert _forks.none_since(mark)
    assert "True" == fork(lambda: _forks.none_since(_forks.now()))
    assert not _forks.none_since(mark)
    assert _forks.none_since(_forks.now())


def test_fork_that_waits_for_us_is_not_waited_for(spool, folder):
    """Files are made while a fork is under way that does not come to its end."""
    _forks._before()
    try:
        assert not _forks.none_since(_forks.now())
        spool.append([parcel(1)])
    finally:
        _forks._after_in_parent()

    assert [1] == numbered(drain(spool))
