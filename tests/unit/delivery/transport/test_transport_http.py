"""OTLP over HTTP: what is sent, and what each status becomes."""

from __future__ import annotations

import base64
import gzip
import json
import select
import socket
import threading
import time
import zlib
from email.utils import formatdate

import pytest
from google.rpc.status_pb2 import Status
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceResponse
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from peers import PATIENCE_S, Peer, eventually, grpc_peer, http_peer, read_request, response

from otelkit.delivery.transport import Answer
from otelkit.delivery.transport._http_answer import retry_after


def answer_to(link, *raw, signal="traces", **more):
    with http_peer(*raw) as peer:
        return link(peer.url, signal=signal, **more).send(b"body", timeout_s=10)


def test_request(link):
    """A request is a POST of the body to the address, with the headers of the target."""
    with http_peer(response()) as peer:
        transport = link(f"http://localhost:{peer.port}/a%20b/v1?x=1", headers={"api-key": "s3cret-value"})
        assert Answer(kind="ok") == transport.send(b"\x0a\x00", timeout_s=10)
    (request,) = peer.requests
    assert "POST /a%20b/v1?x=1 HTTP/1.1" == request.line
    assert b"\x0a\x00" == request.body
    assert f"localhost:{peer.port}" == request.headers["host"]
    assert "application/x-protobuf" == request.headers["content-type"]
    assert "s3cret-value" == request.headers["api-key"]
    assert request.headers["user-agent"].startswith("otelkit/")
    assert "content-encoding" not in request.headers


def test_headers_that_would_break_the_request(link):
    """A target's headers replace the user agent, but neither the type nor the framing."""
    with http_peer(response()) as peer:
        sent = {
            "content-length": "9",
            "content-type": "text/plain",
            "user-agent": "mine",
            "connection": "close",
        }
        link(peer.url, headers=sent).send(b"body", timeout_s=10)
    headers = peer.requests[0].headers
    assert ("4", "application/x-protobuf", "mine") == (
        headers["content-length"],
        headers["content-type"],
        headers["user-agent"],
    )


def test_address_of_version_6(monkeypatch, link):
    """An address of IPv6 is dialled without its brackets and named with them."""
    with http_peer(response()) as peer:
        asked = []
        here = (socket.AF_INET, socket.SOCK_STREAM, 0, "", ("127.0.0.1", peer.port))
        monkeypatch.setattr(
            socket, "getaddrinfo", lambda host, port, **_: [asked.append((host, port)) or here]
        )
        assert "ok" == link(f"http://[::1]:{peer.port}/v1/traces").send(b"", timeout_s=10).kind
    assert [("::1", peer.port)] == asked
    assert f"[::1]:{peer.port}" == peer.requests[0].headers["host"]


def test_user_of_the_address(link):
    """A user in the address becomes basic authentication and leaves the address."""
    with http_peer(response()) as peer:
        link(f"http://me:p%40ss@localhost:{peer.port}/v1").send(b"", timeout_s=10)
    headers = peer.requests[0].headers
    assert f"Basic {base64.b64encode(b'me:p@ss').decode()}" == headers["authorization"]
    assert f"localhost:{peer.port}" == headers["host"]


@pytest.mark.parametrize(
    ("compression", "decompress"), [("gzip", gzip.decompress), ("deflate", zlib.decompress)]
)
def test_compression(link, compression, decompress):
    """The body is compressed as the target says, and the header says so."""
    body = b"many words " * 1_000
    with http_peer(response()) as peer:
        link(peer.url, compression=compression).send(body, timeout_s=10)
    request = peer.requests[0]
    assert compression == request.headers["content-encoding"]
    assert len(request.body) < len(body) / 10
    assert body == decompress(request.body)


