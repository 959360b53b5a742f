import subprocess
import sys
from pathlib import Path

import pytest

rows = pytest.importorskip("benchmarks.rows", reason="the benchmarks are not part of the package")

ROOT = Path(__file__).parents[2]


def test_every_row_of_the_benchmarks_runs():
    """One tiny round of each row measures both sides and prints a line with two times and a ratio."""
    answer = subprocess.run(
        [sys.executable, "-m", "benchmarks", "--once"], cwd=ROOT, capture_output=True, text=True, timeout=120
    )

    assert (0, "") == (answer.returncode, answer.stderr)
    lines = answer.stdout.splitlines()
    for row in (*rows.ROWS, *rows.STARTUPS):
        (line,) = [line for line in lines if line.startswith(row.title + " ")]
        otelkit_us, plain_us, ratio = line.removeprefix(row.title).replace(",", "").split()[:3]
        assert float(otelkit_us) > 0
        assert float(plain_us) > 0
        assert float(ratio) > 0
