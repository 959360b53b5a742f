"""OTLP over gRPC: against servers of grpcio, and against an HTTP/2 peer that does as it is told."""

from __future__ import annotations

import base64
import os
import select
import threading

import grpc
import pytest
from google.protobuf.any_pb2 import Any
from google.protobuf.duration_pb2 import Duration
from google.rpc.error_details_pb2 import RetryInfo
from google.rpc.status_pb2 import Status
from h2.config import H2Configuration
from h2.connection import H2Connection
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from peers import PATIENCE_S, TRACES, Http2, Peer, eventually, grpc_peer, http_peer, response

from otelkit.delivery.transport import Answer
from otelkit.delivery.transport._failures import Unanswered
from otelkit.delivery.transport._goaway import GoAwayFilter
from otelkit.delivery.transport._h2 import Session

CODES = {code.name: code for code in grpc.StatusCode}


def nothing(body, context, details):
    return b""


def abort(code, message="", delay=None):
    """A method that ends with a status, perhaps with the time to wait among its details."""

    def export(body, context, details):
        if delay is not None:
            detail = Any()
            detail.Pack(RetryInfo(retry_delay=delay))
            status = Status(code=code.value[0], message=message, details=[detail])
            context.set_trailing_metadata([("grpc-status-details-bin", status.SerializeToString())])
        context.abort(code, message)

    return export


def answer_of(call, export, **more):
    with grpc_peer(export) as port:
        return call(port, **more).send(b"body", timeout_s=10)


@pytest.mark.parametrize(
    ("signal", "service"),
    [("traces", "trace.v1.Trace"), ("logs", "logs.v1.Logs"), ("metrics", "metrics.v1.Metrics")],
)
def test_method(call, signal, service):
    """Each signal has its method; the body arrives as it was given, with the deadline."""
    seen = []

    def export(body, context, details):
        seen.append((details.method, body, context.time_remaining() < 60))
        return b""

    with grpc_peer(export) as port:
        assert Answer(kind="ok") == call(port, signal=signal).send(b"\x0a\x00", timeout_s=30)
    assert [(f"/opentelemetry.proto.collector.{service}Service/Export", b"\x0a\x00", True)] == seen


def test_metadata(call):
    """The target's headers are metadata; a key that ends in -bin carries bytes; ours stay ours."""
    seen = {}

    def export(body, context, details):
        seen.update(context.invocation_metadata())
        return b""

    sent = {"Api-Key": "s3cret", "trace-bin": "raw!", "content-type": "x", "te": "x", "grpc-timeout": "1n"}
    assert "ok" == answer_of(call, export, headers=sent).kind
    assert ("s3cret", b"raw!") == (seen["api-key"], seen["trace-bin"])
    assert seen["user-agent"].startswith("otelkit/")


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, f"Basic {base64.b64encode(b'me:p@ss').decode()}"),
        ({"Authorization": "Bearer mine"}, "Bearer mine"),
    ],
)
def test_user_of_the_address(link, headers, expected):
    """A user in the address becomes basic authentication, as over HTTP, unless a header says otherwise."""
    seen = []

    def export(body, context, details):
        seen.extend(value for key, value in context.invocation_metadata() if key == "authorization")
        return b""

    with grpc_peer(export) as port:
        transport = link(f"http://me:p%40ss@localhost:{port}", protocol="grpc", headers=headers)
        assert "ok" == transport.send(b"body", timeout_s=10).kind
    assert [expected] == seen


def test_repeated_user_of_the_address(link):
    """A server that repeats the credentials made of it does not bring them into a message."""
    basic = base64.b64encode(b"user01:passw0rd").decode()
    with grpc_peer(abort(grpc.StatusCode.UNAUTHENTICATED, f"no {basic}, passw0rd")) as port:
        transport = link(f"http://user01:passw0rd@localhost:{port}", protocol="grpc")
        assert "UNAUTHENTICATED: no ***, ***" == transport.send(b"body", timeout_s=10).message


@pytest.mark.parametrize("compression", ["gzip", "none"])
@pytest.mark.parametrize("size", [0, 1, 70_000, 3_000_000])
def test_sizes(call, size, compression):
    """Bodies larger than a frame and a window arrive whole, compressed or not, on one connection."""
    body, seen = os.urandom(size), []

    def export(body, context, details):
        seen.append((body, context.peer()))
        return b""

    with grpc_peer(export) as port:
        transport = call(port, compression=compression)
        assert ["ok"] * 3 == [transport.send(body, timeout_s=20).kind for _ in range(3)]
    assert [body] * 3 == [received for received, _ in seen]
    assert 1 == len({peer for _, peer in seen})


