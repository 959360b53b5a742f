"""Proxies of the environment: which is taken for what, and the way through."""

from __future__ import annotations

import base64
import socket
import threading

import pytest
from peers import Peer, grpc_peer, http_peer, read_request, response

from otelkit.delivery.transport import _proxy
from otelkit.delivery.transport._failures import Failure

BASIC = f"Basic {base64.b64encode(b'me:p@ss word').decode()}"


def find(host, port=4318, *, variables=("http",), exceptions=("no",)):
    return _proxy.find(host, port, variables=variables, exceptions=exceptions)


def pump(source, sink):
    try:
        while data := source.recv(65_536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)
    except OSError:
        pass


def proxy_to(port, *, status=200):
    """A proxy that connects to ``port`` of this machine, whatever the name asked for is."""

    def handler(connection, peer):
        peer.requests.append(read_request(connection))
        connection.sendall(f"HTTP/1.1 {status} Whatever\r\nVia: test\r\n\r\n".encode())
        if status == 200:
            with socket.create_connection(("127.0.0.1", port)) as onward:
                back = threading.Thread(target=pump, args=(onward, connection))
                back.start()
                pump(connection, onward)
                back.join()

    return Peer(handler)


def test_forwarding(link, monkeypatch):
    """A plain request goes to HTTP_PROXY with its full address and the proxy's credentials."""
    with http_peer(response()) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://me:p%40ss%20word@127.0.0.1:{proxy.port}")
        answer = link("http://u:pw@collector.test:4318/v1/traces?x=1").send(b"body", timeout_s=10)
    assert "ok" == answer.kind
    (request,) = proxy.requests
    assert "POST http://collector.test:4318/v1/traces?x=1 HTTP/1.1" == request.line
    assert "collector.test:4318" == request.headers["host"]
    assert BASIC == request.headers["proxy-authorization"]


def test_tunnel(link, monkeypatch, certificates):
    """A request with TLS goes through a tunnel; the proxy's credentials stay with the proxy."""
    with http_peer(response(), context=certificates.context()) as peer, proxy_to(peer.port) as proxy:
        monkeypatch.setenv("https_proxy", f"me:p%40ss%20word@127.0.0.1:{proxy.port}")
        monkeypatch.setattr(_proxy, "_direct", lambda *_: False)
        transport = link(f"https://localhost:{peer.port}/v1/traces", certificate=certificates.authority)
        assert ["ok", "ok"] == [transport.send(b"body", timeout_s=10).kind for _ in range(2)]
    (request,) = proxy.requests
    assert f"CONNECT localhost:{peer.port} HTTP/1.1" == request.line
    assert BASIC == request.headers["proxy-authorization"]
    assert "proxy-authorization" not in peer.requests[0].headers


def test_tunnel_through_tls(link, monkeypatch, certificates):
    """The proxy itself may be spoken to over TLS: then there is TLS in TLS."""
    monkeypatch.setenv("SSL_CERT_FILE", certificates.authority)
    monkeypatch.setattr(_proxy, "_direct", lambda *_: False)
    from otelkit.delivery.transport import _tls

    monkeypatch.setattr(_tls, "_system_context", _tls._system_context.__wrapped__)
    with http_peer(response(), context=certificates.context()) as peer, proxy_to(peer.port) as proxy:
        proxy.context = certificates.context()
        monkeypatch.setenv("HTTPS_PROXY", f"https://localhost:{proxy.port}")
        assert (
            "ok" == link(peer.url, certificate=certificates.authority).send(b"x" * 99_999, timeout_s=10).kind
        )
    assert 99_999 == len(peer.requests[0].body)


@pytest.mark.parametrize("variable", ["grpc_proxy", "HTTPS_PROXY", "http_proxy"])
def test_grpc(call, monkeypatch, variable):
    """gRPC always takes a tunnel, also without TLS."""
    with grpc_peer(lambda *_: b"") as port, proxy_to(port) as proxy:
        monkeypatch.setenv(variable, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setattr(_proxy, "_direct", lambda *_: False)
        assert "ok" == call(port).send(b"body", timeout_s=10).kind
    assert f"CONNECT localhost:{port} HTTP/1.1" == proxy.requests[0].line


def test_refusal(link, monkeypatch):
    """A proxy that refuses is named, with its answer."""
    with proxy_to(0, status=407) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:s3cret-pw@127.0.0.1:{proxy.port}")
        answer = link("https://collector.test/").send(b"", timeout_s=10)
    assert "retry" == answer.kind
    expected = f"the proxy 127.0.0.1:{proxy.port} does not connect to collector.test:443: it answers 407"
    assert answer.message.startswith(expected)
    assert answer.message.endswith("(HTTPS_PROXY names it, NO_PROXY avoids it)")


@pytest.fixture
def closed_port():
    """A port of this machine on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.mark.parametrize(
    ("variables", "told"),
    [
        (["HTTPS_PROXY"], "HTTPS_PROXY names it, NO_PROXY avoids it"),
        (["HTTPS_PROXY", "https_proxy", "no_proxy"], "https_proxy names it, no_proxy avoids it"),
        (["ALL_PROXY"], "ALL_PROXY names it, NO_PROXY avoids it"),
    ],
)
def test_dead_proxy(link, monkeypatch, closed_port, variables, told):
    """Where nobody listens at a proxy's address, it is named as a proxy, with the variable that counted."""
    for variable in variables:
        value = "other.test" if variable == "no_proxy" else f"http://me:s3cret-pw@127.0.0.1:{closed_port}"
        monkeypatch.setenv(variable, value)
    answer = link("https://collector.test:4318/v1/traces").send(b"", timeout_s=10)
    assert f"connection refused by 127.0.0.1:{closed_port} (a proxy: {told})" == answer.message


@pytest.mark.parametrize("read", ["NO_PROXY", "NO_GRPC_PROXY"])
def test_dead_proxy_of_grpc(link, monkeypatch, closed_port, read):
    """Of gRPC's two lists of exceptions the one that is read is named, without any NO_PROXY."""
    monkeypatch.setenv("GRPC_PROXY", f"127.0.0.1:{closed_port}")
    if read == "NO_GRPC_PROXY":
        monkeypatch.setenv(read, "other.test")
    answer = link("http://collector.test:4317", protocol="grpc").send(b"", timeout_s=10)
    assert answer.message.endswith(f"(a proxy: GRPC_PROXY names it, {read} avoids it)")


def test_proxy_without_an_address(link, monkeypatch):
    """A proxy whose name cannot be resolved is named as a proxy too."""
    monkeypatch.setenv("HTTPS_PROXY", "http://a..b:3128")
    answer = link("https://collector.test/").send(b"", timeout_s=10)
    assert answer.message.startswith("the name 'a..b' cannot be resolved")
    assert answer.message.endswith("(a proxy: HTTPS_PROXY names it, NO_PROXY avoids it)")


@pytest.mark.parametrize("status", [403, 502])
def test_answer_through_a_proxy(link, monkeypatch, status):
    """What is refused through a proxy that reads the requests tells of the proxy: it may be its answer."""
    with http_peer(response(status, b"no", kind="text/plain")) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"http://me:s3cret-pw@127.0.0.1:{proxy.port}")
        answer = link("http://collector.test:4318/v1/traces").send(b"", timeout_s=10)
    place = f"127.0.0.1:{proxy.port} (HTTP_PROXY names it, NO_PROXY avoids it)"
    assert answer.message.startswith(f"through the proxy {place}: HTTP {status} ")


