"""The page on a port of its own."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from http.client import HTTPConnection

import pytest
from opentelemetry.sdk.metrics import MeterProvider

from otelkit.prometheus import Page, activate, serve


@pytest.fixture
def server():
    running = serve()
    yield running
    running.close()


def ask(port, method="GET", path="/metrics", host="127.0.0.1", **headers):
    connection = HTTPConnection(host, port, timeout=5)
    try:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return answer.status, dict(answer.getheaders()), answer.read()
    finally:
        connection.close()


@pytest.mark.parametrize("path", ["/metrics", "/", "/metrics?x=1"])
def test_the_current_page_is_served(server, path, capsys):
    """On both paths, in the format that is asked for, without a word on stderr."""
    page = Page(extra_registry=False)
    provider = MeterProvider(metric_readers=[page.reader])
    provider.get_meter("m").create_counter("requests").add(1)
    with activate(page):
        status, headers, body = ask(server.port, path=path)
        _, _, strict = ask(server.port, path=path, Accept="application/openmetrics-text")
    provider.shutdown()

    assert (status, headers["Content-Type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    assert b"requests_total 1.0" in body
    assert strict.endswith(b"# EOF\n")
    assert capsys.readouterr().err == ""


def test_other_paths_and_methods_are_refused(server):
    """404 and 405, never a traceback."""
    assert ask(server.port, path="/admin")[0] == 404
    assert ask(server.port, "POST")[0] == 405
    assert ask(server.port, "HEAD")[2] == b""


def test_a_port_in_use_is_an_oserror(server):
    """The caller learns it at once."""
    with pytest.raises(OSError, match=r"."):
        serve(port=server.port)


def test_close_frees_the_port_and_ends_the_thread():
    """Also when called twice, and quickly."""
    running = serve()
    running.close()
    running.close()

    assert "otelkit-prometheus" not in [thread.name for thread in threading.enumerate()]
    serve(port=running.port).close()


def test_a_silent_client_does_not_hold_up_close(server):
    """A connection that never asks is left to its own thread."""
    with socket.create_connection(("127.0.0.1", server.port)):
        assert ask(server.port)[0] == 200
        server.close()

    assert not server._thread.is_alive()


def test_ipv6_addresses_are_understood():
    """The address decides the family."""
    try:
        running = serve("::1")
    except OSError:
        pytest.skip("no IPv6 here")
    try:
        assert ask(running.port, host="::1")[0] == 200
    finally:
        running.close()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_does_not_keep_the_port():
    """A child that outlives its parent would hold a port that nobody answers on."""
    code = """if 1:
        import os, socket
        from otelkit.prometheus import serve
        server = serve()
        read, write = os.pipe()
        ready, go = os.pipe()
        child = os.fork()
        if child == 0:
            os.write(go, b"x")
            os.read(read, 1)
            os._exit(0)
        os.read(ready, 1)
        server.close()
        serve(port=server.port).close()
        try:
            socket.create_connection(("127.0.0.1", server.port), timeout=1)
        except ConnectionRefusedError:
            print("free")
        os.write(write, b"x")
        os.waitpid(child, 0)
        """
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=20)

    assert done.stdout.split() == ["free"], done.stderr
