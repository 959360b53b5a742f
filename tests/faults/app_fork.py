"""The application under test that forks: a parent and children, each with items of its own.

The children's runs are ``<run>-0``, ``<run>-1``, ...; the parent makes half of its items before
it forks and half after the children have ended.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys

from apptools import Kit, count, quiet_stdout, report, report_at_exit, say


def make(kit: Kit, first: int, after: int) -> None:
    """The items of the numbers from ``first`` to before ``after``."""
    for n in range(first, after):
        kit.span(n, {})
        kit.log(n, {})
        kit.add()


def child(run: str, items: int, how: str, number: int) -> None:
    """The work of one child."""
    name = f"{run}-{number}"
    kit = Kit("otelkit", name)
    make(kit, 0, items)
    if how == "shutdown":
        kit.runtime.shutdown()
        report(run=name, stats=count(kit.runtime))


def fork(run: str, items: int, how: str, number: int) -> int:
    """A child by os.fork, which ends by os._exit like any careful fork's child; its process id."""
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            child(run, items, how, number)
            code = 0
        finally:
            os._exit(code)
    return pid


def main() -> None:
    """One life of the parent."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--run", default="run")
    parser.add_argument("--how", choices=["shutdown", "os_exit", "fork", "spawn"], required=True)
    parser.add_argument("--children", type=int, default=3)
    parser.add_argument("--items", type=int, default=100)
    given = parser.parse_args()
    quiet_stdout()
    runtime: list[object] = [None]
    report_at_exit(lambda: {"run": given.run, "stats": count(runtime[0])})
    kit = Kit("otelkit", given.run)
    runtime[0] = kit.runtime
    make(kit, 0, given.items // 2)
    todo = (given.run, given.items, given.how)
    if given.how in {"fork", "spawn"}:
        context = multiprocessing.get_context(given.how)
        children = [context.Process(target=child, args=(*todo, n)) for n in range(given.children)]
        for each in children:
            each.start()
        for each in children:
            each.join()
        codes = [each.exitcode for each in children]
    else:
        pids = [fork(*todo, n) for n in range(given.children)]
        codes = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in pids]
    make(kit, given.items // 2, given.items)
    say(f"children {codes}")
    sys.exit(0 if not any(codes) else 1)


if __name__ == "__main__":
    main()
