"""Waiting for one socket, with whatever the system and the application's patches have for it."""

from __future__ import annotations

import select
import socket

__all__ = ["ready"]


def ready(connected: socket.socket, timeout_s: float, *, write: bool) -> bool:
    """Wait until the socket can be written to (or read from), has failed or has ended; whether it has.

    `selectors` is left alone: its default holds a descriptor of its own while it waits, which the
    application might close and open anew as something else.
    """
    if hasattr(select, "poll"):
        poll = select.poll()
        poll.register(connected, select.POLLOUT if write else select.POLLIN)
        return bool(poll.poll(1000 * timeout_s))
    # Windows, or eventlet's select. Windows tells a failed connection by the third list.
    reads, writes = ([], [connected]) if write else ([connected], [])
    try:
        return any(select.select(reads, writes, writes, timeout_s))
    except OSError:  # somebody closed the descriptor; the next use of the socket says so
        return True
