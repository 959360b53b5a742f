"""Rounds that take turns between the two sides, and what they took at the median."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.rows import SIDES, Row, Startup

__all__ = ["Result", "measure_row", "measure_startup", "sides"]

_ROOT = Path(__file__).parents[1]
_BARE = "import os; os._exit(0)"
_ELSEWHERE = "import os; os.chdir('/')\n"  # a folder without a pyproject.toml to be read


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What one row took.

    Attributes:
        title, aim, limit_s: The row's.
        otelkit_s, plain_s: Seconds of CPU time for one call, of the thread that calls.
        process: The ratio of the CPU time of all threads.
        wall: The ratio of the wall time.
    """

    title: str
    aim: float
    otelkit_s: float
    plain_s: float
    process: float
    wall: float
    limit_s: float | None = None

    @property
    def missed(self) -> bool:
        """Whether the aim was missed; half a hundredth is not shown and does not count."""
        if self.limit_s is not None:
            return self.otelkit_s > self.limit_s
        return round(self.ratio, 2) > self.aim

    @property
    def ratio(self) -> float:
        """otelkit's time as a multiple of the plain side's."""
        return self.otelkit_s / self.plain_s


_LEFT_OUT = ("OTEL_", "OTELKIT_", "PYTHONDONTWRITEBYTECODE")  # all modules are compiled beforehand


def _environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith(_LEFT_OUT)}


class _Child:
    """A process that measures one side of one group."""

    def __init__(self, side: str, group: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.child", side, group],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            cwd=_ROOT,
            env=_environment(),
        )

    def ready(self) -> None:
        self._answer()

    def measure(self, row: str, calls: int) -> dict[str, float]:
        self._process.stdin.write(json.dumps([row, calls]) + "\n")
        self._process.stdin.flush()
        return json.loads(self._answer())

    def _answer(self) -> str:
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._process.args} ended with {self._process.wait()}")
        return line

    def close(self) -> None:
        self._process.stdin.close()
        status = self._process.wait(30)
        self._process.stdout.close()
        if status:
            raise RuntimeError(f"{self._process.args} ended with {status}")


@contextmanager
def sides(group: str) -> Iterator[dict[str, _Child]]:
    """Both sides of a group, ready to measure."""
    with ExitStack() as stack:
        children = {side: _Child(side, group) for side in SIDES}
        for child in children.values():
            stack.callback(child.close)
        for child in children.values():
            child.ready()
        yield children


def measure_row(row: Row, children: dict[str, _Child], *, rounds: int, calls: int | None = None) -> Result:
    """Measure one row; the side that begins changes from round to round."""
    calls = calls or row.calls
    rounds = max(1, round(rounds * row.rounds))
    for side in SIDES:
        children[side].measure(row.key, max(1, calls // 4))
    found = _rounds(rounds, lambda side: children[side].measure(row.key, calls))
    return Result(
        title=row.title,
        aim=row.aim,
        limit_s=row.limit_s,
        otelkit_s=_median(found["otelkit"], "thread") / calls,
        plain_s=_median(found["plain"], "thread") / calls,
        process=_ratio(found, "process"),
        wall=_ratio(found, "wall"),
    )


def measure_startup(row: Startup, *, rounds: int) -> Result:
    """Measure fresh processes from outside, less what a bare interpreter takes."""
    programs = {**row.programs, "bare": _BARE}
    for program in programs.values():
        _run(program)
    found = _rounds(rounds, lambda side: _run(programs[side]), sides=tuple(programs))
    for kind in ("process", "wall"):
        bare = _median(found["bare"], kind)
        for side in SIDES:
            for one in found[side]:
                one[kind] = max(1e-4, one[kind] - bare)
    return Result(
        title=row.title,
        aim=row.aim,
        otelkit_s=_median(found["otelkit"], "process"),
        plain_s=_median(found["plain"], "process"),
        process=_ratio(found, "process"),
        wall=_ratio(found, "wall"),
    )


def _rounds(
    rounds: int, once: Callable[[str], dict[str, float]], *, sides: tuple[str, ...] = SIDES
) -> dict[str, list[dict[str, float]]]:
    found: dict[str, list[dict[str, float]]] = {side: [] for side in sides}
    for number in range(rounds):
        for side in sides if number % 2 == 0 else reversed(sides):
            found[side].append(once(side))
    return found


def _median(rounds: list[dict[str, float]], kind: str) -> float:
    return median(one[kind] for one in rounds)


def _ratio(found: dict[str, list[dict[str, float]]], kind: str) -> float:
    return _median(found["otelkit"], kind) / _median(found["plain"], kind)


def _run(program: str) -> dict[str, Any]:
    begun = time.perf_counter()
    pid = os.posix_spawn(
        sys.executable,
        [sys.executable, "-c", _ELSEWHERE + program],
        _environment(),
        file_actions=[(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)],
    )
    _, status, usage = os.wait4(pid, 0)
    if status:
        raise RuntimeError(f"a fresh process ended with {os.waitstatus_to_exitcode(status)}: {program}")
    return {"process": usage.ru_utime + usage.ru_stime, "wall": time.perf_counter() - begun}
