"""The page on a port of its own, for programs that serve no HTTP themselves."""

from __future__ import annotations

import os
import socket
import threading
import weakref
from contextlib import suppress

__all__ = ["Server", "serve"]

_servers: weakref.WeakSet[Server] = weakref.WeakSet()


def serve(host: str = "127.0.0.1", port: int = 0) -> Server:
    """Serve the page of this process at ``/metrics`` (and ``/``) from a daemon thread.

    Args:
        host: The address to listen on, IPv4 or IPv6.
        port: 0 to 65535; 0 takes a free one, see `Server.port`.

    Raises:
        OSError: The port is in use, or the address is not one of this machine's.
        OverflowError: There is no such port.
    """
    return Server(host, port)


class Server:
    """A running server; see `serve`.

    Attributes:
        host: The address it listens on.
        port: The port it listens on.
    """

    def __init__(self, host: str, port: int) -> None:
        from otelkit.prometheus._http import http_server  # http.server costs 10 ms to import

        self._http = http_server(host, port)
        address = self._http.server_address
        self.host: str = str(address[0])
        self.port: int = int(address[1])
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="otelkit-prometheus", daemon=True)
        try:
            self._thread.start()
        except RuntimeError:
            self._http.server_close()
            raise
        _servers.add(self)

    def _run(self) -> None:
        while not self._closing.is_set():
            self._http.handle_request()

    def close(self) -> None:
        """Stop listening and wait for the thread, at most a second. Idempotent."""
        if self._closing.is_set():
            return
        self._closing.set()
        with suppress(OSError):  # a call that wakes the thread, which else wakes a moment later
            socket.create_connection((self.host, self.port), timeout=0.1).close()
        self._thread.join(timeout=1.0)
        self._http.server_close()


def _after_fork_in_child() -> None:
    # The child has the socket but not the thread: it would keep the port busy and answer nobody.
    for server in list(_servers):
        server._closing.set()
        server._http.socket.close()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
