"""One cell of the fault table: a collector, a spool folder, applications, and what is left of them.

::

    def test_down(cell):
        cell.behave(behaviours.refuse())
        app = cell.start("first", "--rate", 1000, "--hold")
        ...
        cell.start_again()
        cell.assert_nothing_lost()
"""

from __future__ import annotations

import json
import os
import re
import signal
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from apptools import read_tally
from behaviours import Behaviour
from books import assert_balanced, assert_empty, duplicated_requests
from collector import Arrived, Collector

from process import Ended, Program

__all__ = ["App", "Cell", "exit_later_s", "pause", "size", "until"]

HERE = Path(__file__).parent
FULL = os.environ.get("OTELKIT_FAULTS") == "full"
ITEMS = ("traces", "logs")


def size(short: Any, full: Any) -> Any:
    """The number for this size of the suite."""
    return full if FULL else short


def pause(seconds: float) -> None:
    """Let time pass that is itself the subject: the length of an outage, of a steady state."""
    time.sleep(seconds)


def until(condition: Callable[[], object], *, timeout_s: float) -> None:
    """Wait for what no event tells: a file of another process."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, f"not within {timeout_s} s"
        time.sleep(0.02)


def exit_later_s(delays: Mapping[str, Sequence[float]]) -> float:
    """How much later applications with otelkit ended than without, by the medians."""
    return statistics.median(delays["otelkit"]) - statistics.median(delays["none"])


class App(Program):
    """An application under test that runs."""

    def __init__(
        self, script: str, run: str, args: Sequence[str], env: Mapping[str, str | None], tally: Path
    ):
        self.run = run
        self.peak_mb = 0.0
        self._tally = tally
        named = ["--tally", str(tally)] if script == "app.py" else []
        super().__init__([str(HERE / script), "--run", run, *named, *args], env=env)

    def ready(self) -> App:
        """Wait until it has started."""
        self.wait_for_line("ready", timeout_s=30)
        return self

    def made(self) -> dict[str, int]:
        """How many items of each signal it has made, also after it was killed."""
        if not self._tally.exists():
            return dict.fromkeys(ITEMS, 0)
        return read_tally(self._tally.read_bytes())

    def go(self) -> None:
        """End its work, or its wait after it."""
        self.send_signal(signal.SIGUSR1)

    def send_signal(self, number: int) -> None:
        """Note its memory, and send a signal."""
        self._note_memory()
        super().send_signal(number)

    def end(self, *, timeout_s: float = 30.0) -> Ended:
        """Wait for its end."""
        ended = self.wait(timeout_s=timeout_s)
        self.peak_mb = max(self.peak_mb, self.report(ended).get("peak_mb", 0.0))
        return ended

    def exit_delay_s(self, ended: Ended) -> float:
        """How long it lasted from the application's own end to that of the process."""
        own_end = re.search(r"^end (\S+)$", ended.stdout, re.MULTILINE)
        assert own_end, f"it did not come to its own end\n{ended.stdout}{ended.stderr}"
        return self._started_at + ended.seconds - float(own_end[1])

    def report(self, ended: Ended) -> dict[str, Any]:
        """The facts that it reported last; empty when it did not come to that."""
        return (self.reports(ended) or [{}])[-1]

    def reports(self, ended: Ended) -> list[dict[str, Any]]:
        """The facts that it and its children reported."""
        return [json.loads(line[7:]) for line in ended.stdout.splitlines() if line.startswith("report ")]

    def _note_memory(self) -> None:
        try:
            status = Path(f"/proc/{self.pid}/status").read_text(encoding="ascii")
        except OSError:
            return
        peak = re.search(r"VmHWM:\s+(\d+)", status)
        if peak:
            self.peak_mb = max(self.peak_mb, int(peak[1]) / 1024)