def test_gzip_is_said(call):
    """The header names the encoding and the prefix marks the message."""
    seen = []

    def handler(connection, peer):
        http2 = Http2(connection, peer)
        stream, data = None, b""
        while stream is None:
            for event in http2.receive():
                data += getattr(event, "data", b"")
                if type(event).__name__ == "StreamEnded":
                    stream = event.stream_id
        seen.append(data)
        http2.answer(stream)
        http2.receive()

    with Peer(handler) as peer:
        assert "ok" == call(peer.port, compression="gzip").send(b"x" * 5_000, timeout_s=10).kind
    (data,) = seen
    assert (1, len(data) - 5) == (data[0], int.from_bytes(data[1:5], "big"))
    assert len(data) < 500
    assert data[5:7] == b"\x1f\x8b"


@pytest.mark.parametrize("compression", [None, grpc.Compression.Gzip])
def test_partial_success(call, compression):
    """A success that rejects some items tells how many and why, compressed or not."""
    partial = {"rejected_data_points": 3, "error_message": "too old " * 40}
    whole = ExportMetricsServiceResponse(partial_success=partial).SerializeToString()
    with grpc_peer(lambda *_: whole, compression=compression) as port:
        answer = call(port, signal="metrics").send(b"body", timeout_s=10)
    assert ("ok", 3) == (answer.kind, answer.rejected)
    assert answer.message.startswith("too old too old ")


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (name, "retry")
        for name in ("CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS")
    ]
    + [("INVALID_ARGUMENT", "bad")]
    + [
        (name, "refused")
        for name in ("UNKNOWN", "NOT_FOUND", "ALREADY_EXISTS", "PERMISSION_DENIED", "RESOURCE_EXHAUSTED")
        + ("FAILED_PRECONDITION", "UNIMPLEMENTED", "INTERNAL", "UNAUTHENTICATED")
    ],
)
def test_status(call, code, kind):
    """Each status becomes what the specification says, with its message decoded."""
    answer = answer_of(call, abort(CODES[code], "nö 100%\nway"))
    assert Answer(kind=kind, message=f"{code}: nö 100% way", answered=kind == "retry") == answer


def test_large_number_of_a_status(call):
    """A status nobody knows is final."""
    assert "refused" == raw_answer(call, lambda http2, stream: http2.answer(stream, grpc_status="99")).kind


@pytest.mark.parametrize("code", ["RESOURCE_EXHAUSTED", "UNAVAILABLE"])
def test_retry_info(call, code):
    """RetryInfo says how long to wait, and makes RESOURCE_EXHAUSTED retryable."""
    answer = answer_of(call, abort(CODES[code], "later", Duration(seconds=2, nanos=500_000_000)))
    assert Answer(kind="retry", message=f"{code}: later", answered=True, retry_after_s=2.5) == answer


@pytest.mark.parametrize("details", ["!!!", base64.b64encode(b"\xff\xff").decode()])
def test_unreadable_details(call, details):
    """Details that nobody can read count as none."""

    def act(http2, stream):
        http2.answer(stream, grpc_status="8", grpc_status_details_bin=details)

    assert "refused" == raw_answer(call, act).kind


def test_message_too_large(call):
    """A server's limit on the size of a message asks for smaller ones."""
    with grpc_peer(nothing, options=[("grpc.max_receive_message_length", 1_000)]) as port:
        answer = call(port).send(b"x" * 100_000, timeout_s=10)
    assert "split" == answer.kind
    assert "larger than max" in answer.message


def test_repeated_secret(call):
    """A server that repeats our credentials does not bring them into a message."""
    answer = answer_of(
        call,
        abort(grpc.StatusCode.UNAUTHENTICATED, "no Bearer t0ken-abc"),
        headers={"authorization": "Bearer t0ken-abc"},
    )
    assert "UNAUTHENTICATED: no ***" == answer.message


