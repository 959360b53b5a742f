"""What a gRPC status means to a sender of OTLP.

Source: OpenTelemetry Protocol Specification, "OTLP/gRPC Response"; gRPC over HTTP2 and "HTTP to gRPC
Status Code Mapping" (grpc/doc).
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from otelkit.delivery.transport import Answer
from otelkit.delivery.transport._http_answer import retry_after
from otelkit.delivery.transport._partial import partial_success

__all__ = ["grpc_answer"]

_NAMES = (
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
)
_RETRYABLE = frozenset(
    {"CANCELLED", "DEADLINE_EXCEEDED", "ABORTED", "OUT_OF_RANGE", "UNAVAILABLE", "DATA_LOSS"}
)
_TOO_LARGE = "larger than max"  # as grpc-go and grpc-core word it
_RETRYABLE_HTTP = frozenset({"429", "502", "503", "504"})
_MAX_MESSAGE = 65_536
_PREFIX = 5

# RFC 9113, section 7. REFUSED_STREAM and CANCEL map to retryable codes ("gRPC over HTTP2", errors);
# ENHANCE_YOUR_CALM maps to RESOURCE_EXHAUSTED, of bandwidth, which is only a matter of time.
_RETRYABLE_RESETS = {0x7: "REFUSED_STREAM", 0x8: "CANCEL", 0xB: "ENHANCE_YOUR_CALM"}


def grpc_answer(signal: str, fields: Mapping[str, str], body: bytes, reset: int | None) -> Answer:
    """The answer that a response is.

    Args:
        signal: ``traces``, ``logs`` or ``metrics``.
        fields: Its headers and trailers together.
        body: Its data: the message with its prefix.
        reset: The error code with which the peer broke it off, or None.
    """
    status = fields.get("grpc-status", "")
    if not status.isascii() or not status.isdigit():
        return _without_status(fields, reset)
    code = int(status[:9])
    name = _NAMES[code] if code < len(_NAMES) else f"code {code}"
    if name == "OK":
        rejected, said = partial_success(signal, _message(fields, body))
        return Answer(kind="ok", rejected=rejected, message=said)
    said = unquote(fields.get("grpc-message", ""), errors="replace")
    message = f"{name}: {said}" if said else name
    if name in _RETRYABLE or name == "RESOURCE_EXHAUSTED":
        wait_s = _retry_delay(fields.get("grpc-status-details-bin", ""))
        if name in _RETRYABLE or wait_s is not None:
            return Answer(kind="retry", message=message, answered=True, retry_after_s=wait_s)
        return Answer(kind="split" if _TOO_LARGE in said.lower() else "refused", message=message)
    return Answer(kind="bad" if name == "INVALID_ARGUMENT" else "refused", message=message)


def _without_status(fields: Mapping[str, str], reset: int | None) -> Answer:
    """A response that a proxy made, or that was broken off."""
    if reset is not None:
        name = _RETRYABLE_RESETS.get(reset)
        said = f"the peer broke the request off ({name or f'HTTP/2 error {reset}'})"
        return Answer(kind="retry" if name else "refused", message=said)
    status, kind = fields.get(":status", ""), fields.get("content-type", "")
    if status in _RETRYABLE_HTTP:
        wait_s = retry_after(fields.get("retry-after", ""))
        return Answer(kind="retry", message=f"HTTP {status}", answered=True, retry_after_s=wait_s)
    if status == "413":
        return Answer(kind="split", message="HTTP 413")
    if status == "200" and kind.startswith("application/grpc"):
        # Cut off on its way; nothing says that the request failed, or that it did not.
        return Answer(kind="retry", message="the answer ended without a grpc-status")
    return Answer(
        kind="refused", message=f"HTTP {status} ({kind or 'no content-type'}), not an answer of gRPC"
    )


def _message(fields: Mapping[str, str], body: bytes) -> bytes:
    """The message without prefix and compression; nothing if it cannot be read."""
    message = bytes(body[_PREFIX:])
    if not body[:1].strip(b"\0"):
        return message
    if fields.get("grpc-encoding") != "gzip":
        return b""
    try:
        return zlib.decompressobj(wbits=31).decompress(message, _MAX_MESSAGE)
    except zlib.error:
        return b""


def _retry_delay(details: str) -> float | None:
    """The seconds of a ``google.rpc.RetryInfo`` among the details of a status."""
    if not details:
        return None
    from google.rpc import error_details_pb2, status_pb2  # type: ignore[import-untyped]

    status: Any = status_pb2.Status()
    info: Any = error_details_pb2.RetryInfo()
    try:
        status.ParseFromString(base64.b64decode(details + "=" * (-len(details) % 4)))
        if not any(detail.Unpack(info) for detail in status.details):
            return None
    except Exception:  # protobuf's DecodeError, and binascii.Error
        return None
    return max(float(info.retry_delay.seconds + info.retry_delay.nanos / 1e9), 0.0)
