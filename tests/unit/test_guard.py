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