def test_server_that_takes_too_long(call):
    """The deadline ends the call here, and the server knows it as well."""
    gone = threading.Event()

    def export(body, context, details):
        context.add_callback(gone.set)
        gone.wait(PATIENCE_S)
        return b""

    assert "no answer within 0.5 s" == answer_within(call, export, 0.5).message
    assert gone.is_set()


def answer_within(call, export, timeout_s):
    with grpc_peer(export) as port:
        return call(port).send(b"body", timeout_s=timeout_s)


def test_connection_age(call):
    """A server that ends its connections all the time loses no request by it."""
    seen = []

    def export(body, context, details):
        seen.append(context.peer())
        threading.Event().wait(0.03)
        return b""

    options = [("grpc.max_connection_age_ms", 50), ("grpc.max_connection_age_grace_ms", 30_000)]
    with grpc_peer(export, options=options) as port:
        transport = call(port)
        assert {"ok"} == {transport.send(b"body", timeout_s=10).kind for _ in range(20)}
    assert 20 == len(seen)
    assert len(set(seen)) > 1


def test_restarted_server(call):
    """A kept connection whose server is gone is replaced at the next send."""
    with grpc_peer(nothing) as port:
        transport = call(port)
        assert "ok" == transport.send(b"", timeout_s=10).kind
    assert "retry" == transport.send(b"", timeout_s=10).kind
    with grpc_peer(nothing) as port:
        transport = call(port)
        assert "ok" == transport.send(b"", timeout_s=10).kind


# What a server of grpcio does not do when asked to.


def raw_answer(call, act, *, times=1, **more):
    """The last answer of an HTTP/2 peer that does ``act(http2, stream)`` with each request."""

    def handler(connection, peer):
        http2 = Http2(connection, peer)
        while True:
            act(http2, http2.request())

    with Peer(handler) as peer:
        transport = call(peer.port, **more)
        answers = [transport.send(b"body", timeout_s=10) for _ in range(times)]
        raw_answer.connections, raw_answer.requests = len(peer.connections), peer.requests
    return answers[-1]


def test_definition_of_a_call(call):
    """A call has the headers of the gRPC protocol, whatever the target's are."""
    headers = {"grpc-timeout": "1n", "te": "x", "content-type": "x", "host": "x"}
    raw_answer(call, lambda http2, stream: http2.answer(stream), headers=headers)
    (fields,) = raw_answer.requests
    assert ("POST", "http", TRACES) == (fields[":method"], fields[":scheme"], fields[":path"])
    assert ("trailers", "application/grpc") == (fields["te"], fields["content-type"])
    assert fields[":authority"].startswith("localhost:")
    assert fields["grpc-timeout"].endswith("m")
    assert not {"grpc-encoding", "host"} & set(fields)


def test_binary_metadata(call):
    """Bytes go as base64 without padding, as the gRPC protocol asks senders to do."""
    raw_answer(call, lambda http2, stream: http2.answer(stream), headers={"trace-bin": "abcd"})
    assert "YWJjZA" == raw_answer.requests[0]["trace-bin"]


def test_goodbye_during_a_request(call):
    """A request that a GOAWAY covers is answered still; the next one takes a new connection."""

    def act(http2, stream):
        http2.goaway(2**31 - 1)
        http2.h2.ping(b"goodbye!")
        http2.flush()
        while not any(type(event).__name__ == "PingAckReceived" for event in http2.receive()):
            pass
        http2.goaway(stream)
        http2.answer(stream)

    assert "ok" == raw_answer(call, act, times=2).kind
    assert (2, 2) == (raw_answer.connections, len(raw_answer.requests))


def test_goodbye_between_requests(call):
    """A connection that the peer has ended is not tried again."""

    def handler(connection, peer):
        http2 = Http2(connection, peer)
        http2.answer(http2.request())
        goon.wait(PATIENCE_S)
        http2.goaway(1)
        http2.answer(http2.request())

    goon = threading.Event()
    with Peer(handler) as peer:
        transport = call(peer.port)
        assert "ok" == transport.send(b"body", timeout_s=10).kind
        eventually(lambda: transport._connection.reusable())  # its settings are read
        goon.set()
        kept = transport._connection._session._stream._socket.get()
        eventually(lambda: select.select([kept], [], [], 0)[0])
        assert "ok" == transport.send(b"body", timeout_s=10).kind
    assert 2 == len(peer.requests)


