"""The application under test that flushes: rounds of a flush beside a plain wait of the same time.

Reports ``report {"flush": [[answer, seconds], ...], "plain": [...], "ticks": ..., ...}``.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import os
import threading
import time
from collections.abc import Awaitable

from apptools import Kit, quiet_stdout, report, say

_TICK_S = 0.01
NUMBERS = itertools.count()


async def ticks_beside(work: Awaitable[object]) -> tuple[int, float]:
    """How often a task could tick while ``work`` was awaited, and the longest pause between ticks."""
    ticks, longest, over = 0, 0.0, False

    async def tick() -> None:
        nonlocal ticks, longest
        last = time.monotonic()
        while not over:
            await asyncio.sleep(_TICK_S)
            now = time.monotonic()
            ticks, longest, last = ticks + 1, max(longest, now - last), now

    ticking = asyncio.ensure_future(tick())
    await work
    over = True
    await ticking
    return ticks, longest


async def beside(kit: Kit, timeout_s: float) -> dict[str, tuple[int, float]]:
    """Ticks beside an aflush, and beside a plain sleep of the time that it took."""
    import otelkit

    make(kit, 100)
    began = time.monotonic()
    flushed = await ticks_beside(otelkit.aflush(timeout_s))
    return {"aflush": flushed, "sleep": await ticks_beside(asyncio.sleep(time.monotonic() - began))}


def make(kit: Kit, number: int) -> None:
    """Some items of each signal."""
    for n in itertools.islice(NUMBERS, number):
        kit.span(n, {})
        kit.log(n, {})
        kit.add()


def main() -> None:
    """All rounds; ends by os._exit, as only the flush counts."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--run", default="run")
    parser.add_argument("--timeout", type=float, default=0.3)
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    quiet_stdout()
    kit = Kit("otelkit", given.run)
    say("ready")
    flushes, plain = [], []
    for _ in range(given.rounds):
        make(kit, 200)
        began = time.monotonic()
        answer = kit.runtime.flush(given.timeout)
        flushes.append((answer, time.monotonic() - began))
        began = time.monotonic()
        threading.Event().wait(given.timeout)
        plain.append(time.monotonic() - began)
    ticks = asyncio.run(beside(kit, given.timeout))
    report(flush=flushes, plain=plain, **ticks)
    os._exit(0)


if __name__ == "__main__":
    main()
