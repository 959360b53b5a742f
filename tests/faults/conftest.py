"""The fault suite is run when it is asked for: ``OTELKIT_FAULTS=short pytest tests/faults`` (or ``full``).

At the end of a run there is a table: sent, received, duplicates, exit delay, peak memory.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

ASKED_FOR = os.environ.get("OTELKIT_FAULTS", "")
collect_ignore_glob = [] if ASKED_FOR else ["test_*.py"]
if ASKED_FOR:
    sys.path[:0] = [str(Path(__file__).parent), str(Path(__file__).parent.parent / "e2e")]


@pytest.fixture(scope="session")
def _collector():
    from collector import Collector

    with Collector() as collector:
        yield collector


@pytest.fixture
def collector(_collector):
    """The collector under test: well-behaved, with empty books."""
    _collector.reset()
    return _collector


@pytest.fixture
def protocol():
    """OTLP over HTTP, unless a cell says otherwise by its parameters."""
    return "http/protobuf"


@pytest.fixture
def cell(request, collector, tmp_path, protocol):
    """One cell of the table; what it counted becomes a row."""
    from cells import Cell

    cell = Cell(collector, tmp_path, protocol)
    yield cell
    row = {"cell": request.node.name.removeprefix("test_"), **cell.row()}
    request.node.user_properties.append(("fault", row))
    print(_line(row))
    cell.close()


def pytest_terminal_summary(terminalreporter):
    """The table of all cells that ran."""
    stats = terminalreporter.stats
    bad = {report.nodeid for outcome in ("failed", "error") for report in stats.get(outcome, ())}
    reports = [
        report for some in stats.values() for report in some if getattr(report, "when", "") == "teardown"
    ]
    rows = [
        (row, "  failed" if report.nodeid in bad else "")
        for report in reports
        for name, row in report.user_properties
        if name == "fault"
    ]
    if rows:
        terminalreporter.section(f"faults ({ASKED_FOR})")
        terminalreporter.write_line(
            f"{'cell':60} {'sent':>8} {'received':>8} {'twice':>6} {'exit s':>7} {'peak MB':>8}"
        )
    for row, outcome in rows:
        terminalreporter.write_line(_line(row) + outcome)


def _line(row):
    exit_s = "" if row["exit_s"] is None else f"{row['exit_s']:.3f}"
    return (
        f"{row['cell']:60} {row['sent']:8} {row['received']:8} {row['duplicates']:6} "
        f"{exit_s:>7} {row['peak_mb']:8.1f}"
    )
