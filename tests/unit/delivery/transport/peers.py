"""Receivers for the transports' tests: raw sockets, HTTP by script, HTTP/2 by hand, real gRPC servers."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import grpc
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import RequestReceived, StreamEnded

from otelkit.settings import OtlpTarget

PATIENCE_S = 30.0  # how long a peer goes on when nobody ends it
TRACES = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


def target(url, *, protocol="http/protobuf", **more):
    """A target of the settings; what is not given is left out."""
    values = {
        "headers": {},
        "timeout_s": 10.0,
        "compression": "none",
        "certificate": None,
        "client_key": None,
        "client_certificate": None,
        "insecure": url.startswith("http:"),
    }
    return OtlpTarget(url=url, protocol=protocol, **(values | more))


def in_thread(call):
    """Runs ``call`` in a thread; returns the function that waits for its result."""
    pool = ThreadPoolExecutor(1)
    future = pool.submit(call)
    pool.shutdown(wait=False)
    return lambda: future.result(PATIENCE_S / 2)


def eventually(condition):
    """Return as soon as ``condition()`` holds."""
    end = time.monotonic() + PATIENCE_S / 2
    tick = threading.Event()
    while not condition():
        assert time.monotonic() < end, "it did not come about"
        tick.wait(0.005)


@dataclass
class Peer:
    """A listening port; ``handler(connection, peer)`` runs in a thread for each connection."""

    handler: object
    context: object = None  # of ssl, for a server with TLS
    backlog: int = 16
    connections: list = field(default_factory=list)
    requests: list = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def __enter__(self):
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=self.backlog)
        self.port = self._listener.getsockname()[1]
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()
        return self

    @property
    def url(self):
        return f"http{'s' if self.context else ''}://localhost:{self.port}/v1/traces"

    def _accept(self):
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            if self.over.is_set():
                connection.close()
                return
            self.connections.append(connection)
            thread = threading.Thread(target=self._run, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _run(self, connection):
        with contextlib.suppress(OSError):
            if self.context is not None:
                connection = self.context.wrap_socket(connection, server_side=True)
                self.connections.append(connection)
            self.handler(connection, self)
        connection.close()

    def __exit__(self, *_):
        self.over.set()
        with contextlib.suppress(OSError):
            with socket.socket() as last:
                last.connect(("127.0.0.1", self.port))
        for connection in list(self.connections):
            with contextlib.suppress(OSError):
                socket.socket.shutdown(connection, socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join()
        self._listener.close()
        for connection in self.connections:
            connection.close()


def drip(connection, peer, data):
    """Send ``data`` byte by byte, for at most `PATIENCE_S`."""
    for byte in data:
        if peer.over.wait(0.05):
            return
        connection.sendall(bytes([byte]))


@dataclass(frozen=True)
class Request:
    line: str
    headers: dict
    body: bytes


def read_request(connection):
    """One HTTP/1.1 request, or None at the end of the stream."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        byte = connection.recv(1)
        if not byte:
            return None
        head += byte
    line, *lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value for name, _, value in (entry.partition(": ") for entry in lines if entry)}
    body = b""
    while len(body) < int(headers.get("content-length", 0)):
        body += connection.recv(65_536)
    return Request(line, headers, body)


def response(status=200, body=b"", *, kind="application/x-protobuf", **headers):
    """The bytes of an HTTP/1.1 response."""
    lines = [f"HTTP/1.1 {status} Text", f"Content-Type: {kind}", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def http_peer(*answers, context=None):
    """A server that gives ``answers`` in turn, the last one for ever, and keeps connections open.

    An answer None closes the connection instead.
    """

    def handler(connection, peer):
        while (request := read_request(connection)) is not None:
            peer.requests.append(request)
            answer = answers[min(len(peer.requests), len(answers)) - 1]
            if answer is None:
                return
            connection.sendall(answer)

    return Peer(handler, context)


class Http2:
    """The server's side of an HTTP/2 connection, for a handler of `Peer`."""

    def __init__(self, connection, peer):
        self.socket, self.peer = connection, peer
        self.h2 = H2Connection(H2Configuration(client_side=False, header_encoding="utf-8"))
        self.h2.initiate_connection()
        self.flush()

    def flush(self):
        self.socket.sendall(self.h2.data_to_send())

    def receive(self):
        """The next events; ends the handler at the end of the stream."""
        data = self.socket.recv(65_536)
        if not data:
            raise ConnectionError
        found = self.h2.receive_data(data)
        for event in found:
            if hasattr(event, "flow_controlled_length"):
                self.h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        self.flush()
        return found

    def request(self):
        """Read one request to its end; returns its stream."""
        while True:
            for event in self.receive():
                if isinstance(event, RequestReceived):
                    self.peer.requests.append(dict(event.headers))
                if isinstance(event, StreamEnded):
                    return event.stream_id

    def answer(self, stream, *, status="200", body=b"\0\0\0\0\0", **trailers):
        self.h2.send_headers(stream, [(":status", status), ("content-type", "application/grpc")])
        self.h2.send_data(stream, body)
        fields = {"grpc_status": "0"} | trailers
        self.h2.send_headers(
            stream, [(name.replace("_", "-"), value) for name, value in fields.items()], end_stream=True
        )
        self.flush()

    def goaway(self, last_stream, error=0, text=b""):
        """By hand: h2's own server forgets its requests when it says goodbye."""
        content = last_stream.to_bytes(4, "big") + error.to_bytes(4, "big") + text
        self.flush()
        self.socket.sendall(len(content).to_bytes(3, "big") + b"\x07\x00" + bytes(4) + content)


@contextlib.contextmanager
def grpc_peer(export, *, options=(), compression=None, credentials=None):
    """A server of grpcio with ``export(body, context)`` for every method; yields its port."""

    class Anything(grpc.GenericRpcHandler):
        def service(self, details):
            return grpc.unary_unary_rpc_method_handler(lambda body, context: export(body, context, details))

    pool = ThreadPoolExecutor(4)
    server = grpc.server(pool, [Anything()], options=list(options), compression=compression)
    if credentials is None:
        port = server.add_insecure_port("127.0.0.1:0")
    else:
        port = server.add_secure_port("127.0.0.1:0", credentials)
    server.start()
    try:
        yield port
    finally:
        server.stop(None).wait()
        pool.shutdown(wait=True)
