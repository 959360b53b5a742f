"""What ends every wait of a send: its deadline, or an interruption from another thread."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from otelkit._clock import SYSTEM_CLOCK
from otelkit.delivery.transport._failures import Interrupted, Late

if TYPE_CHECKING:
    from otelkit.delivery.transport._owned import OwnedSocket

__all__ = ["Limit"]


class Limit:
    """The deadline of the send under way, and the switch that ends it early.

    One per transport. `begin`, `left`, `watch` and `release` are called by the sending thread,
    `interrupt` by any.

    Attributes:
        awaiting: What the send waits for at the moment, for the message of a missed deadline.
    """

    def __init__(self) -> None:
        self.awaiting = "answer"
        self._timeout_s = 0.0
        self._end = 0.0
        self._interrupted = False
        self._socket: OwnedSocket | None = None
        self._pid = 0
        # It keeps `interrupt` from touching a file descriptor that was closed a moment ago and is
        # now somebody else's. Held for a few system calls that do not wait. Re-entrant, because a
        # signal handler may interrupt the thread that holds it.
        self._lock = threading.RLock()

    def begin(self, timeout_s: float) -> None:
        """Start the time of one send."""
        self._timeout_s = timeout_s
        self._end = SYSTEM_CLOCK.monotonic() + timeout_s

    def left(self) -> float:
        """Seconds until the deadline, more than 0.

        Raises:
            Interrupted: `interrupt` was called, now or ever before.
            Late: There is no time left.
        """
        if self._interrupted:
            raise Interrupted
        left = self._end - SYSTEM_CLOCK.monotonic()
        if left <= 0:
            raise Late(f"no {self.awaiting} within {self._timeout_s:g} s")
        return left

    def interrupt(self) -> None:
        """End the wait under way and every later one; never blocks."""
        self._interrupted = True
        with self._lock:
            # A forked child shares the connection with its parent, whose it is.
            if self._socket is not None and self._pid == os.getpid():
                self._socket.shutdown()

    def watch(self, connected: OwnedSocket) -> None:
        """Let `interrupt` end the waits on this socket too."""
        with self._lock:
            self._socket, self._pid = connected, os.getpid()

    def release(self, connected: OwnedSocket) -> None:
        """Close the socket, out of reach of `interrupt`."""
        with self._lock:
            if self._socket is connected:
                self._socket = None
            connected.close()
