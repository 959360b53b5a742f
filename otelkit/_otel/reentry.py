"""Measurements that come while their own thread is inside the SDK's metrics: they are made a little later.

The SDK holds plain locks while it adds and while it collects. The garbage collector may end a generator
or a connection right there, and Python may run a signal handler; if that measures into the same
instrument, the thread would wait for itself for ever.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import get_ident
from typing import Any

__all__ = ["BUSY", "POSTPONED", "make_up", "marked", "postpone"]

BUSY: set[int] = set()
"""The threads that are inside. A set, as each step on it is one for the interpreter."""

POSTPONED: deque[Callable[[], Any]] = deque()
"""The measurements that were put off."""

_making_up: set[int] = set()


def postpone(measure: Callable[[], Any]) -> None:
    """Measure later: as soon as a thread has come out."""
    POSTPONED.append(measure)


def make_up() -> None:
    """Make the measurements that were put off; by whoever has come out."""
    thread = get_ident()
    if thread in _making_up:  # each of them comes out too
        return
    try:
        _making_up.add(thread)
        while POSTPONED:
            POSTPONED.popleft()()
    except IndexError:  # another thread has taken the last one
        pass
    finally:
        _making_up.discard(thread)


@contextmanager
def marked() -> Iterator[None]:
    """The body is inside."""
    thread = get_ident()
    if thread in BUSY:
        yield
        return
    try:
        BUSY.add(thread)
        yield
    finally:
        BUSY.discard(thread)
        make_up()


def _after_fork_in_child() -> None:
    for threads in (BUSY, _making_up):  # a new thread may get the number of one that the child lacks
        threads.intersection_update({get_ident()})
    POSTPONED.clear()  # the parent makes them


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
