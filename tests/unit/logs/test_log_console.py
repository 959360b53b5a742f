"""The readable line of a terminal."""

from __future__ import annotations

import io
import logging
import re
import sys

import pytest
import structlog

from otelkit.logs.render_console import colours_wanted

PLAIN = re.compile(r"\x1b\[[0-9;]*m")


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture(autouse=True)
def no_colour_variables(monkeypatch):
    for name in ("NO_COLOR", "FORCE_COLOR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm")


@pytest.fixture
def terminal(monkeypatch):
    """Call it to make stdout a terminal; pytest replaces stdout for each phase of a test."""

    def start():
        out = Terminal()
        monkeypatch.setattr(sys, "stdout", out)
        return out

    return start


def test_a_readable_line(install, terminal, tracer):
    """Time, level, event, fields, logger, eight characters of the trace id."""
    out = terminal()
    install(log_format=None)
    with tracer.start_as_current_span("s"):
        structlog.get_logger("orders").warning("slow query", ms=3, why="two words", deep={"a": 1})
    text = PLAIN.sub("", out.getvalue())
    assert re.fullmatch(
        r'\d\d:\d\d:\d\d\.\d{3} WARNING  slow query {22} ms=3 why="two words" deep=\{"a": 1\} orders [0-9a-f]{8}\n',
        text,
    )
    assert "\x1b[33m" in out.getvalue()


def test_a_traceback_is_readable(install, terminal):
    """A traceback stands on its own lines."""
    out = terminal()
    install(log_format=None)
    try:
        raise ValueError("bad")
    except ValueError:
        logging.getLogger("a").exception("boom")
    lines = PLAIN.sub("", out.getvalue()).splitlines()
    assert (lines[1], lines[-1]) == ("Traceback (most recent call last):", "ValueError: bad")


def test_values_do_not_reach_the_terminal_as_commands(install, terminal, monkeypatch):
    """Control characters in events and values are shown, not obeyed."""
    monkeypatch.setenv("NO_COLOR", "1")
    out = terminal()
    install(log_format=None)
    structlog.get_logger().info("a\x1b[2Jb", k="c\x07\rd")
    assert not re.search(r"[\x00-\x09\x0b-\x1f]", out.getvalue())


def test_json_without_a_terminal(install, lines):
    """By default, what is no terminal gets JSON."""
    install(log_format=None)
    structlog.get_logger().info("x")
    assert lines()[0]["event"] == "x"


@pytest.mark.parametrize(
    ("environ", "terminal", "wanted"),
    [
        ({}, True, True),
        ({}, False, False),
        ({"NO_COLOR": "1"}, True, False),
        ({"NO_COLOR": ""}, True, True),
        ({"FORCE_COLOR": "1"}, False, True),
        ({"NO_COLOR": "1", "FORCE_COLOR": "1"}, True, False),
        ({"TERM": "dumb"}, True, False),
    ],
)
def test_colours(environ, terminal, wanted):
    """NO_COLOR, then FORCE_COLOR, then the terminal."""
    assert colours_wanted(terminal=terminal, environ=environ) is wanted
