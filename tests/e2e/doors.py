"""The two doors of the test sink: OTLP over HTTP and over gRPC, each on a port that it keeps."""

from __future__ import annotations

import contextlib
import gzip
import socket
import socketserver
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from sink import Behaviour, Sink, Verdict

__all__ = ["GrpcDoor", "HttpDoor"]

_PATHS = {"/v1/traces": "traces", "/v1/logs": "logs", "/v1/metrics": "metrics"}
_SERVICES = {
    "opentelemetry.proto.collector.trace.v1.TraceService": "traces",
    "opentelemetry.proto.collector.logs.v1.LogsService": "logs",
    "opentelemetry.proto.collector.metrics.v1.MetricsService": "metrics",
}
_GRPC_CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "UNIMPLEMENTED",
    429: "UNAVAILABLE",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "UNAVAILABLE",
}
_EMPTY_SETTINGS_FRAME = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
_DRIP_S = 1.0


def _reserve() -> socket.socket:
    """A socket that keeps a free port without listening: the port refuses until somebody listens."""
    keeper = socket.socket()
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    keeper.bind(("127.0.0.1", 0))
    return keeper


class _Server(ThreadingHTTPServer):
    """A threading server on a kept port that knows its open connections and joins its threads."""

    allow_reuse_address = True
    daemon_threads = False
    block_on_close = True
    request_queue_size = 128

    def __init__(self, port: int, handler: type[socketserver.StreamRequestHandler], sink: Sink) -> None:
        self.sink = sink
        self._open: set[socket.socket] = set()
        self._open_lock = threading.Lock()
        super().__init__(("127.0.0.1", port), handler)
        # A short poll: closing waits for it.
        self._loop = threading.Thread(target=self.serve_forever, args=(0.02,), name="sink")
        self._loop.start()

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        socketserver.TCPServer.server_bind(self)

    def process_request(self, request: Any, client_address: Any) -> None:
        with self._open_lock:
            self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        with self._open_lock:
            self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A sender that goes away in the middle is what the tests are about; anything else is not."""
        error = sys.exc_info()[1]
        if not isinstance(error, OSError):
            self.sink.fail(f"{type(error).__name__}: {error}")

    def close(self) -> None:
        self.shutdown()
        self._loop.join()
        self.socket.close()
        with self._open_lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        self.server_close()


class _OtlpHandler(BaseHTTPRequestHandler):
    """OTLP/HTTP with keep-alive and gzip; the answer is what the sink's verdict says."""

    server: _Server
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    timeout = 30

    def do_POST(self) -> None:
        length = self.headers["Content-Length"]
        if length is None:
            raise ValueError("a request without Content-Length")
        body = self.rfile.read(int(length))
        signal = _PATHS.get(self.path)
        if signal is None:
            return self._answer(404)
        if self.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        headers = {key.lower(): value for key, value in self.headers.items()}
        verdict = self.server.sink.take(self.path, signal, headers, body)
        self._follow(verdict)

    def _follow(self, verdict: Verdict) -> None:
        if verdict.behaviour == "status":
            self._answer(verdict.code)
        elif verdict.behaviour == "drip":
            self._drip(verdict)
        elif verdict.behaviour == "ok":
            # Kept before the answer leaves: whoever has the answer finds the items here.
            self.server.sink.accept(verdict.items)
            self._answer(200)
        else:
            self.close_connection = True
            if verdict.behaviour == "hang":  # one that came while the port is being closed is dropped
                verdict.release.wait()

    def _answer(self, code: int) -> None:
        self.send_response(code)
        self.send_header("Content-Type", "application/x-protobuf")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def _drip(self, verdict: Verdict) -> None:
        self.close_connection = True
        for byte in b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n":
            if verdict.release.wait(_DRIP_S):
                return
            self.wfile.write(bytes([byte]))
        self.server.sink.accept(verdict.items)

    def log_message(self, format: str, *args: object) -> None:
        """Silent: the test's output belongs to the test."""


