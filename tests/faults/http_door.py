"""OTLP over HTTP at the collector under test, well-behaved or not."""

from __future__ import annotations

import contextlib
import gzip
import socket
import socketserver
import struct
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import parcels

if TYPE_CHECKING:
    from behaviours import Answer
    from collector_main import Hub

__all__ = ["HttpDoor", "Server", "keep_port", "reset"]

_PATHS = {"/v1/traces": "traces", "/v1/logs": "logs", "/v1/metrics": "metrics"}
_DRIP_S = 1.0
_LINGER_AND_RESET = struct.pack("ii", 1, 0)


def keep_port() -> socket.socket:
    """A socket that keeps a free port without listening: it refuses until somebody listens."""
    keeper = socket.socket()
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    keeper.bind(("127.0.0.1", 0))
    return keeper


def reset(connection: socket.socket) -> None:
    """Let the connection end by a reset when it is closed."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_AND_RESET)


class Server(ThreadingHTTPServer):
    """A thread per connection on a kept port; closing drops every connection."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 128

    def __init__(self, port: int, handler: type[socketserver.StreamRequestHandler], hub: Hub) -> None:
        self.hub = hub
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        super().__init__(("127.0.0.1", port), handler)
        self._loop = threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True)
        self._loop.start()

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        socketserver.TCPServer.server_bind(self)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._lock:
            self._open.discard(request)
        # Without the shutdown of the base class, which says FIN: a reset shall be nothing but that.
        self.close_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A sender that goes away in the middle is what the tests are about; anything else is not."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            self.hub.ledger.problem(f"{type(error).__name__}: {error}")

    def close(self) -> None:
        """Stop listening and drop every connection."""
        self.shutdown()
        self._loop.join()
        self.socket.close()
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_POST(self) -> None:
        at_s = time.monotonic()
        hub, signal = self.server.hub, _PATHS.get(self.path, "")
        length = int(self.headers["Content-Length"])
        treated = hub.treat(signal)
        if treated.behaviour.kind == "stall":
            treated.release.wait()
            self.close_connection = True
            return
        if treated.behaviour.kind == "reset":
            self.rfile.read(length // 2)
            reset(self.connection)
            self.close_connection = True
            return
        wire = self.rfile.read(length)
        if len(wire) < length or not signal:
            self.close_connection = True
            return self._answer(404) if not signal else None
        body = gzip.decompress(wire) if self.headers.get("Content-Encoding") == "gzip" else wire
        parcel = parcels.read(signal, body)
        answer = treated.behaviour.answer(items=parcel.size, body_bytes=len(body), bad=parcel.bad)
        noted = hub.ledger.note(parcel, answer, at_s=at_s, wire_bytes=length, body_bytes=len(body))
        self._follow(answer, noted, parcel, treated.release)

    def _follow(
        self, answer: Answer, noted: dict[str, Any], parcel: parcels.Parcel, release: threading.Event
    ) -> None:
        hub = self.server.hub
        self.close_connection = answer.way != "answer" or self.close_connection
        if answer.delay_s:
            hub.closing.wait(answer.delay_s)
        if answer.way == "hang":
            release.wait()
        elif answer.way == "drip":
            for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n":
                if release.wait(_DRIP_S):
                    return
                self.wfile.write(bytes([byte]))
            hub.store(noted, parcel)
        else:
            # Stored before the answer leaves: whoever has the answer finds the items here.
            if answer.code == 200:
                hub.store(noted, parcel, rejected=answer.rejected)
            if answer.way == "answer":
                self._answer(answer.code, answer, parcels.partial_success(parcel.signal, answer.rejected))

    def _answer(self, code: int, answer: Answer | None = None, body: bytes = b"") -> None:
        self.send_response(code)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", str(len(body)))
        if answer is not None and answer.retry_after_s:
            self.send_header("Retry-After", f"{answer.retry_after_s:g}")
        if answer is not None and answer.location:
            self.send_header("Location", answer.location)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


class HttpDoor:
    """OTLP/HTTP on a port of its own, open or refusing."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._keeper = keep_port()
        self._server: Server | None = None
        self.port: int = self._keeper.getsockname()[1]

    def apply(self, kind: str) -> None:
        """Listen, or refuse and drop every connection."""
        if kind == "refuse":
            server, self._server = self._server, None
            if server is not None:
                server.close()
        elif self._server is None:
            self._server = Server(self.port, _Handler, self._hub)
