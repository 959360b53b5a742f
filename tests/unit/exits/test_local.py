import socket

import pytest

from otelkit.exits import local
from otelkit.exits.local import LocalExit


class Inner:
    name = "inner"

    def __init__(self):
        self.batches = []
        self.calls = []
        self.answer = True

    def send(self, batch):
        self.batches.append(batch)
        return self.answer

    def interrupt(self):
        self.calls.append("interrupt")

    def close(self):
        self.calls.append("close")


@pytest.fixture
def listener():
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def address(server):
    return f"http://127.0.0.1:{server.getsockname()[1]}/v1/traces"


def test_batches_pass_while_somebody_listens(listener):
    """With a listener every batch goes to the exit behind."""
    inner = Inner()
    exit_ = LocalExit(inner, address(listener))

    assert [True, True] == [exit_.send([1]), exit_.send([2])]
    assert [[1], [2]] == inner.batches


def test_nobody_listening_is_an_immediate_no(listener):
    """Without a listener a batch is refused at once and the exit behind is not asked."""
    inner = Inner()
    url = address(listener)
    listener.close()

    assert LocalExit(inner, url).send([1]) is False
    assert [] == inner.batches


def test_listener_that_comes_later_is_found(listener, monkeypatch):
    """After a while it is looked again whether somebody listens."""
    inner = Inner()
    port = listener.getsockname()[1]
    listener.close()
    exit_ = LocalExit(inner, f"http://127.0.0.1:{port}/")
    assert exit_.send([1]) is False
    with socket.create_server(("127.0.0.1", port)):
        assert exit_.send([2]) is False
        exit_._ask_at = 0.0
        assert exit_.send([3]) is True


def test_ending_is_passed_on(listener):
    """Interrupting and closing reach the exit behind."""
    inner = Inner()
    exit_ = LocalExit(inner, address(listener))
    exit_.interrupt()
    exit_.close()

    assert (["interrupt", "close"], "inner") == (inner.calls, exit_.name)
    assert local._ASK_AGAIN_S > 0
