"""OTLP over HTTP/1.1: urllib3 speaks the protocol, over a stream whose waits end with the deadline.

Source: OpenTelemetry Protocol Specification, "OTLP/HTTP".
"""

from __future__ import annotations

import io
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from otelkit.delivery.transport._basic import basic
from otelkit.delivery.transport._dial import dial
from otelkit.delivery.transport._failures import Failure, Interrupted, Unanswered
from otelkit.delivery.transport._http_answer import http_answer
from otelkit.delivery.transport._kept import KeptTransport
from otelkit.delivery.transport._mismatch import GRPC_PORT, HEAD, TLS_PORT, is_http2, is_tls
from otelkit.delivery.transport._quiet import quiet
from otelkit.delivery.transport._words import secrets

if TYPE_CHECKING:
    from collections.abc import Mapping

    from urllib3 import HTTPResponse

    from otelkit.delivery.transport import Answer, Transport
    from otelkit.delivery.transport._limit import Limit
    from otelkit.delivery.transport._line import Stream
    from otelkit.delivery.transport._tls import Tls
    from otelkit.settings import OtlpTarget

__all__ = ["http_transport"]

_PORTS = {"http": 80, "https": 443}
_MAX_BODY = 65_536
_FRAMING = frozenset({"connection", "content-length", "transfer-encoding"})


def http_transport(target: OtlpTarget, *, signal: str, agent: str, tls: Tls | None) -> Transport:
    """A transport for OTLP/HTTP; nothing is opened or imported before its first send.

    Args:
        target: Where and how.
        signal: ``traces``, ``logs`` or ``metrics``: how to read the answer's body.
        agent: The ``User-Agent``.
        tls: For an https address.
    """
    headers = _headers(target, agent)

    def connect(limit: Limit) -> HttpConnection:
        return _connect(target, headers, signal, tls, limit)

    given = {**target.headers, "authorization": headers.get("authorization", "")}
    return KeptTransport(connect, compression=target.compression, secrets=secrets(target.url, given))


def _headers(target: OtlpTarget, agent: str) -> dict[str, str]:
    parts = urlsplit(target.url)
    headers = {"user-agent": agent, "host": parts.netloc.rpartition("@")[2]}
    if credentials := basic(parts):
        headers["authorization"] = credentials
    headers |= {name: value for name, value in target.headers.items() if name not in _FRAMING}
    headers["content-type"] = "application/x-protobuf"
    if target.compression in ("gzip", "deflate"):
        headers["content-encoding"] = target.compression
    return headers


def _connect(
    target: OtlpTarget, headers: Mapping[str, str], signal: str, tls: Tls | None, limit: Limit
) -> HttpConnection:
    from urllib3.util import parse_url

    from otelkit.delivery.transport import _proxy

    quiet()
    parts = urlsplit(target.url)
    host, port = parts.hostname or "", parts.port or _PORTS[parts.scheme]
    proxy = _proxy.find(host, port, variables=(parts.scheme, "all"), exceptions=("no",))
    forward = proxy is not None and tls is None
    url = parse_url(target.url)._replace(auth=None, fragment=None)
    stream = dial(host, port, tls=tls, limit=limit, proxy=proxy, forward=forward)
    return HttpConnection(
        stream,
        url=url.url if forward else url.request_uri,
        headers={**headers, **proxy.headers} if proxy is not None and forward else headers,
        signal=signal,
        through=f"through the proxy {proxy.place} ({proxy.why}): " if proxy is not None and forward else "",
    )


