"""Whether a fork may have come while something was half done, as the child sees it then.

A fork needs the interpreter, so it comes on another thread, while this one waits in the system.
"""

from __future__ import annotations

import os
import threading

__all__ = ["none_since", "now"]

_under_way: set[int] = set()  # the threads that fork: a fork can be told by `_latest` only after it began
_latest = object()


def now() -> object:
    """A mark for `none_since`; good for nothing while there is a fork under way."""
    latest = _latest  # before the question, so that a fork that begins between the two is noticed
    return object() if _under_way else latest


def none_since(mark: object) -> bool:
    """Whether no child was forked since `now` gave ``mark``.

    Forks that the interpreter does not know of, those of a C library or of uWSGI, are not noticed.
    """
    return mark is _latest


def _before() -> None:
    global _latest
    _under_way.add(threading.get_ident())
    _latest = object()


def _after_in_parent() -> None:
    _under_way.discard(threading.get_ident())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(
        before=_before,
        after_in_parent=_after_in_parent,
        after_in_child=_under_way.clear,  # the other threads are the parent's
    )
