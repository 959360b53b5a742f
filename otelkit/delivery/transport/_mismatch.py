"""What a peer is when it does not speak what the endpoint names: told by the first bytes it says."""

from __future__ import annotations

import re

__all__ = ["GRPC_PORT", "HEAD", "TLS_PORT", "is_http2", "is_tls", "refusal_of_plain_http"]

HEAD = 9
"""As many bytes are enough: the head of a frame of HTTP/2."""

GRPC_PORT = "a port of OTLP over gRPC would answer so: if it is one, set OTEL_EXPORTER_OTLP_PROTOCOL=grpc"
TLS_PORT = "a port with TLS would do so: if it is one, use https://"

_SETTINGS, _GOAWAY = 0x4, 0x7  # RFC 9113, section 3.4: a server speaks first, with SETTINGS
_ALERT = b"\x15\x03"  # RFC 8446, section 5.1: the type of a record, and the major version
_GO = b"Client sent an HTTP request to an HTTPS server."  # net/http, without any header
_NGINX = re.compile(
    rb"<html>\s*<head><title>400 (The plain HTTP request was sent to HTTPS port)</title></head>"
)


def is_http2(head: bytes) -> bool:
    """Whether ``head``, the first bytes of a connection or the first of an answer, is a frame of HTTP/2."""
    return len(head) >= HEAD and head[3] in (_SETTINGS, _GOAWAY) and head[5:HEAD] == bytes(4)


def is_tls(head: bytes) -> bool:
    """Whether it is an alert of TLS, in the clear."""
    return head.startswith(_ALERT)


def refusal_of_plain_http(kind: str, body: bytes) -> str:
    """What the ``400`` of a server that wants TLS says, or nothing where it is any other answer.

    These two alone are told apart from what a receiver says of its data: Go's net/http and nginx
    answer so before anybody has looked at the request.

    Args:
        kind: The answer's type; ``""`` without one.
        body: Its body.
    """
    if not kind and body.strip() == _GO:
        return _GO.decode().rstrip(".")
    page = _NGINX.match(body) if kind == "text/html" else None
    return page[1].decode() if page else ""
