"""Ports of another kind: what a transport says when the peer does not speak what the endpoint names."""

from __future__ import annotations

import socket

import grpc
import pytest
from peers import PATIENCE_S, Peer, grpc_peer, http_peer, read_request, response

from otelkit.delivery.transport import Answer

SETTINGS = b"\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x05\x00\x00\x40\x00"  # as grpc-go sends it
GOAWAY = b"\x00\x00\x0b\x07\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01bye"
RESET = b"\1\0\0\0\0\0\0\0"  # SO_LINGER without time: the end of the connection is a reset
GO = b"HTTP/1.0 400 Bad Request\r\n\r\nClient sent an HTTP request to an HTTPS server.\n"
NGINX = (
    b"<html>\r\n<head><title>400 The plain HTTP request was sent to HTTPS port</title></head>\r\n"
    b"<body>\r\n<center><h1>400 Bad Request</h1></center>\r\n"
    b"<center>The plain HTTP request was sent to HTTPS port</center>\r\n"
    b"<hr><center>nginx/1.27.0</center>\r\n</body>\r\n</html>\r\n"
)


def says(*pieces, reset=False):
    """A peer that says ``pieces`` once it was asked, and then ends the connection or stays silent."""

    def handler(connection, peer):
        read_request(connection)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            connection.sendall(piece)
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        else:
            peer.over.wait(PATIENCE_S)

    return Peer(handler)


@pytest.mark.parametrize("reset", [True, False])
@pytest.mark.parametrize(
    "pieces", [[SETTINGS], [GOAWAY], [SETTINGS + GOAWAY], [SETTINGS[at : at + 1] for at in range(15)]]
)
def test_port_of_grpc(link, pieces, reset):
    """Whoever answers HTTP/1.1 with a frame of HTTP/2 is taken for gRPC, however the connection ends."""
    with says(*pieces, reset=reset) as peer:
        answer = link(peer.url).send(b"", timeout_s=5)
    assert "retry" == answer.kind
    assert "a port of OTLP over gRPC would answer so" in answer.message
    assert "OTEL_EXPORTER_OTLP_PROTOCOL=grpc" in answer.message


def test_neither_protocol(link):
    """What is neither HTTP nor a frame of it is not taken for gRPC."""
    with says(b"SSH-2.0-OpenSSH_9.6\r\n") as peer:
        answer = link(peer.url).send(b"", timeout_s=5)
    assert ("retry", False) == (answer.kind, "gRPC" in answer.message)
    assert "no HTTP/1.1 answer" in answer.message


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_alert_of_tls(link, protocol):
    """An alert of TLS, in the clear, is a port that wants https."""
    alert = b"\x15\x03\x01\x00\x02\x02\x46"
    with Peer(lambda connection, peer: [connection.recv(65_536), connection.sendall(alert)]) as peer:
        answer = link(peer.url, protocol=protocol).send(b"", timeout_s=5)
    assert ("retry", True) == (answer.kind, "use https://" in answer.message)


@pytest.mark.parametrize(
    ("raw", "said"),
    [
        (GO, "Client sent an HTTP request to an HTTPS server"),
        (response(400, NGINX, kind="text/html"), "The plain HTTP request was sent to HTTPS port"),
    ],
)
def test_http_to_a_port_with_tls(link, raw, said):
    """Go's and nginx's answer to http on a port with TLS: no receiver has seen the request; it is kept."""

    def handler(connection, peer):
        read_request(connection)
        connection.sendall(raw)

    with Peer(handler) as peer:
        answer = link(peer.url).send(b"body", timeout_s=5)
    expected = f"HTTP 400 Bad Request: {said}; use https:// in the endpoint (OTEL_EXPORTER_OTLP_ENDPOINT)"
    assert Answer(kind="retry", message=expected) == answer


@pytest.mark.parametrize("size", [100, 3_000_000])
def test_http_to_a_port_with_tls_that_hangs_up(link, size):
    """Also when the peer has not read the request to its end, and the answer ends with a reset."""

    def handler(connection, peer):
        connection.recv(10)
        connection.sendall(GO)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)

    with Peer(handler) as peer:
        answer = link(peer.url).send(b"z" * size, timeout_s=5)
    assert ("retry", True) == (answer.kind, "use https://" in answer.message)


@pytest.mark.parametrize(
    ("status", "kind", "body", "expected"),
    [
        (400, "text/plain", b"span 3: Client sent an HTTP request to an HTTPS server.", "bad"),
        (400, "text/plain", b"The plain HTTP request was sent to HTTPS port", "bad"),
        (400, "text/html", b"<html><p>The plain HTTP request was sent to HTTPS port", "bad"),
        (400, "text/plain", NGINX, "bad"),
        (403, "text/html", NGINX, "refused"),
    ],
)
def test_words_of_a_receiver(link, status, kind, body, expected):
    """Only those very answers are taken for it: the same words elsewhere are a receiver's."""
    with http_peer(response(status, body, kind=kind)) as peer:
        assert expected == link(peer.url).send(b"", timeout_s=5).kind


def leave(connection, *, reset):
    """End a connection: by a reset, or after all that comes has been read."""
    if reset:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    else:
        connection.shutdown(socket.SHUT_WR)
        while connection.recv(65_536):
            pass


@pytest.mark.parametrize("reset", [True, False])
def test_grpc_to_a_port_with_tls(call, reset):
    """A fresh connection without TLS that ends before a word of the peer's has a likely cause."""

    def handler(connection, peer):
        connection.recv(1)
        leave(connection, reset=reset)

    with Peer(handler) as peer:
        answer = call(peer.port).send(b"", timeout_s=5)
    assert ("retry", True) == (answer.kind, answer.message.startswith("the connection was "))
    assert answer.message.endswith("; a port with TLS would do so: if it is one, use https://")


def test_grpc_to_a_grpc_server_with_tls(call, certificates):
    """A server of grpcio with TLS is such a peer."""
    credentials = grpc.ssl_server_credentials([(certificates.server_key, certificates.server_chain)])
    with grpc_peer(lambda *_: b"", credentials=credentials) as port:
        assert "use https://" in call(port).send(b"", timeout_s=5).message


@pytest.mark.parametrize("reset", [True, False])
def test_end_after_a_word(call, reset):
    """Where the peer has spoken HTTP/2, the end of the connection is no matter of TLS."""

    def handler(connection, peer):
        connection.recv(1)
        connection.sendall(SETTINGS)
        leave(connection, reset=reset)

    with Peer(handler) as peer:
        answer = call(peer.port).send(b"", timeout_s=5)
    assert ("retry", False) == (answer.kind, "https://" in answer.message)


def test_end_with_tls(call, certificates):
    """Where TLS is used neither."""
    with Peer(lambda connection, peer: connection.recv(65_536), certificates.context()) as peer:
        transport = call(peer.port, scheme="https", certificate=certificates.authority)
        answer = transport.send(b"", timeout_s=5)
    assert ("retry", False) == (answer.kind, "https://" in answer.message)