@pytest.mark.parametrize("status", [408, 429, 502, 503, 504])
def test_retryable_status(link, status):
    """The retryable statuses are to be tried again, after the time that the receiver names."""
    answer = answer_to(link, response(status, b"wait", kind="text/plain", retry_after="7"))
    assert ("retry", True, 7.0) == (answer.kind, answer.answered, answer.retry_after_s)
    assert answer.message.startswith(f"HTTP {status} ")
    assert answer.message.endswith(": wait")


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, "bad"), (401, "refused"), (403, "refused"), (404, "refused"), (413, "split"), (500, "refused")],
)
def test_final_status(link, status, kind):
    """Every other status is final, and carries no time to wait."""
    answer = answer_to(link, response(status, retry_after="7"))
    assert (kind, None) == (answer.kind, answer.retry_after_s)


@pytest.mark.parametrize(
    ("text", "expected"), [("0", 0), ("120", 120), ("-1", None), ("1.5", None), ("soon", None), ("", None)]
)
def test_retry_after_seconds(text, expected):
    """Retry-After counts whole seconds; anything else that is no date is ignored."""
    assert expected == retry_after(text)


def test_retry_after_date():
    """Retry-After may be a date; one in the past means now."""
    assert 0.0 == retry_after(formatdate(0, usegmt=True))
    assert retry_after("Fri, 31 Dec 9999 23:59:59 GMT") > 1e6
    assert retry_after("Fri, 99 Dec 9999 99:99:99 GMT") is None


def test_retry_after_date_in_frozen_time(monkeypatch):
    """A date is compared with the time that it is, and not with one that a test has stopped."""
    later = formatdate(time.time() + 100, usegmt=True)
    monkeypatch.setattr(time, "time", lambda: 0.0)
    monkeypatch.setattr(time, "time_ns", lambda: 0)
    assert 90 < retry_after(later) <= 100


@pytest.mark.parametrize("status", [100, 102, 103, 199])
def test_interim_answer(link, status):
    """What comes before the answer is read over, however often; the connection is kept."""
    interim = f"HTTP/1.1 {status} Soon\r\nLink: </a.css>\r\nConnection: close\r\n\r\n".encode()
    with http_peer(interim * 3 + response(), response()) as peer:
        transport = link(peer.url)
        assert [Answer(kind="ok")] * 2 == [transport.send(b"", timeout_s=10) for _ in range(2)]
    assert 1 == len(peer.connections)


def test_other_protocol_instead_of_an_answer(link):
    """A peer that changes the protocol, unasked, has taken nothing."""
    answer = answer_to(link, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n")
    assert ("retry", True) == (answer.kind, answer.message.startswith("HTTP 101 Switching Protocols"))


def test_redirect(link):
    """A redirect is not followed; the message names where to, without credentials and query."""
    location = "https://u:p4ssword@other.test/v1/traces?token=abcdefgh#x"
    answer = answer_to(link, response(308, location=location))
    assert "refused" == answer.kind
    assert "HTTP 308 Permanent Redirect: redirected to https://other.test/v1/traces" == answer.message


@pytest.mark.parametrize(
    ("signal", "message", "field"),
    [
        ("traces", ExportTraceServiceResponse, "rejected_spans"),
        ("logs", ExportLogsServiceResponse, "rejected_log_records"),
        ("metrics", ExportMetricsServiceResponse, "rejected_data_points"),
    ],
)
def test_partial_success(link, signal, message, field):
    """A success that rejects some items tells how many and why."""
    body = message(partial_success={field: 3, "error_message": "too\nold"}).SerializeToString()
    answer = answer_to(link, response(200, body), signal=signal)
    assert Answer(kind="ok", rejected=3, message="too old") == answer


def test_partial_success_in_json(link):
    """A receiver that answers in JSON is understood too."""
    body = json.dumps({"partialSuccess": {"rejectedSpans": "2"}, "more": 1}).encode()
    answer = answer_to(link, response(200, body, kind="application/json; charset=utf-8"))
    assert Answer(kind="ok", rejected=2) == answer


@pytest.mark.parametrize("kind", ["application/x-protobuf", "application/json", "text/html"])
def test_unreadable_success(link, kind):
    """A success stays one, whatever its body is."""
    assert Answer(kind="ok") == answer_to(link, response(202, b"\xff<html>", kind=kind))


@pytest.mark.parametrize("kind", ["text/html", "Text/HTML; charset=utf-8", "application/xhtml+xml"])
@pytest.mark.parametrize("page", [b"<html><h1>Log in", b"\n <!DOCTYPE  html>\n", b"<HTML lang='en'>"])
def test_page_as_success(link, kind, page):
    """A page of HTML is from a proxy that wants a login, say: nobody has taken the data."""
    answer = answer_to(link, response(200, page, kind=kind))
    assert Answer(kind="retry", message="HTTP 200 OK with a page of HTML, which no receiver sends") == answer


def test_page_that_is_compressed(link):
    """Also one that is compressed."""
    page = gzip.compress(b"<!doctype html><title>Log in</title>")
    assert "retry" == answer_to(link, response(200, page, kind="text/html", content_encoding="gzip")).kind


@pytest.mark.parametrize("body", [b"", b"OK", b"<p>thanks</p>", b"<htmlish>"])
def test_words_that_are_no_page(link, body):
    """A simple receiver whose framework calls every answer HTML has taken it."""
    assert Answer(kind="ok") == answer_to(link, response(200, body, kind="text/html; charset=utf-8"))


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("application/x-protobuf", Status(code=3, message="bad\r\n span").SerializeToString()),
        ("application/json", b'{"code": 3, "message": "bad\\n span"}'),
        ("text/plain", b"bad\n\x00span"),
    ],
)
def test_words_of_an_error(link, kind, body):
    """The message in an error's body is told in one printable line."""
    assert "HTTP 400 Bad Request: bad span" == answer_to(link, response(400, body, kind=kind)).message


