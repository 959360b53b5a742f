"""TLS: whom a transport trusts, what it shows, and what it says of files and handshakes."""

from __future__ import annotations

import socket

import grpc
import pytest
import trustme
from peers import Peer, grpc_peer, http_peer, read_request, response, target

from otelkit.delivery.transport import Answer
from otelkit.delivery.transport.connect import connect
from otelkit.errors import ConfigurationError


def echo(body, context, details):
    return b""


@pytest.fixture
def every_name_is(monkeypatch):
    """Has every name resolved to a port of this machine."""

    def resolve(port):
        here = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", port))]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: here)

    return resolve


def test_own_authority(link, certificates):
    """A certificate of the authority in the target's file is trusted; the connection is kept."""
    with http_peer(response(), context=certificates.context()) as peer:
        transport = link(peer.url, certificate=certificates.authority)
        body = b"x" * 300_000
        assert ["ok", "ok"] == [transport.send(body, timeout_s=10).kind for _ in range(2)]
    assert [body] * 2 == [request.body for request in peer.requests]
    assert 2 == len(peer.connections)  # the plain socket and the one over it


def test_unknown_authority(link, certificates):
    """Any other is not; the message says so."""
    with http_peer(response(), context=certificates.context()) as peer:
        answer = link(peer.url).send(b"", timeout_s=10)
    assert "retry" == answer.kind
    assert answer.message.startswith("the certificate of localhost is not trusted: ")
    assert not peer.requests


def test_other_name(link, certificates, every_name_is):
    """A certificate for another name is not accepted."""
    with http_peer(response(), context=certificates.context()) as peer:
        every_name_is(peer.port)
        url = peer.url.replace("localhost", "other.test")
        answer = link(url, certificate=certificates.authority).send(b"", timeout_s=10)
    assert "Hostname mismatch" in answer.message
    assert not peer.requests


@pytest.mark.parametrize("known", [True, False])
def test_client_certificate(link, certificates, known):
    """The client shows the certificate of the target's files; a server that misses it refuses."""
    own = {"client_certificate": certificates.client, "client_key": certificates.client_key} if known else {}
    with http_peer(response(), context=certificates.context(ask_client=True)) as peer:
        answer = link(peer.url, certificate=certificates.authority, **own).send(b"", timeout_s=10)
    assert ("ok" if known else "retry") == answer.kind


def test_server_without_tls(link, certificates):
    """A peer that does not speak TLS is named."""

    def handler(connection, peer):
        connection.recv(1_000)
        connection.sendall(response(400))

    with Peer(handler) as peer:
        answer = link(peer.url.replace("http", "https")).send(b"", timeout_s=10)
    assert "retry" == answer.kind
    assert answer.message.startswith("TLS with localhost failed: ")


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_advice_on_a_server_without_tls(link, protocol):
    """https to a plain port: the message says to use http."""
    with Peer(lambda connection, peer: [connection.recv(1_000), connection.sendall(response(400))]) as peer:
        answer = link(peer.url.replace("http", "https"), protocol=protocol).send(b"", timeout_s=10)
    assert answer.message.endswith("; a port without TLS would answer so: if it is one, use http://")


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
def test_advice_on_an_unknown_authority(link, certificates, protocol):
    """A server that we do not trust: the variable with whom to trust is named."""
    with http_peer(response(), context=certificates.context()) as peer:
        answer = link(peer.url, protocol=protocol).send(b"", timeout_s=10)
    assert "; set OTEL_EXPORTER_OTLP_CERTIFICATE to the certificate of its authority" in answer.message


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
@pytest.mark.parametrize(("shown", "alert"), [(False, "certificate required"), (True, "unknown ca")])
def test_advice_on_a_refused_client(link, tmp_path, certificates, protocol, shown, alert):
    """A server that does not trust us: the variables with the client's certificate are named."""
    own = {}
    if shown:
        stranger = trustme.CA().issue_cert("client@test")
        stranger.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "client.pem"))
        own["client_certificate"] = str(tmp_path / "client.pem")

    with http_peer(response(), context=certificates.context(ask_client=True)) as peer:
        transport = link(peer.url, protocol=protocol, certificate=certificates.authority, **own)
        answer = transport.send(b"", timeout_s=10)
    assert ("retry", True) == (answer.kind, alert in answer.message)
    assert "; set OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and _CLIENT_KEY to what" in answer.message
    assert "OTLP_CERTIFICATE" not in answer.message


@pytest.mark.parametrize(
    ("alert", "advised"),
    [(code, True) for code in (42, 43, 44, 45, 46, 48, 49, 116)] + [(code, False) for code in (40, 70, 80)],
)
def test_advice_on_an_alert(link, every_name_is, alert, advised):
    """Each alert about our certificate has the advice, whole also with a service's long name; no other has."""

    def handler(connection, peer):
        connection.recv(65_536)
        connection.sendall(bytes([0x15, 3, 3, 0, 2, 2, alert]))

    with Peer(handler) as peer:
        every_name_is(peer.port)
        url = "https://opentelemetry-collector.observability.svc.cluster.local/v1/traces"
        answer = link(url).send(b"", timeout_s=10)
    assert " alert " in answer.message
    assert advised == ("_CLIENT_CERTIFICATE and _CLIENT_KEY to what the server accepts" in answer.message)


