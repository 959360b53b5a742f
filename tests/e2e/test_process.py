"""A program under test is watched, timed and never left behind."""

from __future__ import annotations

import signal
import time

import pytest

from process import Program, run

WAITING = "import time; print('ready'); time.sleep(60)"


def test_a_program_runs_to_its_end() -> None:
    """Exit status and both outputs are those of the program."""
    ended = run("import sys; print('out'); print('err', file=sys.stderr); sys.exit(3)")

    assert (ended.code, ended.stdout, ended.stderr) == (3, "out\n", "err\n")


def test_a_signal_is_timed() -> None:
    """Seconds count from the signal, not from the start."""
    with Program(WAITING) as program:
        program.wait_for_line("ready")
        ended = program.stop(signal.SIGTERM)

    assert ended.code == -signal.SIGTERM
    assert ended.seconds < 1


def test_waiting_for_a_line_ends_with_the_program() -> None:
    """A program that ends without the line fails at once, and its output is shown."""
    with Program("print('other')") as program, pytest.raises(AssertionError, match="other"):
        program.wait_for_line("ready", timeout_s=60)


def test_a_program_that_does_not_end_is_killed() -> None:
    """A wait in vain kills the program with its children and raises."""
    with Program(WAITING) as program:
        program.wait_for_line("ready")
        with pytest.raises(AssertionError, match="still running"):
            program.wait(timeout_s=0.05)

    assert not program.running


def test_leaving_kills_children_too() -> None:
    """A child does not outlive the context: the output that it holds open ends at once."""
    source = f"import subprocess, sys\nsubprocess.run([sys.executable, '-c', {WAITING!r}])"
    with Program(source) as program:
        program.wait_for_line("ready")
        leaving_at = time.monotonic()

    assert time.monotonic() - leaving_at < 5


def test_the_environment_is_clean(monkeypatch: pytest.MonkeyPatch) -> None:
    """OTEL_* of the test run does not leak in; what is given does, and the tested otelkit is found."""
    monkeypatch.setenv("OTEL_SERVICE_NAME", "leaked")
    source = "import os, otelkit; print(os.environ.get('OTEL_SERVICE_NAME'), os.environ['OTEL_X'])"

    assert run(source, env={"OTEL_X": "given"}).stdout == "None given\n"
