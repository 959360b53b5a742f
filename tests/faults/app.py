"""The application under test: makes numbered spans and log records, and ends as it is told.

It reports ``ready``, ``made {...}`` (done with the work), ``end <monotonic seconds>`` (the end of
the application itself; what follows is the end of the telemetry) and, last of all, ``report
{...}``. SIGUSR1 ends the work, or the wait after it.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable

from apptools import Go, Kit, Tally, count, memory_mb, quiet_stdout, report_at_exit, say, wait_for_ever

_STEP_S = 0.005


def arguments() -> argparse.Namespace:
    """What the cell wants."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kit", choices=["otelkit", "plain", "none"], default="otelkit")
    parser.add_argument("--run", default="run", help="the name of this run, on each item")
    parser.add_argument("--tally", required=True, help="the file that says how many were made")
    parser.add_argument("--signals", default="traces,logs,metrics")
    parser.add_argument("--rate", type=float, default=1000.0, help="of each signal, a second")
    parser.add_argument("--count", type=int, help="how many of each signal; 0: none")
    parser.add_argument("--seconds", type=float, help="how long, instead of how many")
    parser.add_argument("--burst", type=int, help="how many of each signal, as fast as it can")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--pad", type=int, default=0, help="bytes of ballast on each item")
    parser.add_argument("--bad", type=int, default=-1, help="the number of the item with the mark")
    parser.add_argument("--bad-pad", type=int, default=0, help="bytes of ballast on that one")
    parser.add_argument("--warm", action="store_true", help="send a little before the work")
    parser.add_argument("--handler", action="store_true", help="an own SIGTERM handler: sys.exit(0)")
    parser.add_argument("--hold", action="store_true", help="after the work, wait for SIGUSR1")
    parser.add_argument("--file-limit", type=int, help="RLIMIT_FSIZE in bytes")
    parser.add_argument("--end", choices=["return", "exit", "shutdown", "os_exit", "wait"], default="return")
    return parser.parse_args()


class Work:
    """The making of items, in one thread or more; thread k of t makes the numbers k, k + t, ..."""

    def __init__(self, given: argparse.Namespace, tally: Tally) -> None:
        self._given, self._tally = given, tally
        self.kit: Kit
        self._signals = set(given.signals.split(","))
        self._attributes = {"pad": "x" * given.pad} if given.pad else {}
        self._over = threading.Event()
        self._making = self._leaving = False

    def leave(self, *_: object) -> None:
        """A handler that ends the application: between two items, so that the tally stays exact."""
        if self._making:
            self._leaving = True
        else:
            sys.exit(0)

    def warm_up(self) -> None:
        """Load what is loaded late; these items have no run and do not count."""
        self.kit.span(-1, {"run": ""})
        self.kit.flush()

    def do(self, go: Go) -> float:
        """All of it; returns how long it took, in seconds."""
        began = time.perf_counter()
        threads = [
            threading.Thread(target=self._thread, args=(number,)) for number in range(1, self._given.threads)
        ]
        for thread in threads:
            thread.start()
        self._thread(0, go)
        self._over.set()
        for thread in threads:
            thread.join()
        return time.perf_counter() - began

    def _thread(self, thread: int, go: Go | None = None) -> None:
        given, maker = self._given, self._maker(thread)
        if given.burst is not None:
            for n in range(thread, given.burst, given.threads):
                maker(n)
            return
        began, n = time.monotonic(), thread
        while not self._over.is_set():
            passed = time.monotonic() - began
            due = int(passed * given.rate)
            due = due if given.count is None else min(due, given.count)
            while n < due:
                maker(n)
                n += given.threads
            if given.count is not None and n >= given.count:
                return
            if given.seconds is not None and passed >= given.seconds:
                return
            if go is None:
                self._over.wait(_STEP_S)
            elif go.wait(_STEP_S):
                return

    def _maker(self, thread: int) -> Callable[[int], None]:
        kit, signals, tally, plain = self.kit, self._signals, self._tally, self._attributes
        main = not thread
        bad = {**plain, "bad": True, "ballast": "x" * self._given.bad_pad}
        made = [0, 0]

        def make(n: int) -> None:
            self._making = self._making or main
            attributes = plain if n != self._given.bad else bad
            if "traces" in signals:
                kit.span(n, attributes)
                made[0] += 1
            if "metrics" in signals:
                kit.add()
            if "logs" in signals:
                kit.log(n, attributes)
                made[1] += 1
            tally.made(thread, *made)
            if main:
                self._making = False
                if self._leaving:
                    sys.exit(0)

        return make


def main() -> None:
    """One life of the application."""
    given = arguments()
    quiet_stdout()
    go, tally = Go(), Tally(given.tally)
    facts: dict[str, object] = {}
    work = Work(given, tally)
    if given.handler:
        signal.signal(signal.SIGTERM, work.leave)
    if given.file_limit is not None:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (given.file_limit, given.file_limit))
    runtime: list[object] = [None]
    report_at_exit(
        lambda: {
            **facts,
            "run": given.run,
            "made": tally.sums(),
            "stats": count(runtime[0]),
            "peak_mb": memory_mb()["peak"],
        }
    )
    kit = work.kit = Kit(given.kit, given.run)
    runtime[0] = kit.runtime
    if given.warm:
        work.warm_up()
    facts["idle_mb"] = memory_mb()["now"]
    say("ready")
    if given.count != 0:
        facts["work_s"] = work.do(go)
    say("made " + json.dumps(tally.sums()))
    if given.hold:
        go.wait()
    if given.end == "wait":
        wait_for_ever()
    say(f"end {time.monotonic()!r}")
    if given.end == "os_exit":
        os._exit(0)
    if given.end == "shutdown":
        kit.runtime.shutdown()
    if given.end == "exit":
        sys.exit(0)


if __name__ == "__main__":
    main()