def test_no_advice_for_another_name(link, certificates, every_name_is):
    """A certificate for another name is no matter of whom to trust: the endpoint's name is."""
    with http_peer(response(), context=certificates.context()) as peer:
        every_name_is(peer.port)
        url = peer.url.replace("localhost", "other.test")
        answer = link(url, certificate=certificates.authority).send(b"", timeout_s=10)
    assert "OTEL_EXPORTER_OTLP_CERTIFICATE" not in answer.message
    assert answer.message.endswith("; use a name in the endpoint that it is made for")


def test_no_advice_on_a_proxy(link, certificates, monkeypatch, every_name_is):
    """A proxy that we do not trust is no matter of the endpoint's variables."""
    with http_peer(response(), context=certificates.context()) as peer:
        every_name_is(peer.port)
        monkeypatch.setenv("HTTPS_PROXY", f"https://proxy.test:{peer.port}")
        answer = link("https://collector.test/", certificate=certificates.authority).send(b"", timeout_s=10)
    assert answer.message.startswith("the certificate of proxy.test is not trusted: ")
    assert "OTEL_" not in answer.message


def test_end_of_a_handshake(link):
    """A peer that closes in the midst of the handshake is named."""
    with Peer(lambda connection, peer: connection.recv(65_536)) as peer:
        answer = link(peer.url.replace("http", "https")).send(b"", timeout_s=10)
    assert Answer(kind="retry", message="localhost closed the TLS connection") == answer


@pytest.mark.parametrize("farewell", [True, False])
def test_end_without_an_answer(link, certificates, farewell):
    """The end of the stream is the end, with TLS's own farewell or without."""

    def handler(connection, peer):
        peer.requests.append(read_request(connection))
        if farewell:
            connection.settimeout(0)
            connection.unwrap()

    with Peer(handler, certificates.context()) as peer:
        answer = link(peer.url, certificate=certificates.authority).send(b"", timeout_s=10)
    assert Answer(kind="retry", message="the connection was closed without an answer") == answer
    assert 1 == len(peer.requests)


def test_grpc(call, certificates):
    """gRPC over TLS, with the client's certificate, by a real server."""
    credentials = grpc.ssl_server_credentials(
        [(certificates.server_key, certificates.server_chain)], certificates.root, require_client_auth=True
    )
    with grpc_peer(echo, credentials=credentials) as port:
        own = {
            "certificate": certificates.authority,
            "client_certificate": certificates.client,
            "client_key": certificates.client_key,
        }
        transport = call(port, scheme="https", **own)
        assert ["ok", "ok"] == [transport.send(b"x" * 300_000, timeout_s=10).kind for _ in range(2)]


@pytest.mark.parametrize("name", ["certificate", "client_certificate", "client_key"])
@pytest.mark.parametrize("content", [None, "no certificate"])
def test_unusable_file(tmp_path, certificates, name, content):
    """A file that cannot be read, or holds something else, is named at once."""
    path = tmp_path / "file.pem"
    if content:
        path.write_text(content)
    files = {"client_certificate": certificates.client, "client_key": certificates.client_key}
    with pytest.raises(ConfigurationError, match=rf"certificate=|{name}=.*file\.pem"):
        connect(target("https://localhost:4318", **(files | {name: str(path)})), signal="traces")


def test_key_with_password(tmp_path, certificates):
    """A key that needs a password is refused; nobody is asked for it on the terminal."""
    from cryptography.hazmat.primitives import serialization

    with open(certificates.client_key, "rb") as file:
        key = serialization.load_pem_private_key(file.read(), None)
    locked = tmp_path / "locked.key"
    locked.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.TraditionalOpenSSL,
            serialization.BestAvailableEncryption(b"secret"),
        )
    )
    files = {"client_certificate": certificates.client, "client_key": str(locked)}
    with pytest.raises(ConfigurationError, match="without a password"):
        connect(target("https://localhost:4318", **files), signal="traces")


def test_files_of_a_plain_connection():
    """Without TLS the files are not looked at."""
    for protocol in ("grpc", "http/protobuf"):
        connect(target("http://localhost:1", protocol=protocol, certificate="/none"), signal="logs")


def test_renewed_files(link, tmp_path, certificates):
    """Files are read for each new connection: a renewed certificate needs no restart."""
    trusted = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(trusted))
    with http_peer(response(), context=certificates.context()) as peer:
        transport = link(peer.url, certificate=str(trusted))
        assert "retry" == transport.send(b"", timeout_s=10).kind
        trusted.write_bytes(certificates.root)
        assert "ok" == transport.send(b"", timeout_s=10).kind
        transport.close()
        trusted.unlink()
        assert "cannot be used" in transport.send(b"", timeout_s=10).message