class Cell:
    """One fault: what was started in it, and what must be true in the end.

    Attributes:
        exit_s: How much later than the control an application ended; for the table.
    """

    def __init__(self, collector: Collector, folder: Path, protocol: str) -> None:
        self.collector = collector
        self.folder = folder
        self.spool = folder / "spool"
        self.protocol = protocol
        self.exit_s: float | None = None
        self.peak_mb = 0.0
        self._apps: list[App] = []
        self._expected: dict[tuple[str, str], int] = {}
        self._added = 0

    def env(self) -> dict[str, str | None]:
        """The variables of an application of this cell."""
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": self.collector.endpoint(self.protocol),
            "OTEL_EXPORTER_OTLP_PROTOCOL": self.protocol,
            "OTELKIT_SPOOL_DIR": str(self.spool),
        }

    def behave(self, behaviour: Behaviour) -> float:
        """Let the collector behave so; returns the moment."""
        return self.collector.behave(behaviour)

    def start(
        self, run: str, *args: object, script: str = "app.py", env: Mapping[str, str | None] | None = None
    ) -> App:
        """Start an application of this cell; it is killed with the cell if it still runs then."""
        given = [str(arg) for arg in args]
        app = App(script, run, given, {**self.env(), **(env or {})}, self.folder / f"tally-{run}")
        self._apps.append(app)
        return app

    def expect(self, run: str, made: Mapping[str, int], *, metrics: bool = True) -> None:
        """So many items of that run must arrive, where it has no tally of its own."""
        for name, number in made.items():
            self._expected[name, run] = number
        self._added += made.get("traces", 0) if metrics else 0

    def count(self, app: App, *, metrics: bool = True) -> dict[str, int]:
        """What an application has made must arrive; asked when it has ended."""
        made = app.made()
        self.expect(app.run, made, metrics=metrics)
        return made

    def complete(self, arrived: Arrived) -> bool:
        """Whether every item that is expected has arrived."""
        return all(arrived.distinct(*key) >= number for key, number in self._expected.items())

    def start_again(self, *, timeout_s: float = 15.0, metrics: bool = True) -> dict[str, Any]:
        """The next start of the service: it makes nothing, delivers what was left, and ends.

        Returns:
            What it reported; its books are checked.
        """
        heir = self.start("heir", "--count", 0, "--hold").ready()
        self.collector.watch(
            lambda arrived: self.complete(arrived) and (not metrics or self._all_added(arrived)),
            timeout_s=timeout_s,
        )
        heir.go()
        ended = heir.end()
        report = heir.report(ended)
        assert 0 == ended.code, ended.stderr
        assert report, ended.stdout
        assert_balanced(report["stats"])
        assert_empty(report["stats"])
        return report

    def lost(self) -> dict[str, int]:
        """How many of the expected items have not arrived, by signal."""
        arrived = self.collector.arrived()
        missing = dict.fromkeys(ITEMS, 0)
        for (name, run), number in self._expected.items():
            missing[name] += max(0, number - arrived.distinct(name, run))
        return missing

    def assert_nothing_lost(self, *, metrics: bool = True) -> None:
        """Every expected item arrived, and the sum of the counter over all processes is exact."""
        arrived = self.collector.arrived()
        for (name, run), number in self._expected.items():
            missing = number - arrived.distinct(name, run)
            assert missing <= 0, (
                f"{missing} of {number} {name} of {run!r} are lost: "
                f"{self.collector.missing(name, run, number)}; {self.collector.requests()[-20:]}"
            )
        if metrics:
            assert self._added == arrived.metrics.get("app.made", 0), arrived.metrics

    def assert_few_duplicates(self, *, requests: int = 1) -> None:
        """Of each signal, at most so many requests came twice."""
        seen = self.collector.requests()
        for name in ITEMS:
            assert duplicated_requests(seen, name) <= requests, [r for r in seen if r.duplicates]

    def row(self) -> dict[str, Any]:
        """This cell in the table."""
        arrived = self.collector.arrived()
        return {
            "sent": sum(self._expected.values()),
            "received": sum(min(n, arrived.distinct(*key)) for key, n in self._expected.items()),
            "duplicates": sum(arrived.duplicates(name) for name in ITEMS),
            "exit_s": self.exit_s,
            "peak_mb": max([self.peak_mb, *(app.peak_mb for app in self._apps)]),
        }

    def close(self) -> None:
        """Kill what still runs; fails if the collector met what no working sender sends."""
        for app in self._apps:
            app.__exit__(None, None, None)
        problems = self.collector.arrived().problems
        assert not problems, problems

    def _all_added(self, arrived: Arrived) -> bool:
        return arrived.metrics.get("app.made", 0) >= self._added