class _DripHandler(socketserver.StreamRequestHandler):
    """Half of an HTTP/2 handshake, one byte a second: a gRPC peer that never gets anywhere."""

    server: _Server

    def handle(self) -> None:
        release = self.server.sink.releasing
        while not release.wait(_DRIP_S):
            for byte in _EMPTY_SETTINGS_FRAME:
                self.wfile.write(bytes([byte]))
                if release.wait(_DRIP_S):
                    return


class HttpDoor:
    """OTLP/HTTP on a port of its own, open or refusing."""

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._keeper = _reserve()
        self._server: _Server | None = None
        self.port: int = self._keeper.getsockname()[1]

    def open(self) -> None:
        """Begin to answer as the sink's behaviour says."""
        self.apply(self._sink.behaviour)

    def apply(self, behaviour: Behaviour) -> None:
        """Listen, or refuse and drop every connection."""
        if behaviour == "refuse":
            self._stop()
        elif self._server is None:
            self._server = _Server(self.port, _OtlpHandler, self._sink)

    def _stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()

    def close(self) -> None:
        """Stop for good and give the port back."""
        self._stop()
        self._keeper.close()


class GrpcDoor:
    """OTLP/gRPC on a port of its own; nothing of gRPC is loaded before it is opened."""

    _workers: ClassVar[int] = 16

    def __init__(self, sink: Sink) -> None:
        self._sink = sink
        self._keeper = _reserve()
        self._stop_server: Any = None
        self._serving = ""
        self._opened = False
        self.port: int = self._keeper.getsockname()[1]

    def open(self) -> None:
        """Begin to answer as the sink's behaviour says; calling it again changes nothing."""
        if not self._opened:
            self._opened = True
            self.apply(self._sink.behaviour)

    def apply(self, behaviour: Behaviour) -> None:
        """Serve gRPC, drip raw bytes, or refuse; a door never opened stays closed."""
        if not self._opened:
            return
        wanted = behaviour if behaviour in {"refuse", "drip"} else "serve"
        if wanted == self._serving:
            return
        self._stop()
        self._serving = wanted
        if wanted == "serve":
            self._stop_server = self._serve()
        elif wanted == "drip":
            self._stop_server = _Server(self.port, _DripHandler, self._sink).close

    def _serve(self) -> Any:
        from concurrent.futures import ThreadPoolExecutor

        import grpc

        pool = ThreadPoolExecutor(self._workers, thread_name_prefix="sink-grpc")
        server = grpc.server(
            pool, options=[("grpc.so_reuseport", 1), ("grpc.max_receive_message_length", -1)]
        )
        for service, signal in _SERVICES.items():
            method = grpc.unary_unary_rpc_method_handler(self._export(f"/{service}/Export", signal))
            server.add_generic_rpc_handlers(
                (grpc.method_handlers_generic_handler(service, {"Export": method}),)
            )
        server.add_insecure_port(f"127.0.0.1:{self.port}")
        server.start()

        def stop() -> None:
            server.stop(None).wait()
            pool.shutdown(wait=True)

        return stop

    def _export(self, path: str, signal: str) -> Any:
        import grpc

        def export(body: bytes, context: Any) -> bytes:
            headers = {str(key): str(value) for key, value in context.invocation_metadata()}
            verdict = self._sink.take(path, signal, headers, body)
            if verdict.behaviour == "ok":
                self._sink.accept(verdict.items)
                return b""
            if verdict.behaviour == "status":
                name = _GRPC_CODES.get(verdict.code, "UNKNOWN")
                context.abort(getattr(grpc.StatusCode, name), f"the sink answers {verdict.code}")
            if verdict.behaviour == "hang":
                verdict.release.wait()
            context.abort(grpc.StatusCode.CANCELLED, "the sink lets go")
            return b""  # not reached: abort raises

        return export

    def _stop(self) -> None:
        stop, self._stop_server, self._serving = self._stop_server, None, ""
        if stop is not None:
            stop()

    def close(self) -> None:
        """Stop for good and give the port back."""
        self._stop()
        self._opened = False
        self._keeper.close()