def test_page_as_error(link):
    """A page of HTML adds nothing to the status."""
    page = response(502, b"<html>no</html>", kind="text/html")
    assert "HTTP 502 Bad Gateway" == answer_to(link, page).message


def test_long_words(link):
    """A message has at most 200 characters."""
    assert 200 == len(answer_to(link, response(404, b"x" * 9_999, kind="text/plain")).message)


def test_repeated_secret(link):
    """A receiver that repeats our credentials does not bring them into a message."""
    basic = base64.b64encode(b"user01:passw0rd").decode()
    sent = {"authorization": f"Basic {basic}", "api-key": "abcdef123456"}
    body = f"got abcdef123456 and Basic {basic}, {basic}, passw0rd".encode()
    answer = answer_to(link, response(401, body, kind="text/plain"), headers=sent)
    assert "HTTP 401 Unauthorized: got *** and ***, ***, ***" == answer.message


def test_huge_body(link):
    """Only the beginning of a large answer is read, and its connection is not used again."""
    large = response(404, b"y" * 5_000_000, kind="text/plain")
    with http_peer(large) as peer:
        transport = link(peer.url)
        assert ["refused"] * 2 == [transport.send(b"", timeout_s=10).kind for _ in range(2)]
    assert 2 == len(peer.connections)


def test_early_answer(link):
    """An answer that comes before the body was read counts, also when the connection is then closed."""

    def handler(connection, peer):
        connection.recv(1_000)
        connection.sendall(response(413))

    with Peer(handler) as peer:
        assert "split" == link(peer.url).send(b"z" * 20_000_000, timeout_s=10).kind


def test_keep_alive(link):
    """Requests share one connection; a peer that ends it by its answer gets a new one."""
    with http_peer(response(), response(connection="close"), response()) as peer:
        transport = link(peer.url)
        assert ["ok"] * 3 == [transport.send(b"", timeout_s=10).kind for _ in range(3)]
    assert 2 == len(peer.connections)


def test_end_of_a_kept_connection(link):
    """A request that meets the end of a kept connection is sent once more on a new one."""
    with http_peer(response(), None, response()) as peer:
        transport = link(peer.url)
        assert ["ok", "ok"] == [transport.send(b"", timeout_s=10).kind for _ in range(2)]
    assert (3, 2) == (len(peer.requests), len(peer.connections))