class HttpConnection:
    """A keep-alive connection to one address.

    Args:
        stream: The way there.
        url: The target of each request.
        headers: Of each request.
        signal: ``traces``, ``logs`` or ``metrics``.
        through: The proxy that reads the requests, for the message of an answer which may be its own.
    """

    def __init__(
        self, stream: Stream, *, url: str, headers: Mapping[str, str], signal: str, through: str
    ) -> None:
        from otelkit.delivery.transport._http1 import Http1Connection

        self._stream = stream
        self._url = url
        self._headers = headers
        self._signal = signal
        self._through = through
        self._socket = _Socket(stream)
        self._http: Any = Http1Connection("")
        self._http.sock = self._socket

    def request(self, payload: bytes) -> Answer:
        """Send ``payload`` and read the response."""
        from http.client import HTTPException, RemoteDisconnected

        from urllib3.exceptions import HTTPError

        self._socket.begin()
        try:
            try:
                self._http.request(
                    "POST", self._url, body=payload, headers=self._headers, preload_content=False
                )
            except Unanswered:
                pass  # The answer to a request that is too large may come before its end.
            response = self._http.getresponse()
        except RemoteDisconnected:
            raise Unanswered("the connection was closed without an answer") from None
        except Unanswered as failure:
            if self._socket.received:
                raise Failure(f"{failure} in the midst of an answer") from failure
            raise
        except (HTTPException, HTTPError) as error:
            raise Failure(f"what came back is no HTTP/1.1 answer ({type(error).__name__})") from error
        answer = http_answer(self._signal, response.status, response.headers, self._body(response))
        # Nothing in an answer tells for certain whose it is.
        return answer if answer.kind == "ok" else replace(answer, message=self._through + answer.message)

    def _body(self, response: HTTPResponse) -> bytes:
        """The body, or nothing if it does not come: the status has said what matters."""
        from http.client import HTTPException

        from urllib3.exceptions import HTTPError

        closing = self._http.sock is None
        self._http.sock = None
        self._socket.answered = True
        try:
            body = response.read(_MAX_BODY)
            if not closing and not response.read(1):
                self._http.sock = self._socket
        except Interrupted:
            raise
        except (Failure, HTTPException, HTTPError):
            return b""
        return body

    def reusable(self) -> bool:
        """Whether the last answer was read to its end and the peer has not closed since."""
        try:
            return self._http.sock is not None and self._stream.receive(1, wait=False) is None
        except Failure:
            return False

    def close(self) -> None:
        """Close the stream."""
        self._http.close()
        self._stream.close()


class _Socket:
    """What `http.client` wants of a socket, over a `Stream`.

    Attributes:
        received: The first bytes that came in answer to the request.
        answered: Whether the answer has come but for its body; the connection may be lost then.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self.begin()

    def begin(self) -> None:
        """Start with another request."""
        self.received = b""
        self.answered = False

    def sendall(self, data: bytes) -> None:
        self._stream.send(data)

    def receive(self, size: int) -> bytes:
        try:
            data = self._stream.receive(size) or b""
        except Unanswered:
            if not self.answered:
                raise
            return b""  # What came of the body before counts.
        if len(self.received) < HEAD:
            self.received += data[: HEAD - len(self.received)]
            self._check()
        return data

    def _check(self) -> None:
        """Whether HTTP/1.1 is spoken: the end of any other answer is not waited for, nor its reset."""
        if is_http2(self.received):
            raise Failure(f"what came back is no HTTP/1.1 answer but HTTP/2; {GRPC_PORT}")
        if is_tls(self.received):
            raise Failure(f"what came back is no HTTP/1.1 answer but an alert of TLS; {TLS_PORT}")

    def makefile(self, mode: str) -> io.BufferedReader:
        del mode
        return io.BufferedReader(_Reader(self))

    def settimeout(self, timeout_s: object) -> None:
        """Nothing: the limit sets it."""

    def close(self) -> None:
        """Nothing: a response may still be read, and the connection closes the stream."""


class _Reader(io.RawIOBase):
    """The receiving side of a `_Socket` as a file."""

    def __init__(self, source: _Socket) -> None:
        super().__init__()
        self._source = source

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._source.receive(len(buffer))
        buffer[: len(data)] = data
        return len(data)
