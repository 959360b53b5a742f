"""What a transport leaves alone: the application's log, its import time, its threads."""

from __future__ import annotations

import http.client
import importlib
import logging
import subprocess
import sys
import threading

import pytest
from peers import http_peer, response

from otelkit import _guard
from otelkit.delivery.transport import _quiet
from otelkit.processors.context import suppress


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout


TARGET = """
import sys
from otelkit.delivery.transport.connect import connect
from otelkit.settings import OtlpTarget
def target(url, protocol, insecure):
    return OtlpTarget(url=url, protocol=protocol, headers={}, timeout_s=1, compression="gzip", certificate=None,
                      client_key=None, client_certificate=None, insecure=insecure)
def loaded():
    return sorted({"urllib3", "h2", "ssl", "http.client", "google.protobuf", "grpc"} & set(sys.modules))
"""


def test_import_cost():
    """To make a transport imports none of the libraries that it will use."""
    before = "import otelkit.settings, otelkit.processors.context, sys; import otelkit.delivery.transport\n"
    code = before + TARGET + "base = loaded()\n"
    code += "for protocol in ('grpc', 'http/protobuf'):\n"
    code += "    connect(target('http://localhost:1', protocol, True), signal='traces')\n"
    code += "assert loaded() == base, loaded(); print(base)"
    assert "[]\n" == run(code)


@pytest.mark.parametrize(("protocol", "absent"), [("grpc", "grpc"), ("http/protobuf", "h2")])
def test_runtime_cost(protocol, absent):
    """A send imports the library of its protocol only, and never grpcio."""
    code = (
        TARGET
        + f"answer = connect(target('http://localhost:1', {protocol!r}, True), signal='logs').send(b'', timeout_s=5)\n"
    )
    code += f"assert 'refused' in answer.message, answer; assert {absent!r} not in loaded() and 'grpc' not in loaded()"
    run(code)


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_log_lines(link, caplog, protocol):
    """The libraries' log lines from our threads reach nobody; those of the application still do."""
    broken = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nnot a header\r\n\r\n"
    large = {f"api-key-{number}": "s3cret" * 400 for number in range(3)}  # more than HPACK's table holds
    caplog.set_level(logging.DEBUG)
    for name in _quiet._LOGGERS:
        logging.getLogger(name).removeFilter(_quiet._QUIET)
    with http_peer(broken) as peer:
        url = peer.url
        with suppress():
            link(url, protocol=protocol, headers=large).send(b"body", timeout_s=10)
        assert [] == caplog.messages
        link(url, protocol=protocol).send(b"body", timeout_s=10)
    assert caplog.messages


def test_debug_output(link, monkeypatch, capsys):
    """Who has `http.client` print requests sees the application's, and not ours with their credentials."""
    monkeypatch.setattr(http.client.HTTPConnection, "debuglevel", 1)
    with http_peer(response()) as peer:
        assert "ok" == link(peer.url, headers={"api-key": "s3cret-value"}).send(b"body", timeout_s=10).kind
    assert "" == capsys.readouterr().out


@pytest.mark.parametrize("first", [True, False], ids=["loaded before", "loaded meanwhile"])
def test_recorded_connections(link, monkeypatch, first):
    """Who puts another class in the place of urllib3's connection (vcrpy) gets no request of ours."""
    from urllib3 import connection

    class Recorded(connection.HTTPConnection):
        def request(self, *args, **kwargs):
            raise AssertionError("recorded")

    name = f"{_quiet.__package__}._http1"
    if first:
        importlib.import_module(name)
    else:
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setattr(connection, "HTTPConnection", Recorded)
    monkeypatch.setattr(http.client, "HTTPConnection", Recorded)
    with http_peer(response()) as peer:
        assert "ok" == link(peer.url).send(b"body", timeout_s=10).kind


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_threads(link, monkeypatch, protocol):
    """A send starts no thread."""
    start, started = threading.Thread.start, []

    def noted(thread):
        started.append(threading.current_thread())
        start(thread)

    monkeypatch.setattr(threading.Thread, "start", noted)
    with http_peer(response()) as peer:
        link(peer.url, protocol=protocol).send(b"body", timeout_s=10)
    # The peer's accepting thread starts one; so does the test, to accept.
    assert 1 == started.count(threading.current_thread())


def test_own_failure(link):
    """A failure of our own is counted and becomes a retry: `send` never raises."""
    transport = link("http://localhost:1/")

    def broken(limit):
        raise ZeroDivisionError("oh")

    transport._connect = broken
    with _guard.reraise(False):
        answer = transport.send(b"", timeout_s=1)
    assert ("retry", "ZeroDivisionError: oh") == (answer.kind, answer.message)
    assert 1 == _guard.failures()["delivery.transport"]
