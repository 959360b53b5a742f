"""Every send ends: with its deadline, or when it is interrupted; and says what was wrong."""

from __future__ import annotations

import os
import select
import socket
import sys
import time

import pytest
from peers import PATIENCE_S, Peer, drip, eventually, http_peer, in_thread, read_request, response

from otelkit.delivery.transport import Answer

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets a full backlog hang")
protocols = pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])


def silent(connection, peer):
    """Takes everything and never answers."""
    peer.requests.append(connection.recv(65_536))
    while connection.recv(65_536):
        pass


def deaf(connection, peer):
    """Never reads."""
    peer.over.wait(PATIENCE_S)


@pytest.fixture
def hanging():
    """A port whose connections never come about: its backlog is full."""
    with socket.create_server(("127.0.0.1", 0), backlog=0) as listener:
        port, fillers = listener.getsockname()[1], []
        while True:
            filler = socket.socket()
            fillers.append(filler)
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
            if not select.select([], [filler], [], 0.2)[1]:
                break
        yield port
        for filler in fillers:
            filler.close()


@protocols
@pytest.mark.parametrize("handler", [silent, deaf])
def test_no_answer(link, protocol, handler):
    """A peer that is silent, or does not even read, holds a send no longer than its deadline."""
    with Peer(handler) as peer:
        answer = link(peer.url, protocol=protocol).send(os.urandom(20_000_000), timeout_s=0.5)
        assert Answer(kind="retry", message="no answer within 0.5 s") == answer
        assert not peer.over.is_set()


@pytest.mark.parametrize(
    "data", [b"HTTP/1.1 200 OK\r\nX: " + b"x" * 600, b"HTTP/1.1 100 Continue\r\n\r\n" * 30]
)
def test_dripping_headers(link, data):
    """A peer that sends a byte now and then gains no time by it."""

    def handler(connection, peer):
        read_request(connection)
        drip(connection, peer, data)

    with Peer(handler) as peer:
        answer = link(peer.url).send(b"body", timeout_s=0.5)
    assert Answer(kind="retry", message="no answer within 0.5 s") == answer


@pytest.mark.parametrize("status", [200, 503])
def test_dripping_body(link, status):
    """A body that drips is not waited for beyond the deadline; the status has said what matters."""
    done = []

    def handler(connection, peer):
        read_request(connection)
        whole = response(status, b"x" * 600)
        connection.sendall(whole[:-600])
        drip(connection, peer, whole[-600:])
        done.append(not peer.over.is_set())

    with Peer(handler) as peer:
        answer = link(peer.url).send(b"body", timeout_s=0.5)
    assert ("ok" if status == 200 else "retry") == answer.kind
    assert [False] == done


def test_dripping_http2(link):
    """The same over gRPC: frames that never become an answer."""

    def handler(connection, peer):
        drip(connection, peer, b"\x00\x00\x00\x04\x00\x00\x00\x00\x00" * 70)

    with Peer(handler) as peer:
        answer = link(peer.url, protocol="grpc").send(b"body", timeout_s=0.5)
    assert Answer(kind="retry", message="no answer within 0.5 s") == answer


def test_slow_reader(link):
    """A peer that takes a little now and then gains no time either."""

    def handler(connection, peer):
        while not peer.over.wait(0.05) and connection.recv(4_096):
            pass

    with Peer(handler) as peer:
        answer = link(peer.url).send(os.urandom(20_000_000), timeout_s=0.5)
    assert "no answer within 0.5 s" == answer.message


def test_handshake_that_hangs(link, certificates):
    """The TLS handshake is inside the deadline."""
    with Peer(silent) as peer:
        url = peer.url.replace("http", "https")
        answer = link(url, certificate=certificates.authority).send(b"", timeout_s=0.3)
    assert "no TLS handshake with localhost within 0.3 s" == answer.message


@linux_only
@protocols
def test_connection_that_hangs(link, protocol, hanging):
    """So is the connection."""
    transport = link(f"http://127.0.0.1:{hanging}", protocol=protocol)
    answer = transport.send(b"", timeout_s=0.3)
    assert f"no connection to 127.0.0.1:{hanging} within 0.3 s" == answer.message


@linux_only
def test_address_that_hangs(link, monkeypatch, hanging):
    """An address that does not answer leaves time for the next one of the same name."""
    with http_peer(response()) as peer:
        first = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", hanging))
        second = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", peer.port))
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: [first, second])
        assert "ok" == link(peer.url).send(b"", timeout_s=2).kind


@protocols
def test_refused_connection(link, protocol):
    """A port where nobody listens is named."""
    with socket.socket() as keeper:
        keeper.bind(("127.0.0.1", 0))
        port = keeper.getsockname()[1]
        answer = link(f"http://127.0.0.1:{port}", protocol=protocol).send(b"", timeout_s=10)
    assert Answer(kind="retry", message=f"connection refused by 127.0.0.1:{port}") == answer


@pytest.mark.parametrize(
    ("protocol", "scheme", "port"),
    [
        ("grpc", "http", 4317),
        ("grpc", "https", 443),
        ("http/protobuf", "http", 80),
        ("http/protobuf", "https", 443),
    ],
)
def test_port(link, monkeypatch, protocol, scheme, port):
    """Without a port it is that of the scheme, and OTLP's own for gRPC without TLS."""
    asked = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda host, port, **_: asked.append((host, port)) or [])
    link(f"{scheme}://collector.test", protocol=protocol).send(b"", timeout_s=10)
    assert [("collector.test", port)] == asked