def test_end_of_a_fresh_connection(link):
    """On a fresh connection a request is tried once."""
    with http_peer(None) as peer:
        answer = link(peer.url).send(b"", timeout_s=10)
    assert Answer(kind="retry", message="the connection was closed without an answer") == answer
    assert 1 == len(peer.requests)


def test_half_an_answer(link):
    """A kept connection that ends in the midst of an answer is no reason to send again."""

    def handler(connection, peer):
        peer.requests.append(read_request(connection))
        connection.sendall(response())
        peer.requests.append(read_request(connection))
        connection.sendall(b"HTTP/1.1 2")

    with Peer(handler) as peer:
        transport = link(peer.url)
        assert ["ok", "retry"] == [transport.send(b"", timeout_s=10).kind for _ in range(2)]
    assert 1 == len(peer.connections)


def test_torn_answer(link):
    """Nor is one that is torn by a reset."""

    def handler(connection, peer):
        for _ in range(2):
            peer.requests.append(read_request(connection))
            connection.sendall(response() if len(peer.requests) == 1 else b"HTTP/1.1 200 OK\r\n")
        eventually(lambda: transport._connection._socket.received)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    with Peer(handler) as peer:
        transport = link(peer.url)
        answers = [transport.send(b"", timeout_s=10) for _ in range(2)]
    assert ["ok", "retry"] == [answer.kind for answer in answers]
    assert answers[1].message.endswith("in the midst of an answer")
    assert 1 == len(peer.connections)


def test_answer_to_nothing(link):
    """What a peer says on an idle connection (a 408, say) is not the answer to the next request."""

    def handler(connection, peer):
        peer.requests.append(read_request(connection))
        connection.sendall(response())
        if len(peer.connections) == 1:
            goon.wait(PATIENCE_S)
            connection.sendall(response(408))

    goon = threading.Event()
    with Peer(handler) as peer:
        transport = link(peer.url)
        assert "ok" == transport.send(b"", timeout_s=10).kind
        goon.set()
        kept = transport._connection._stream._socket.get()
        eventually(lambda: select.select([kept], [], [], 0)[0])
        assert "ok" == transport.send(b"", timeout_s=10).kind
    assert 2 == len(peer.requests)


def test_chunked_answers(link):
    """An answer in chunks leaves the connection usable."""
    chunked = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n"
    with http_peer(chunked) as peer:
        transport = link(peer.url)
        assert ["ok"] * 3 == [transport.send(b"", timeout_s=10).kind for _ in range(3)]
    assert 1 == len(peer.connections)


def test_last_answer(link):
    """A connection that will not be used again is closed at once, and not at the next request."""
    closed = threading.Event()

    def handler(connection, peer):
        read_request(connection)
        connection.sendall(response(connection="close"))
        if connection.recv(1) == b"":
            closed.set()

    with Peer(handler) as peer:
        link(peer.url).send(b"", timeout_s=10)
        assert closed.wait(PATIENCE_S / 2)


def test_idle_connection(link, monkeypatch):
    """A connection that was idle too long is not used again."""
    with http_peer(response()) as peer:
        transport = link(peer.url)
        monkeypatch.setattr("otelkit.delivery.transport._kept._IDLE_S", 0.0)
        assert ["ok", "ok"] == [transport.send(b"", timeout_s=10).kind for _ in range(2)]
    assert 2 == len(peer.connections)


def test_after_close(link):
    """A closed transport opens a new connection for the next request."""
    with http_peer(response()) as peer:
        transport = link(peer.url)
        transport.send(b"", timeout_s=10)
        transport.close()
        assert "ok" == transport.send(b"", timeout_s=10).kind


def test_other_protocol(link):
    """A port of gRPC, which does not speak HTTP/1.1, is told apart from one that is silent."""
    with grpc_peer(lambda *_: b"") as port:
        answer = link(f"http://localhost:{port}/").send(b"", timeout_s=10)
    assert "retry" == answer.kind
    assert "no HTTP/1.1 answer" in answer.message
