import socket

import pytest
from rooms import Time

from otelkit.delivery import localhost as room
from otelkit.delivery.localhost import Localhost


@pytest.fixture
def time(monkeypatch):
    clock = Time()
    monkeypatch.setattr(room, "SYSTEM_CLOCK", clock)
    return clock


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def at(server):
    return Localhost(f"http://127.0.0.1:{server.getsockname()[1]}/v1/traces")


def test_somebody_listens(listener):
    """A listener is found, and not asked about again and again."""
    localhost = at(listener)
    assert localhost.listens() is True
    listener.close()

    assert localhost.listens() is True


def test_nobody_listens(listener):
    """A port where nobody listens is an immediate no."""
    localhost = at(listener)
    listener.close()

    assert localhost.listens() is False


def test_doubt_asks_again(listener):
    """After a request has failed it is asked anew, at once."""
    localhost = at(listener)
    assert localhost.listens() is True
    listener.close()
    localhost.doubt()

    assert localhost.listens() is False


def test_who_comes_later_is_found_after_a_while(listener, time):
    """While nobody listens it is asked every five seconds, not each time."""
    port = listener.getsockname()[1]
    listener.close()
    localhost = Localhost(f"http://127.0.0.1:{port}/")
    assert localhost.listens() is False
    with socket.create_server(("127.0.0.1", port)):
        time.now += room._ASK_AGAIN_S - 0.1
        assert localhost.listens() is False
        time.now += 0.1
        assert localhost.listens() is True


@pytest.mark.parametrize(
    ("url", "address"),
    [
        ("http://localhost", ("localhost", 4318)),
        ("http://[::1]:4317/x", ("::1", 4317)),
        ("", ("localhost", 4318)),
    ],
)
def test_an_address_has_a_host_and_a_port(url, address):
    """Where the address leaves something out, the default of OTLP over HTTP is meant."""
    assert address == Localhost(url)._address
