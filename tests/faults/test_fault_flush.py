"""A flush keeps its time whatever the collector does, and does not block the event loop."""

from __future__ import annotations

import statistics

import behaviours
import pytest

TIMEOUT_S, TOLERANCE_S = 0.3, 0.1
STATES = {
    "ok": behaviours.OK,
    "refuses": behaviours.refuse(),
    "hangs": behaviours.hang(),
    "drips": behaviours.drip(),
    "slow": behaviours.slow(2),
}


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("state", STATES)
def test_flush(cell, state):
    """It is back in its time, by the median of some rounds beside plain waits; aflush lets tasks run."""
    cell.behave(STATES[state])
    app = cell.start("only", "--timeout", TIMEOUT_S, script="app_flush.py")
    ended = app.end()
    report = app.report(ended)
    assert report, ended.stderr

    late_s = statistics.median(took for _, took in report["flush"]) - statistics.median(report["plain"])
    assert late_s < 2 * TOLERANCE_S, report
    assert {state == "ok"} == {answer for answer, _ in report["flush"]}
    (ticks, longest_s), (plain_ticks, plain_longest_s) = report["aflush"], report["sleep"]
    assert ticks >= plain_ticks // 2, report
    assert longest_s < plain_longest_s + 2 * TOLERANCE_S, report
