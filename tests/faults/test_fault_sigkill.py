"""SIGKILL in a steady state: what is lost is what the last moment had not yet written."""

from __future__ import annotations

import signal

import pytest
from cells import pause, size

STEADY_S = size(5, 60)
# The shares are those of a run of a minute. What a SIGKILL loses does not grow with the run, so
# the short size allows the same number of items.
MINUTE_S = 60


@pytest.mark.parametrize(("rate", "share"), [(50, 0.005), (1_000, 0.002)])
def test_sigkill(cell, rate, share):
    """At most that share of a minute's items is lost after the next start."""
    app = cell.start("only", "--rate", rate).ready()
    pause(STEADY_S)
    app.stop(signal.SIGKILL)
    made = cell.count(app, metrics=False)
    assert made["traces"] > rate * STEADY_S * 0.9
    # What is lost is never expected to come: wait until as much is there as must be.
    allowed = int(share * rate * MINUTE_S)
    cell.expect("only", {name: number - allowed for name, number in made.items()}, metrics=False)
    cell.start_again(metrics=False)
    cell.expect("only", made, metrics=False)

    lost = cell.lost()
    assert max(lost.values()) <= allowed, lost
    cell.assert_few_duplicates()
