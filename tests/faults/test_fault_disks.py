"""A disk that is full or read-only: memory takes over, and it is said once."""

from __future__ import annotations

import behaviours
import pytest
from books import assert_balanced, lost
from cells import pause, size
from disks import mounted, read_only

DOWN_S = size(4, 20)
FILE_LIMIT = 200_000


def outage(cell, *args):
    """An application, the collector down for a while and back; returns its end."""
    cell.behave(behaviours.refuse())
    app = cell.start("only", "--rate", 500, "--pad", 300, "--hold", *args).ready()
    pause(DOWN_S)
    cell.behave(behaviours.OK)
    app.go()
    app.wait_for_line("made ")
    cell.count(app)
    cell.collector.watch(cell.complete, timeout_s=15)
    app.go()
    return app, app.end()


def assert_counted(cell, app, ended):
    """What is missing at the collector is what otelkit counted as lost; the disk is named in one line."""
    stats = app.report(ended)["stats"]
    assert 0 == ended.code, ended.stderr
    assert_balanced(stats)
    assert {name: lost(stats, name) for name in ("traces", "logs")} == cell.lost()
    named = [
        line for line in ended.stderr.splitlines() if line.startswith("otelkit:") and str(cell.spool) in line
    ]
    assert 1 == len(named), ended.stderr


def test_full(cell):
    """ENOSPC in the middle of an outage."""
    with mounted(cell.spool, options="size=1m") as real:
        app, ended = outage(cell, *(() if real else ("--file-limit", FILE_LIMIT)))
        assert_counted(cell, app, ended)


def test_read_only(cell):
    """EROFS from the start: what fits into memory still arrives."""
    with mounted(cell.spool, options="size=1m"), read_only(cell.spool):
        app, ended = outage(cell)
        assert_counted(cell, app, ended)


@pytest.mark.parametrize("options", ["size=1m"])
def test_full_and_healthy(cell, options):
    """A full disk costs nothing while the collector is there."""
    with mounted(cell.spool, options=options):
        filler = cell.spool / "filler"
        with filler.open("wb") as file:
            try:
                file.write(b"x" * 2_000_000)
            except OSError:
                pass
        app = cell.start("only", "--count", 500, "--rate", 500, "--hold").ready()
        app.wait_for_line("made ")
        cell.count(app)
        app.go()
        ended = app.end()

        assert 0 == ended.code, ended.stderr
        assert_balanced(app.report(ended)["stats"])
        cell.assert_nothing_lost()
