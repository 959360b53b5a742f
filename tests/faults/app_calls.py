"""The application under test whose calls are timed: at each SIGUSR1 one round of spans.

A round reports ``calls <its number> <median of one span call in microseconds>``.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time

from apptools import Go, Kit, quiet_stdout, say


def main() -> None:
    """Rounds until a signal ends it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--run", default="run")
    parser.add_argument("--spans", type=int, default=1000, help="in one round")
    given = parser.parse_args()
    quiet_stdout()
    go = Go()
    kit = Kit("otelkit", given.run)
    now = time.perf_counter_ns
    say("ready")
    for turn in itertools.count():
        go.wait()
        times = []
        for n in range(turn * given.spans, (turn + 1) * given.spans):
            began = now()
            kit.span(n, {})
            times.append(now() - began)
        say(f"calls {turn} {statistics.median(times) / 1000!r}")


if __name__ == "__main__":
    main()
