import os
import threading
from asyncio import CancelledError
from contextlib import contextmanager

import pytest

from otelkit import _guard


def test_failure_is_raised_under_our_own_tests():
    """Inside otelkit's own suite a swallowed failure is raised, so no test can pass over it."""
    try:
        with _guard.guard("here"):
            raise KeyError("x")
    except KeyError:
        return
    raise AssertionError("swallowed")


def test_failure_is_swallowed_counted_and_said_once(said):
    """In production a failure of ours is counted each time, said once per place, never raised."""
    with _guard.reraise(False):
        for _ in range(3):
            with _guard.guard("here"):
                raise KeyError("x")

    assert {"here": 3} == _guard.failures()
    assert 1 == len(said())


def test_failure_with_unprintable_exception_is_swallowed(said):
    """An exception whose __str__ raises is described by its class."""

    class Hostile(Exception):
        def __str__(self):
            raise RuntimeError

    with _guard.reraise(False), _guard.guard("there"):
        raise Hostile

    assert "Hostile" in said()[0]


def test_lines_with_one_key_are_said_once(said):
    """A line with a key is said once per process, one without a key always."""
    assert _guard.say("a", key="k") is True
    assert _guard.say("b", key="k") is False
    assert _guard.say("c") is True

    assert ["otelkit: a", "otelkit: c"] == said()


def test_lines_are_one_line_and_scrubbed(said):
    """Line ends are folded and the scrubber sees every line."""
    _guard.set_scrubber(lambda text: text.replace("hunter2", "[redacted]"))
    try:
        _guard.say("the password\nis hunter2")
    finally:
        _guard.set_scrubber(str)

    assert ["otelkit: the password is [redacted]"] == said()


def test_closed_stderr_is_no_error(monkeypatch):
    """Nothing is raised when stderr is closed or missing."""
    monkeypatch.setattr("sys.stderr", None)

    assert _guard.say("anything") is False


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit, CancelledError])
def test_what_is_no_exception_is_the_applications(error):
    """Ctrl-C, an exit, the end of a task pass a guard on a thread of the application's, uncounted."""
    with _guard.reraise(False), pytest.raises(error), _guard.guard("here"):
        raise error

    assert {} == _guard.failures()


@pytest.mark.parametrize("error", [ValueError, SystemExit, CancelledError])
def test_on_our_own_threads_everything_ends_here(error):
    """What the application's code raises on a thread of otelkit's is counted, and the thread goes on."""
    went_on = []

    def work():
        _guard.own_thread()
        with _guard.guard("here"):
            raise error
        went_on.append(True)

    with _guard.reraise(False):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()

    assert ([True], {"here": 1}) == (went_on, _guard.failures())


@contextmanager
def full_pipe(monkeypatch):
    """stderr is a pipe that takes nothing more; gives the function that reads so many bytes of it."""
    out, into = os.pipe()
    os.set_blocking(into, False)
    for size in (4096, 1):
        try:
            while True:
                os.write(into, b"x" * size)
        except BlockingIOError:
            pass
    os.set_blocking(into, True)
    with open(out, "rb", buffering=0) as reader, open(into, "w", buffering=1) as stderr:
        monkeypatch.setattr("sys.stderr", stderr)
        yield reader.read


def within(seconds, function):
    """What ``function`` returns, or "hangs"."""
    answers = []
    thread = threading.Thread(target=lambda: answers.append(function()), daemon=True)
    thread.start()
    thread.join(seconds)
    return answers[0] if answers else "hangs"


def test_a_full_pipe_is_not_waited_for(monkeypatch):
    """Where nobody reads stderr a line is left unsaid; it is said when somebody does."""
    with full_pipe(monkeypatch) as read:
        assert within(5, lambda: _guard.say("hello", key="k")) is False
        read(1 << 20)
        assert within(5, lambda: _guard.say("hello", key="k")) is True

        assert b"otelkit: hello\n" == read(1 << 20)


def test_a_line_is_never_longer_than_what_a_pipe_takes_at_once(monkeypatch):
    """A pipe with room for little is not blocked by a very long line; that is cut."""
    with full_pipe(monkeypatch) as read:
        read(4096)

        assert within(5, lambda: _guard.say("\N{GRINNING FACE}" * 100_000)) is True
        assert read(1 << 20).endswith(b"...\n")
