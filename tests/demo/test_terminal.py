"""The demo's output fits where it is written: a terminal or a file."""

from __future__ import annotations

import io

import pytest

from examples.agent.terminal import Progress, Terminal


class Screen(io.StringIO):
    """A stream that is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_file_gets_plain_lines() -> None:
    """Nothing but text and line ends, and a line at each quarter of the work."""
    stream = io.StringIO()
    progress = Progress(Terminal(stream), 8)
    for number in range(8):
        progress.step(error=number == 0)

    assert "\x1b" not in stream.getvalue()
    assert "\r" not in stream.getvalue()
    assert [line.split(" %")[0].strip() for line in stream.getvalue().splitlines()] == [
        "25",
        "50",
        "75",
        "100",
    ]


def test_a_terminal_gets_one_moving_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bar is drawn over itself and ends full, with a line end."""
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    stream = Screen()
    progress = Progress(Terminal(stream), 3)
    for _ in range(3):
        progress.step(error=False)

    assert stream.getvalue().count("\n") == 1
    assert stream.getvalue().startswith("\r")
    assert "100 %" in stream.getvalue().rsplit("\r", 1)[1]


def test_no_color_is_honoured(monkeypatch: pytest.MonkeyPatch) -> None:
    """With NO_COLOR set (https://no-color.org) there is no escape sequence on a terminal either."""
    monkeypatch.setenv("NO_COLOR", "1")
    stream = Screen()
    Terminal(stream).heading("Title", "note")

    assert "\x1b" not in stream.getvalue()


def test_columns_are_aligned() -> None:
    """Words are flush left, numbers flush right, below their titles."""
    stream = io.StringIO()
    Terminal(stream).table(("name", "count"), [("a", "1"), ("longer", "1,000")])

    assert stream.getvalue().splitlines() == ["  name     count", "  a            1", "  longer   1,000"]