@pytest.mark.parametrize("often", [1, 2])
def test_goodbye_before_a_request(call, often):
    """A request that the peer says it did not process is sent once more on a new connection."""

    def act(http2, stream):
        if len(http2.peer.requests) <= often:
            http2.goaway(0, 0, b"max_age")
        else:
            http2.answer(stream)

    answer = raw_answer(call, act)
    assert ("ok" if often == 1 else "retry") == answer.kind
    assert 2 == raw_answer.connections
    assert often == 1 or "max_age" in answer.message


def test_silent_end_of_a_kept_connection(call):
    """A request that meets the end of a kept connection is sent once more; a fresh one is not."""

    def act(http2, stream):
        if len(http2.peer.requests) == 2:
            raise ConnectionError
        http2.answer(stream)

    assert "ok" == raw_answer(call, act, times=2).kind
    assert (2, 3) == (raw_answer.connections, len(raw_answer.requests))


def test_end_of_a_fresh_connection(call):
    """On a fresh connection a request is tried once."""

    def act(http2, stream):
        raise ConnectionError

    assert "retry" == raw_answer(call, act).kind
    assert 1 == len(raw_answer.requests)


def test_small_windows(call):
    """Windows that open bit by bit only take longer."""
    received = []

    def handler(connection, peer):
        http2 = Http2(connection, peer)
        while data := connection.recv(65_536):
            for event in http2.h2.receive_data(data):
                if type(event).__name__ == "DataReceived":
                    received.append(event.data)
                    http2.h2.increment_flow_control_window(997)
                    http2.h2.increment_flow_control_window(997, event.stream_id)
                if type(event).__name__ == "StreamEnded":
                    http2.answer(event.stream_id)
            http2.flush()

    body = os.urandom(150_000)
    with Peer(handler) as peer:
        assert "ok" == call(peer.port).send(body, timeout_s=20).kind
    assert body == b"".join(received)[5:]
    assert min(len(data) for data in received[1:]) < 1_000


def test_window_that_stays_shut(call):
    """A peer that opens no window holds a send no longer than its deadline."""

    def handler(connection, peer):
        http2 = Http2(connection, peer)
        while data := connection.recv(65_536):
            http2.h2.receive_data(data)

    with Peer(handler) as peer:
        assert "no answer within 0.3 s" == call(peer.port).send(b"x" * 200_000, timeout_s=0.3).message


def test_early_answer(call):
    """An answer that comes before the body was read counts, also when the connection is then closed."""

    def handler(connection, peer):
        http2 = Http2(connection, peer)
        http2.h2.increment_flow_control_window(2**30)
        while not any(type(event).__name__ == "RequestReceived" for event in http2.receive()):
            pass
        http2.h2.increment_flow_control_window(2**30, 1)
        http2.flush()
        for _ in range(20):
            connection.recv(65_536)
        http2.h2.send_headers(1, [(":status", "200"), ("grpc-status", "3")], end_stream=True)
        http2.flush()

    with Peer(handler) as peer:
        answer = call(peer.port).send(b"x" * 50_000_000, timeout_s=10)
    assert Answer(kind="bad", message="INVALID_ARGUMENT") == answer


@pytest.mark.parametrize(
    ("code", "kind"), [(0x7, "retry"), (0x8, "retry"), (0xB, "retry"), (0x2, "refused"), (0x0, "refused")]
)
def test_reset(call, code, kind):
    """A broken off request is sent again only where the code says that it can help."""

    def act(http2, stream):
        http2.h2.reset_stream(stream, code)
        http2.flush()

    assert kind == raw_answer(call, act).kind


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("429", "retry"),
        ("503", "retry"),
        ("413", "split"),
        ("401", "refused"),
        ("404", "refused"),
        ("500", "refused"),
    ],
)
def test_answer_of_a_proxy(call, status, kind):
    """A response without a gRPC status counts by its HTTP status."""

    def act(http2, stream):
        fields = [(":status", status), ("content-type", "text/html"), ("retry-after", "9")]
        http2.h2.send_headers(stream, fields, end_stream=True)
        http2.flush()

    answer = raw_answer(call, act)
    assert (kind, 9.0 if kind == "retry" else None) == (answer.kind, answer.retry_after_s)
    assert answer.message.startswith(f"HTTP {status}")


