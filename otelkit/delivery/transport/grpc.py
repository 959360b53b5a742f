"""OTLP over gRPC: unary calls over h2, without the grpcio library.

grpcio runs threads of its own, must not be used on both sides of a fork, and ends a call when it
likes. A unary call is one POST over HTTP/2.

Source: "gRPC over HTTP2" (grpc/doc/PROTOCOL-HTTP2.md); OpenTelemetry Protocol Specification,
"OTLP/gRPC".
"""

from __future__ import annotations

import base64
import struct
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from otelkit.delivery.transport._basic import basic
from otelkit.delivery.transport._dial import dial
from otelkit.delivery.transport._grpc_answer import grpc_answer
from otelkit.delivery.transport._kept import KeptTransport
from otelkit.delivery.transport._mismatch import TLS_PORT
from otelkit.delivery.transport._quiet import quiet
from otelkit.delivery.transport._words import secrets

if TYPE_CHECKING:
    from collections.abc import Callable

    from otelkit.delivery.transport import Answer, Transport
    from otelkit.delivery.transport._h2 import Session
    from otelkit.delivery.transport._limit import Limit
    from otelkit.delivery.transport._tls import Tls
    from otelkit.settings import OtlpTarget

    _Fields = Callable[[int], list[tuple[str, str]]]

__all__ = ["grpc_transport"]

_SERVICES = {
    "traces": "trace.v1.TraceService",
    "logs": "logs.v1.LogsService",
    "metrics": "metrics.v1.MetricsService",
}
# Theirs is the protocol: what the user sets of these would break it.
_RESERVED = frozenset(
    {"te", "content-type", "user-agent", "host", "connection", "content-length", "transfer-encoding"}
)
_MAX_TIMEOUT_MS = 99_999_999  # eight digits


def grpc_transport(target: OtlpTarget, *, signal: str, agent: str, tls: Tls | None) -> Transport:
    """A transport for OTLP/gRPC; nothing is opened or imported before its first send.

    Args:
        target: Where and how.
        signal: ``traces``, ``logs`` or ``metrics``.
        agent: The ``user-agent``.
        tls: For a connection with TLS.
    """
    definition, metadata = _definition(target, signal, agent, secure=tls is not None), _metadata(target)

    def fields(timeout_ms: int) -> list[tuple[str, str]]:
        return [*definition, ("grpc-timeout", f"{timeout_ms}m"), *metadata]

    def connect(limit: Limit) -> GrpcConnection:
        return _connect(target, fields, signal, tls, limit)

    shown = {"authorization": basic(urlsplit(target.url)), **target.headers}
    return KeptTransport(connect, compression=target.compression, secrets=secrets(target.url, shown))


def _definition(target: OtlpTarget, signal: str, agent: str, *, secure: bool) -> list[tuple[str, str]]:
    fields = [
        (":method", "POST"),
        (":scheme", "https" if secure else "http"),
        (":path", f"/opentelemetry.proto.collector.{_SERVICES[signal]}/Export"),
        (":authority", urlsplit(target.url).netloc.rpartition("@")[2]),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
        ("user-agent", agent),
        ("grpc-accept-encoding", "identity,gzip"),
    ]
    if target.compression == "gzip":
        fields.append(("grpc-encoding", "gzip"))
    return fields


def _metadata(target: OtlpTarget) -> list[tuple[str, str]]:
    credentials = basic(urlsplit(target.url))
    given = {"authorization": credentials} if credentials else {}
    given |= {name.lower(): value for name, value in target.headers.items()}
    return [
        (name, _binary(value) if name.endswith("-bin") else value)
        for name, value in given.items()
        if name not in _RESERVED and not name.startswith((":", "grpc-"))
    ]


def _binary(value: str) -> str:
    return base64.b64encode(value.encode()).decode().rstrip("=")


def _connect(
    target: OtlpTarget, fields: _Fields, signal: str, tls: Tls | None, limit: Limit
) -> GrpcConnection:
    from otelkit.delivery.transport import _proxy
    from otelkit.delivery.transport._h2 import Session

    quiet()
    parts = urlsplit(target.url)
    host = parts.hostname or ""
    # Without a port every gRPC library takes 443 for TLS; 4317 is OTLP's own.
    port = parts.port or (4317 if tls is None else 443)
    proxy = _proxy.find(host, port, variables=("grpc", "https", "http"), exceptions=("no_grpc", "no"))
    stream = dial(host, port, tls=tls, limit=limit, proxy=proxy)
    try:
        session = Session(stream, silence=TLS_PORT if tls is None else "")
    except BaseException:
        stream.close()
        raise
    return GrpcConnection(
        session, fields=fields, compressed=target.compression == "gzip", signal=signal, limit=limit
    )


class GrpcConnection:
    """A connection for calls of one method."""

    def __init__(
        self, session: Session, *, fields: _Fields, compressed: bool, signal: str, limit: Limit
    ) -> None:
        self._session = session
        self._fields = fields
        self._compressed = compressed
        self._signal = signal
        self._limit = limit

    def request(self, payload: bytes) -> Answer:
        """Call the method with ``payload``."""
        left_ms = min(int(1000 * self._limit.left()) + 1, _MAX_TIMEOUT_MS)
        prefix = struct.pack(">BI", self._compressed, len(payload))
        call = self._session.call(self._fields(left_ms), [part for part in (prefix, payload) if part])
        return grpc_answer(self._signal, call.fields, bytes(call.body), call.reset)

    def reusable(self) -> bool:
        """Whether the connection is open, and the peer has not announced its end."""
        return self._session.alive()

    def close(self) -> None:
        """Close it."""
        self._session.close()
