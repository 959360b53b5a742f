"""A program that just ends, with a collector that is no help: it ends in time and loses nothing."""

from __future__ import annotations

from collections import defaultdict

import behaviours
import pytest
from books import assert_balanced, assert_inherited, lost
from cells import exit_later_s, size

BUDGET_S, TOLERANCE_S = 2.0, 0.2
ROUNDS = size(1, 3)
STATES = {
    "refuses": behaviours.refuse(),
    "hangs": behaviours.hang(),
    "drips": behaviours.drip(),
    "resets": behaviours.reset(),
    "slow": behaviours.slow(5),
    "503": behaviours.status(503),
}
LOADS = {
    "pending": ("--burst", 500, "--signals", "traces"),
    "full": ("--burst", 20_000, "--pad", 300, "--signals", "traces"),
    "three": ("--burst", 500),
}
# Over gRPC the main states are enough.
CELLS = [("http/protobuf", state) for state in STATES] + [
    ("grpc", state) for state in ("refuses", "hangs", "503")
]


@pytest.mark.parametrize(("protocol", "state"), CELLS)
def test_exit(cell, state):
    """500 spans pending, a full queue, three signals: at most 2.2 s, and all there after the next start."""
    cell.behave(STATES[state])
    delays, former = defaultdict(lambda: defaultdict(list)), []
    for number in range(ROUNDS):
        for load, args in LOADS.items():
            for kit in ("none", "otelkit"):
                app = cell.start(f"{kit}-{load}-{number}", "--kit", kit, *args)
                ended = app.end()
                assert 0 == ended.code, ended.stderr
                delays[load][kit].append(app.exit_delay_s(ended))
            cell.count(app, metrics=load == "three")
            stats = app.report(ended)["stats"]
            former.append(stats)
            assert_balanced(stats)
            assert [0, 0] == [lost(stats, name) for name in ("traces", "logs")], (load, stats)
    cell.behave(behaviours.OK)
    assert_inherited(former, cell.start_again()["stats"])

    cell.assert_nothing_lost()
    later = {load: exit_later_s(times) for load, times in delays.items()}
    cell.exit_s = max(later.values())
    assert cell.exit_s < BUDGET_S + 2 * TOLERANCE_S, later


def test_short_runs(cell):
    """A slow receiver and programs that end at once: each delivers a part of what waits, and repeats little."""
    cell.behave(behaviours.refuse())
    first = cell.start("first", "--burst", 10_000, "--signals", "traces")
    assert 0 == first.end().code
    cell.count(first, metrics=False)
    cell.behave(behaviours.throttled(300_000))
    for number in range(size(3, 8)):
        app = cell.start(f"short-{number}", "--burst", 20, "--signals", "traces")
        ended = app.end()
        assert 0 == ended.code, ended.stderr
        cell.count(app, metrics=False)
        stats = app.report(ended)["stats"]
        assert_balanced(stats)
        assert 500 < stats["traces"]["delivered"] or not stats["traces"]["spooled"], stats
        assert 1_000 > cell.collector.arrived().duplicates("traces") / (number + 1)
    cell.behave(behaviours.OK)
    cell.start_again(metrics=False)

    cell.assert_nothing_lost(metrics=False)
