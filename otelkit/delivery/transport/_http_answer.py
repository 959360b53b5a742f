"""What an HTTP status means to a sender of OTLP.

Source: OpenTelemetry Protocol Specification, "OTLP/HTTP Response" and "Retryable Response Codes".
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from otelkit._clock import SYSTEM_CLOCK
from otelkit.delivery.transport import Answer
from otelkit.delivery.transport._mismatch import refusal_of_plain_http
from otelkit.delivery.transport._partial import partial_success

__all__ = ["http_answer", "retry_after"]

# 408 is not in the specification's list; a proxy that waited in vain for our body says it.
_RETRYABLE = frozenset({408, 429, 502, 503, 504})
_INTERIM = range(100, 200)
_SUCCESS = range(200, 300)
_REDIRECTION = range(300, 400)
_SECONDS = re.compile(r"[0-9]{1,9}")
# A page comes from a proxy that wants a login, say. Many a simple receiver calls its "OK" text/html, too.
_HTML = frozenset({"text/html", "application/xhtml+xml"})
_PAGE = re.compile(rb"\s*(?:<!doctype\s+html|<html)\b", re.IGNORECASE)


def http_answer(signal: str, status: int, headers: Mapping[str, str], body: bytes) -> Answer:
    """The answer that a response is.

    Args:
        signal: ``traces``, ``logs`` or ``metrics``.
        status: The status code.
        headers: The response's, with names found in lower case.
        body: What of it is known; perhaps cut short.
    """
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if status in _INTERIM:
        return Answer(kind="retry", message=f"{_phrase(status)}, which is no answer to a request of OTLP")
    if status in _SUCCESS:
        if kind in _HTML and _PAGE.match(body):
            return Answer(
                kind="retry", message=f"{_phrase(status)} with a page of HTML, which no receiver sends"
            )
        rejected, said = partial_success(signal, body, json=kind == "application/json")
        return Answer(kind="ok", rejected=rejected, message=said)
    message = _phrase(status)
    if status == HTTPStatus.BAD_REQUEST and (said := refusal_of_plain_http(kind, body)):
        return Answer(
            kind="retry",
            message=f"{message}: {said}; use https:// in the endpoint (OTEL_EXPORTER_OTLP_ENDPOINT)",
        )
    if status in _REDIRECTION:
        location = _shown(headers.get("location", ""))
        return Answer(kind="refused", message=f"{message}: redirected to {location or 'nowhere'}")
    if said := _said(kind, body):
        message = f"{message}: {said}"
    if status in _RETRYABLE:
        wait_s = retry_after(headers.get("retry-after", ""))
        return Answer(kind="retry", message=message, answered=True, retry_after_s=wait_s)
    if status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
        return Answer(kind="split", message=message)
    return Answer(kind="bad" if status == HTTPStatus.BAD_REQUEST else "refused", message=message)


def retry_after(text: str) -> float | None:
    """Seconds to wait by a ``Retry-After`` header, or None for one that nobody can read.

    Source: RFC 9110, section 10.2.3: seconds, or a date.
    """
    text = text.strip()
    if _SECONDS.fullmatch(text):
        return float(text)
    try:
        return max(parsedate_to_datetime(text).timestamp() - SYSTEM_CLOCK.time_ns() / 1e9, 0.0)
    except (TypeError, ValueError, IndexError, OverflowError):
        return None


def _phrase(status: int) -> str:
    try:
        return f"HTTP {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"HTTP {status}"


def _shown(location: str) -> str:
    """A redirection's target without credentials, query and fragment."""
    try:
        parts = urlsplit(location)
    except ValueError:
        return "an unreadable address"
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", ""))


def _said(kind: str, body: bytes) -> str:
    """The message in the body of an error: OTLP's ``Status``, or text; a page of HTML says nothing."""
    if kind in ("application/x-protobuf", "application/protobuf"):
        return _status_message(body, json=False)
    if kind == "application/json":
        return _status_message(body, json=True) or body.decode("utf-8", "replace")
    return body.decode("utf-8", "replace") if kind == "text/plain" else ""


def _status_message(body: bytes, *, json: bool) -> str:
    from google.rpc import status_pb2  # type: ignore[import-untyped]

    status: Any = status_pb2.Status()
    try:
        if json:
            from google.protobuf import json_format  # type: ignore[import-untyped]

            json_format.Parse(body, status, ignore_unknown_fields=True)
        else:
            status.ParseFromString(body)
    except Exception:
        return ""
    return str(status.message)
