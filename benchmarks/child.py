"""One side of one group in a process of its own: answers requests on stdin with times on stdout.

Run as ``python -m benchmarks.child SIDE GROUP``. A request is a JSON line ``[row, calls]``; the answer
is a JSON line with the seconds of the calling thread's CPU time, of all threads' CPU time (until
the background thread has nothing left to do), and of the wall clock.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import sys
import time

__all__ = ["main"]


def main(side: str, group: str) -> None:
    """Serve until stdin ends."""
    answers = os.fdopen(os.dup(1), "w")
    sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123 - for the life of the process
    opened = importlib.import_module(f"benchmarks.{side}_side").open_side(group)
    answers.write("ready\n")
    answers.flush()
    for request in sys.stdin:
        row, calls = json.loads(request)
        answers.write(json.dumps(_measure(opened.tasks[row], calls, opened.flush)) + "\n")
        answers.flush()
    opened.flush()
    if opened.arrived is not None and not opened.arrived():
        raise SystemExit(f"benchmarks: nothing of {side}'s {group} arrived at the exporter")
    os._exit(0)


def _measure(task, calls, flush):
    flush()
    gc.collect()
    everything = time.process_time()
    thread, wall = time.thread_time(), time.perf_counter()
    task(calls)
    wall, thread = time.perf_counter() - wall, time.thread_time() - thread
    flush()
    return {"thread": thread, "process": time.process_time() - everything, "wall": wall}


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
