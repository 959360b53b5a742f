"""Forks: each process delivers its own items once, and the counter's sum over all is exact."""

from __future__ import annotations

import pytest
from books import assert_balanced

CHILDREN, ITEMS = 3, 100


@pytest.mark.parametrize("how", ["shutdown", "os_exit", "fork", "spawn"])
def test_fork(cell, how):
    """os.fork with a shutdown or with the flush at os._exit; multiprocessing by fork and by spawn."""
    flush = {"OTELKIT_FLUSH_ON_OS_EXIT": "true"} if how == "os_exit" else {}
    parent = cell.start(
        "only", "--how", how, "--children", CHILDREN, "--items", ITEMS, script="app_fork.py", env=flush
    )
    ended = parent.end()
    for run in ("only", *(f"only-{number}" for number in range(CHILDREN))):
        cell.expect(run, {"traces": ITEMS, "logs": ITEMS})
    cell.start_again()

    assert 0 == ended.code, ended.stderr
    reports = parent.reports(ended)
    assert (CHILDREN + 1 if how == "shutdown" else 1) == len(reports)
    for report in reports:
        assert_balanced(report["stats"])
    cell.assert_nothing_lost()
    cell.assert_few_duplicates(requests=0)
