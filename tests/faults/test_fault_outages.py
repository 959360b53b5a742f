"""The collector is away for a while, at 1,000 spans and log records a second: nothing is lost."""

from __future__ import annotations

import signal

import behaviours
import pytest
from books import assert_balanced, assert_inherited, lost
from cells import pause, size

OUTAGE_S = size(6, 60)
DRAINED_S = 15.0
RATE = 1_000
AWAY = {"down": behaviours.refuse(), "hanging": behaviours.hang()}
AWAY |= size({}, {"stalling": behaviours.stall()})
BOTH = pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])


def recover(cell, app):
    """The collector comes back, the application goes on for a second and stops working."""
    recovered = cell.behave(behaviours.OK)
    pause(1)
    app.go()
    app.wait_for_line("made ")
    cell.count(app)
    arrived = cell.collector.wait_until(cell.complete, timeout_s=DRAINED_S - 1)
    assert max(arrived.last_s(name) for name in ("traces", "logs")) - recovered < DRAINED_S


def end(cell, app):
    """The application ends; its books are right and nothing is lost."""
    app.go()
    ended = app.end()
    stats = app.report(ended)["stats"]

    assert 0 == ended.code, ended.stderr
    assert_balanced(stats)
    assert [0, 0] == [lost(stats, name) for name in ("traces", "logs")], stats
    cell.assert_nothing_lost()
    cell.assert_few_duplicates()
    return stats


@BOTH
def test_down_at_start(cell):
    """A collector that starts later than the service gets everything."""
    cell.behave(behaviours.refuse())
    app = cell.start("only", "--rate", RATE, "--hold").ready()
    pause(OUTAGE_S)
    recover(cell, app)
    end(cell, app)


@BOTH
@pytest.mark.parametrize("away", AWAY)
def test_outage(cell, away):
    """A collector that goes away, or hangs, and comes back gets everything."""
    app = cell.start("only", "--rate", RATE, "--hold").ready()
    cell.collector.wait_until(lambda a: a.distinct("traces") > RATE, timeout_s=15)
    cell.behave(AWAY[away])
    pause(OUTAGE_S)
    recover(cell, app)
    end(cell, app)


@BOTH
def test_restart_during_an_outage(cell):
    """A service that is restarted while the collector is down: the second run delivers for the first."""
    cell.behave(behaviours.refuse())
    first = cell.start("first", "--rate", RATE, "--handler").ready()
    pause(OUTAGE_S / 3)
    ended = first.stop(signal.SIGTERM)
    assert 0 == ended.code, ended.stderr
    cell.count(first)
    second = cell.start("second", "--rate", RATE, "--hold").ready()
    pause(OUTAGE_S / 3)
    recover(cell, second)
    stats = end(cell, second)

    left = first.report(ended)["stats"]
    assert_balanced(left)
    assert_inherited([left], stats)