@pytest.mark.parametrize("said", [b"", b"nonsense\r\n\r\n", b"HTTP/1.1 200 " + b"x" * 20_000])
def test_proxy_that_is_none(link, monkeypatch, said):
    """Something else behind a proxy's address ends in words, and in no endless reading."""

    def handler(connection, peer):
        read_request(connection)
        connection.sendall(said)

    with Peer(handler) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"127.0.0.1:{proxy.port}")
        answer = link("https://collector.test/").send(b"", timeout_s=10)
    assert answer.message.startswith(f"the proxy 127.0.0.1:{proxy.port} ")


@pytest.mark.parametrize("value", ["socks5://me:s3cret@host:1", "http://[", "http://:x", "http://h:99999"])
def test_unusable_address(monkeypatch, value):
    """An address that is none, or of another kind of proxy, is refused without being shown."""
    monkeypatch.setenv("ALL_PROXY", value)
    with pytest.raises(Failure, match="^ALL_PROXY is no address of an http or https proxy$"):
        find("collector.test", variables=("http", "all"))


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "127.1.2.3", "::1"])
def test_this_machine(monkeypatch, host):
    """This machine is never reached through a proxy."""
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.test:3128")
    assert find(host) is None


@pytest.mark.parametrize(
    ("excepted", "host", "direct"),
    [
        ("*", "a.test", True),
        ("*", "10.0.0.1", True),
        ("a.test", "a.test", True),
        ("x, .A.Test", "b.a.test", True),
        ("*.a.test", "b.a.test", True),
        ("a.test", "ba.test", False),
        ("a.test:4318", "a.test", True),
        ("a.test:4317", "a.test", False),
        ("10.0.0.0/8", "10.9.8.7", True),
        ("10.0.0.0/8", "11.9.8.7", False),
        ("fd00::/8,x", "fd00::1", True),
        ("10.0.0.5:4318", "10.0.0.5", True),
        ("10.0.0.5:4317", "10.0.0.5", False),
        ("10.0.0.0/8:4318", "10.0.0.5", True),
        ("fd00::1", "fd00::1", True),
        ("[fd00::1]", "fd00::1", True),
        ("[fd00::1]:4318", "fd00::1", True),
        ("[fd00::1]:4317", "fd00::1", False),
        ("[fd00::]/8", "fd00::1", True),
        ("fd00::2", "fd00::1", False),
        ("x.test a.test", "a.test", True),
        ("x.test,\t10.0.0.0/8  b.test", "10.0.0.5", True),
        ("[", "a.test", False),
        (":4318", "a.test", False),
        (":4318", "10.0.0.5", False),
        ("", "a.test", False),
        (" , ", "a.test", False),
    ],
)
def test_exceptions(monkeypatch, excepted, host, direct):
    """NO_PROXY lists names, domains, addresses, networks, each with a port or without, or everything."""
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.test")
    monkeypatch.setenv("NO_PROXY", excepted)
    assert direct == (find(host) is None)


def test_order(monkeypatch):
    """The first of the variables that is there counts, and so does the first list of exceptions."""
    monkeypatch.setenv("http_proxy", "http://second.test:1")
    monkeypatch.setenv("grpc_proxy", "first.test:2")
    monkeypatch.setenv("no_proxy", "a.test")
    order = {"variables": ("grpc", "https", "http"), "exceptions": ("no_grpc", "no")}
    assert ("first.test", 2) == (find("b.test", **order).host, find("b.test", **order).port)
    assert find("a.test", **order) is None
    monkeypatch.setenv("no_grpc_proxy", "b.test")
    assert find("b.test", **order) is None
    assert find("a.test", **order) is not None


def test_secrets_stay_out_of_the_representation(monkeypatch):
    """A proxy does not show its credentials."""
    monkeypatch.setenv("HTTP_PROXY", "http://me:s3cret@proxy.test")
    assert "authorization" not in repr(find("a.test"))
