"""``python -m benchmarks``: measure all rows and print them as one table."""

from __future__ import annotations

import argparse
import itertools
import sys
from collections.abc import Iterator

from benchmarks.measure import Result, measure_row, measure_startup, sides
from benchmarks.rows import ROWS, STARTUPS

_ROUNDS, _QUICK_ROUNDS = 25, 7
_STARTUP_ROUNDS, _QUICK_STARTUP_ROUNDS = 11, 4

_NOTE = """\
Microseconds of CPU time of the calling thread for one call, medians of rounds that take turns; the
two start-up rows: of the whole process. "all": the ratio of the CPU time of all threads, until the
background thread has nothing left to do. "wall": of the time on the clock."""


def main() -> None:
    """Parse the command line, measure, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="fewer rounds: rough figures in a third of the time"
    )
    parser.add_argument(
        "--once", action="store_true", help="one tiny round of each row: does everything run?"
    )
    parser.add_argument("--only", default="", metavar="TEXT", help="only rows with this in their title")
    chosen = parser.parse_args()
    rounds, startups = (_QUICK_ROUNDS, _QUICK_STARTUP_ROUNDS) if chosen.quick else (_ROUNDS, _STARTUP_ROUNDS)
    if chosen.once:
        rounds, startups = 1, 1
    print(f"{'':40}{'otelkit µs':>12}{'plain µs':>12}{'ratio':>8}{'aim':>6}{'all':>8}{'wall':>8}")
    missed = 0
    for result in _measured(chosen.only, rounds=rounds, startups=startups, calls=2 if chosen.once else None):
        missed += result.missed
        print(_line(result), flush=True)
    print(f"\n{_NOTE}")
    if missed and not chosen.once:
        print(f"{missed} of the rows are above their aim.")


def _measured(only: str, *, rounds: int, startups: int, calls: int | None) -> Iterator[Result]:
    wanted = [row for row in ROWS if only in row.title]
    for group, rows in itertools.groupby(wanted, lambda row: row.group):
        with sides(group) as children:
            for row in rows:
                yield measure_row(row, children, rounds=rounds, calls=calls)
    for startup in STARTUPS:
        if only in startup.title:
            yield measure_startup(startup, rounds=startups)


def _line(result: Result) -> str:
    aim = f"{result.aim:.1f}" if result.limit_s is None else f"{result.limit_s * 1e3:.0f} ms"
    mark = "  above" if result.missed else ""
    return (
        f"{result.title:40}{result.otelkit_s * 1e6:>12,.2f}{result.plain_s * 1e6:>12,.2f}"
        f"{result.ratio:>8.2f}{aim:>6}{result.process:>8.2f}{result.wall:>8.2f}{mark}"
    )


if __name__ == "__main__":
    sys.exit(main())