def test_answer_in_one(call):
    """A response that is only trailers counts, also while the body is on its way."""

    def handler(connection, peer):
        http2 = Http2(connection, peer)
        while not any(type(event).__name__ == "RequestReceived" for event in http2.receive()):
            pass
        http2.h2.send_headers(1, [(":status", "200"), ("grpc-status", "3")], end_stream=True)
        http2.flush()
        while True:
            http2.receive()

    with Peer(handler) as peer:
        transport = call(peer.port)
        assert ["bad"] * 2 == [transport.send(b"x" * 1_000_000, timeout_s=10).kind for _ in range(2)]
    assert 2 == len(peer.connections)  # one with half a request in it is of no use


def test_unfinished_answer(call):
    """An answer that ends without a status says nothing, and the request is to be sent again."""

    def act(http2, stream):
        http2.h2.send_headers(
            stream, [(":status", "200"), ("content-type", "application/grpc")], end_stream=True
        )
        http2.flush()

    assert "retry" == raw_answer(call, act).kind


@pytest.mark.parametrize("body", [b"", b"\0", b"\1\0\0\0\3abc", b"\0\0\0\0\2\xff\xff"])
def test_unreadable_success(call, body):
    """A success stays one, whatever its message is."""
    assert Answer(kind="ok") == raw_answer(call, lambda http2, stream: http2.answer(stream, body=body))


def test_large_answer(call):
    """Of a large answer the beginning is kept; the rest passes by."""
    whole = ExportTraceServiceResponse(partial_success={"rejected_spans": 1}).SerializeToString() + bytes(
        300_000
    )
    assert "ok" == answer_of(call, lambda *_: whole).kind


def test_pings_between_requests(call):
    """What came while the connection was idle is read before the next request."""

    def act(http2, stream):
        http2.answer(stream)
        http2.h2.ping(b"12345678")
        http2.flush()

    assert "ok" == raw_answer(call, act, times=3).kind
    assert 1 == raw_answer.connections


def test_other_protocol(call):
    """A port of OTLP over HTTP is told apart from a broken one."""
    with http_peer(response(400)) as peer:
        answer = call(peer.port).send(b"body", timeout_s=10)
    assert "retry" == answer.kind
    assert "speaks HTTP/1" in answer.message


def test_broken_protocol(call):
    """A peer that breaks HTTP/2 is no reason to give the data up."""

    def handler(connection, peer):
        connection.sendall(b"\x00\x00\x04\x00\x00\x00\x00\x00\x09data")
        peer.over.wait(PATIENCE_S)

    with Peer(handler) as peer:
        answer = call(peer.port).send(b"body", timeout_s=10)
    assert "retry" == answer.kind
    assert "HTTP/2 protocol" in answer.message


@pytest.mark.parametrize("step", [1, 7, 1_000])
def test_goaway_filter(step):
    """GOAWAY frames are taken out wherever the bytes are cut; all others pass as they are."""
    ping = b"\x00\x00\x08\x06\x00\x00\x00\x00\x0012345678"
    goodbye = b"\x00\x00\x0b\x07\x00\x00\x00\x00\x00" + b"\x80\x00\x00\x05\x00\x00\x00\x02bye"
    stream, filtered = ping + goodbye + ping, GoAwayFilter()
    passed = b"".join(filtered.feed(stream[at : at + step]) for at in range(0, len(stream), step))
    assert ping + ping == passed
    assert (5, 2, "bye") == (filtered.last_stream, filtered.error, filtered.reason)


class TornStream:
    """Takes the headers of a request and no more; the answer has come all the same."""

    def __init__(self):
        self.peer = H2Connection(H2Configuration(client_side=False))
        self.peer.initiate_connection()
        self.broken = False

    def send(self, data):
        if self.broken:
            raise Unanswered("the connection was lost")
        self.broken = any(type(event).__name__ == "RequestReceived" for event in self.peer.receive_data(data))

    def receive(self, size, *, wait=True):
        if not wait:
            return None
        self.peer.send_headers(1, [(":status", "200"), ("grpc-status", "3")], end_stream=True)
        return self.peer.data_to_send()


def test_answer_behind_a_failed_write():
    """When a write fails, what the peer said before is read still."""
    fields = [(":method", "POST"), (":scheme", "http"), (":path", "/"), (":authority", "x")]
    assert "3" == Session(TornStream()).call(fields, [b"body"]).fields["grpc-status"]
