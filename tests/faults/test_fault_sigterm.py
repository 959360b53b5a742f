"""SIGTERM right after a busy moment: nothing is lost, and the end is hardly later than without otelkit.

The application has run for a while before (``--warm``): a process whose very first request has not
been answered yet gives it a second.
"""

from __future__ import annotations

import signal
from collections import defaultdict

import behaviours
import pytest
from books import assert_balanced, assert_inherited
from cells import exit_later_s, size

LATER_S = 0.3
ROUNDS = size(3, 7)
STATES = {"healthy": behaviours.OK, "dead": behaviours.refuse(), "hanging": behaviours.hang()}


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("state", STATES)
def test_sigterm(cell, state):
    """The default action, 500 spans and log records just before: all there after the next start."""
    cell.behave(STATES[state])
    delays = defaultdict(list)
    for number in range(ROUNDS):
        for kit in ("none", "otelkit"):
            app = cell.start(
                f"{kit}-{number}", "--kit", kit, "--warm", "--burst", 500, "--end", "wait"
            ).ready()
            app.wait_for_line("made ")
            ended = app.stop(signal.SIGTERM)
            delays[kit].append(ended.seconds)
            assert -signal.SIGTERM == ended.code, ended.stderr
        cell.count(app)
    cell.behave(behaviours.OK)
    cell.start_again()

    cell.assert_nothing_lost()
    cell.exit_s = exit_later_s(delays)
    assert cell.exit_s < 2 * LATER_S, delays


@pytest.mark.parametrize("state", STATES)
def test_sigterm_with_a_handler(cell, state):
    """A handler of the application's that calls sys.exit: the same, and the books are right."""
    cell.behave(STATES[state])
    app = cell.start("only", "--burst", 500, "--handler", "--end", "wait").ready()
    app.wait_for_line("made ")
    ended = app.stop(signal.SIGTERM)
    cell.count(app)
    cell.behave(behaviours.OK)
    heir = cell.start_again()
    stats = app.report(ended)["stats"]

    assert 0 == ended.code, ended.stderr
    assert_balanced(stats)
    assert_inherited([stats], heir["stats"])
    cell.assert_nothing_lost()