@pytest.mark.parametrize("host", ["nobody.invalid", f"{'x' * 70}.invalid"])
def test_unknown_name(link, host):
    """A name that cannot be resolved is named."""
    answer = link(f"http://{host}:4318/").send(b"", timeout_s=10)
    assert "retry" == answer.kind
    assert answer.message.startswith(f"the name '{host}' cannot be resolved (")


@protocols
@pytest.mark.parametrize(("handler", "size"), [(silent, 4), (silent, 20_000_000), (deaf, 20_000_000)])
def test_interrupt(link, protocol, handler, size):
    """An interruption ends a send under way at once, and every later one."""
    with Peer(handler) as peer:
        transport = link(peer.url, protocol=protocol)
        wait = in_thread(lambda: transport.send(os.urandom(size), timeout_s=PATIENCE_S))
        eventually(lambda: peer.requests or (handler is deaf and peer.connections))
        transport.interrupt()
        assert Answer(kind="retry", message="interrupted") == wait()
        assert "interrupted" == transport.send(b"", timeout_s=PATIENCE_S).message


def test_interrupt_with_tls(link, certificates):
    """Also under TLS."""
    with Peer(silent, certificates.context()) as peer:
        transport = link(peer.url, certificate=certificates.authority)
        wait = in_thread(lambda: transport.send(b"body", timeout_s=PATIENCE_S))
        eventually(lambda: peer.requests)
        transport.interrupt()
        assert "interrupted" == wait().message


@linux_only
def test_interrupt_while_connecting(link, hanging):
    """Also before there is a connection."""
    transport = link(f"http://127.0.0.1:{hanging}/")
    wait = in_thread(lambda: transport.send(b"body", timeout_s=PATIENCE_S))
    eventually(lambda: transport._limit._socket is not None)
    transport.interrupt()
    assert "interrupted" == wait().message


def test_interrupt_of_the_body(link):
    """An interruption while the answer's body is read is one too: it ends at once, as a retry."""

    def handler(connection, peer):
        peer.requests.append(read_request(connection))
        connection.sendall(response(200, b"x" * 600)[:-1])
        peer.over.wait(PATIENCE_S)

    with Peer(handler) as peer:
        transport = link(peer.url)
        wait = in_thread(lambda: transport.send(b"body", timeout_s=PATIENCE_S))
        eventually(lambda: transport._connection is not None and transport._connection._socket.received)
        transport.interrupt()
        assert "interrupted" == wait().message


def test_interrupt_by_a_child(link):
    """A forked child cannot end its parent's connection, nor does it use it."""
    with http_peer(response()) as peer:
        transport = link(peer.url)
        transport.send(b"", timeout_s=10)
        child = os.fork()
        if child == 0:
            transport.interrupt()
            kept = transport._take_kept()
            os._exit(0 if kept is None else 1)
        assert 0 == os.waitpid(child, 0)[1]
        assert "ok" == transport.send(b"", timeout_s=10).kind
    assert 1 == len(peer.connections)


def test_time_that_is_over(link):
    """A send without any time opens no connection."""
    with Peer(silent) as peer:
        began = time.monotonic()
        assert "retry" == link(peer.url).send(b"", timeout_s=0).kind
        assert time.monotonic() - began < PATIENCE_S
    assert not peer.requests


@pytest.fixture
def no_poll(monkeypatch):
    """`select` as on Windows, and as eventlet leaves it."""
    monkeypatch.delattr(select, "poll")


@protocols
@pytest.mark.usefixtures("no_poll")
def test_without_poll(link, protocol):
    """Where there is no `select.poll`, requests are sent and waits have their end."""
    with http_peer(response()) as peer, Peer(silent) as hole:
        grpc = protocol == "grpc"  # which this peer does not speak: it says so at once
        answer = link(peer.url, protocol=protocol).send(b"body", timeout_s=10)
        assert ("HTTP/1" in answer.message) if grpc else Answer(kind="ok") == answer
        late = link(hole.url, protocol=protocol).send(os.urandom(20_000_000), timeout_s=0.3)
        assert "no answer within 0.3 s" == late.message


@linux_only
@pytest.mark.usefixtures("no_poll")
def test_connection_that_hangs_without_poll(link, hanging):
    """The same for a connection that does not come about, and for one that is refused."""
    answer = link(f"http://127.0.0.1:{hanging}").send(b"", timeout_s=0.3)
    assert f"no connection to 127.0.0.1:{hanging} within 0.3 s" == answer.message
    with socket.socket() as keeper:
        keeper.bind(("127.0.0.1", 0))
        port = keeper.getsockname()[1]
        answer = link(f"http://127.0.0.1:{port}").send(b"", timeout_s=10)
    assert f"connection refused by 127.0.0.1:{port}" == answer.message


def test_frozen_time(link, monkeypatch):
    """A test of the application's that lets time stand still does not hold up a send."""
    with Peer(silent) as peer:
        monkeypatch.setattr(time, "monotonic", lambda: 0.0)
        wait = in_thread(lambda: link(peer.url).send(b"body", timeout_s=0.2))
        assert "no answer within 0.2 s" == wait().message
