"""What is left alone when the application closes every descriptor, and opens its own with those numbers."""

from __future__ import annotations

import errno
import gc
import os
import select
import socket
import threading

import pytest
from peers import PATIENCE_S, Http2, Peer, eventually, http_peer, in_thread, read_request, response

from otelkit.delivery.transport._owned import OwnedSocket
from otelkit.delivery.transport._ready import ready


def http2(connection, peer):
    """A receiver of gRPC that takes everything."""
    server = Http2(connection, peer)
    while True:
        server.answer(server.request())


@pytest.fixture(params=["http/protobuf", "grpc"])
def sent(link, request):
    """A transport whose connection is kept, and its peer."""
    with http_peer(response()) if request.param != "grpc" else Peer(http2) as peer:
        transport = link(peer.url, protocol=request.param)
        assert "ok" == transport.send(b"body", timeout_s=10).kind
        yield transport, peer


class Application:
    """Two connected sockets, one of them with the number that somebody else's socket had."""

    def __init__(self, number):
        self.far, near = socket.socketpair()
        os.dup2(near.fileno(), number)  # closes the former one
        near.close()
        self.near = socket.socket(fileno=number)
        self.far.sendall(b"the application's")

    def untouched(self):
        """Whether nothing was read, sent or closed."""
        for end in (self.near, self.far):
            end.setblocking(False)
        try:
            self.far.recv(1)
        except BlockingIOError:
            return b"the application's" == self.near.recv(99)
        return False

    def close(self):
        self.near.close()
        self.far.close()


@pytest.fixture
def take():
    """Gives the descriptor of a socket of ours to the application."""
    made = []

    def take(owned):
        made.append(Application(owned.get().fileno()))
        return made[-1]

    yield take
    for application in made:
        application.close()


def kept(transport):
    return transport._limit._socket


def test_kept_connection(sent, take):
    """A descriptor that is another one's by now is neither read nor written; there is a new connection."""
    transport, peer = sent
    application = take(kept(transport))

    assert "ok" == transport.send(b"body", timeout_s=10).kind
    assert application.untouched()
    assert 2 == len(peer.connections)


def test_close(sent, take):
    """The end of a transport does not close it."""
    transport, _ = sent
    application = take(kept(transport))
    transport.close()

    assert application.untouched()


def test_interruption(sent, take):
    """An interruption does not end it."""
    transport, _ = sent
    application = take(kept(transport))
    transport.interrupt()

    assert application.untouched()


def test_closed_descriptor(sent):
    """A number that nobody has taken yet is no trouble either."""
    transport, _ = sent
    os.close(kept(transport).get().fileno())

    assert "ok" == transport.send(b"body", timeout_s=10).kind


def test_while_an_answer_is_awaited(link, take):
    """A request that is under way is tried again later, and what comes is not read from the wrong one."""
    goon = threading.Event()

    def handler(connection, peer):
        peer.requests.append(read_request(connection))
        goon.wait(PATIENCE_S)
        connection.sendall(response())

    with Peer(handler) as peer:
        transport = link(peer.url)
        wait = in_thread(lambda: transport.send(b"body", timeout_s=PATIENCE_S))
        eventually(lambda: peer.requests)
        application = take(kept(transport))
        goon.set()
        answer = wait()

    assert ("retry", True) == (answer.kind, application.untouched())
    assert "the application closed its descriptor" in answer.message


def test_while_the_first_word_is_awaited(link, take):
    """Nor is the silence of a gRPC peer taken for a port with TLS then."""
    goon = threading.Event()

    def handler(connection, peer):
        peer.requests.append(connection.recv(65_536))
        goon.wait(PATIENCE_S)
        connection.sendall(b"word")

    with Peer(handler) as peer:
        transport = link(peer.url, protocol="grpc")
        wait = in_thread(lambda: transport.send(b"body", timeout_s=PATIENCE_S))
        eventually(lambda: peer.requests and transport._connection)
        application = take(kept(transport))
        goon.set()
        answer = wait()

    assert ("retry", True) == (answer.kind, application.untouched())
    assert "the connection was lost (the application closed its descriptor)" == answer.message


def test_while_a_connection_is_opened(link, monkeypatch, take):
    """A socket that is lost before it is connected is let go of."""
    taken = []

    def lost(candidate, address):
        taken.append(take(kept(transport)))
        return errno.EINPROGRESS

    transport = link("http://127.0.0.1:1/")
    monkeypatch.setattr(socket.socket, "connect_ex", lost)

    assert "the application closed its descriptor" in transport.send(b"", timeout_s=10).message
    assert taken[0].untouched()


def test_wait_without_poll(monkeypatch):
    """`select.select` complains of a closed descriptor, which ends the wait and nothing else."""
    monkeypatch.delattr(select, "poll")
    lost = socket.socket()
    os.close(lost.fileno())

    assert ready(lost, 10, write=False)
    lost.detach()


def test_garbage(take):
    """A socket that is forgotten (in a fork's child) does not close it, whatever is collected first."""
    owned = OwnedSocket(socket.socket())
    application = take(owned)
    circle = [owned]
    circle.append(circle)
    del owned, circle
    gc.collect()

    assert application.untouched()
