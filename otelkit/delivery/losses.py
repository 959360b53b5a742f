"""What was lost or is left, in one line for people."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otelkit.delivery.accounting import Counts

__all__ = ["lost_items", "lost_line"]

_NOUNS = {"traces": "spans", "logs": "log records", "metrics": "metric points"}

_TOO_LARGE = (
    "Raise the receiver's size limit (max_request_body_size over HTTP, max_recv_msg_size_mib over gRPC) "
    "or shorten attributes (OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT)."
)
_COMPRESSED = "If the receiver does not take what is compressed, set OTEL_EXPORTER_OTLP_COMPRESSION=none."
_CREDENTIALS = "Check the credentials in headers= (OTEL_EXPORTER_OTLP_HEADERS); what is refused is not kept."
_PROXY = "Check that the proxy runs and connects to the collector, or leave it out."
_PATH = (
    "check the address and its path (the endpoint's variable, OTEL_EXPORTER_OTLP_ENDPOINT or the signal's "
    "own, which needs its path: /v1/{signal}); what is refused is not kept."
)
_NO_GRPC = (
    "check the address (the endpoint's variable, OTEL_EXPORTER_OTLP_ENDPOINT or the signal's own): "
    "it leads to no receiver of OTLP over gRPC; what is refused is not kept."
)
# Jaeger, for one, takes traces alone; the others are as unknown to it as a wrong address is.
_OPTIONAL = ("logs", "metrics")
# What an answer advises; the first that fits. The words are the collector's and gRPC's.
_ADVICE = {
    r"\bHTTP 413\b|(?i:request body too large|message .*larger than max)": _TOO_LARGE,
    r"\bHTTP 415\b|(?i:unsupported content-encoding|decompressor is not installed)": _COMPRESSED,
    r"\bHTTP (401|403)\b|\b(UNAUTHENTICATED|PERMISSION_DENIED)\b": _CREDENTIALS,
    r"\(a proxy: |\bthe proxy \S+ (does not connect|gave no answer)": _PROXY,
}
_GRPC_UNKNOWN = re.compile(r"\bUNIMPLEMENTED\b|\bHTTP (404|405) .*not an answer of gRPC")
_HTTP_UNKNOWN = re.compile(r"\bHTTP (404|405)\b")
_OTHERWISE = "Check that the collector can be reached and takes them."


def lost_items(count: Counts, *, final: bool) -> int:
    """The items that are lost; at the end also those that a thread which hangs still has."""
    return count.lost + (count.queued + count.in_flight if final else 0)


def lost_line(counts: Mapping[str, Counts], *, where: str, final: bool, reason: str = "") -> str | None:
    """One line that says what was lost or is left, for people; None when nothing is.

    Args:
        counts: The counts by signal.
        where: The destination.
        final: Whether this is the end of the process's telemetry.
        reason: What the receiver or the network said last.
    """
    gone, kept = [], []
    for signal, count in counts.items():
        reasons = {**count.dropped, "rejected": count.rejected}
        lost = lost_items(count, final=final)
        reasons["still on the way"] = lost - count.lost
        if lost:
            told = ", ".join(f"{name} {number}" for name, number in sorted(reasons.items()) if number)
            gone.append(f"{_counted(lost, signal)} ({told})")
        if final and count.spooled:
            kept.append(_counted(count.spooled, signal))
    if not gone and not kept:
        return None
    parts = [f"not delivered to {where} {'at the end' if final else 'so far'}"]
    parts += [f"lost: {'; '.join(gone)}"] if gone else []
    parts += [f"kept on disk for the next process: {'; '.join(kept)}"] if kept else []
    hint = f" The last answer was: {reason.rstrip('.')}." if reason else ""
    return f"{', '.join(parts)}.{hint} {_advice(reason, counts)}"


def _advice(reason: str, counts: Mapping[str, Counts]) -> str:
    """What to look at, by the receiver's last answer."""
    for answer, advice in _ADVICE.items():
        if re.search(answer, reason):
            return advice
    if _GRPC_UNKNOWN.search(reason):
        advice = _unknown(counts, _NO_GRPC)
    elif _HTTP_UNKNOWN.search(reason):
        advice = _unknown(counts, _PATH)
    else:
        advice = _OTHERWISE
    return advice[0].upper() + advice[1:]


def _unknown(counts: Mapping[str, Counts], address: str) -> str:
    """What to look at where the receiver knows no such service or path: the signal, the address, or both."""
    refused = [signal for signal, count in counts.items() if count.rejected and not count.delivered]
    address = address.format(signal=next(iter(refused), "traces"))
    absent = [signal for signal in _OPTIONAL if signal in refused]
    if not absent or "traces" in refused:
        return address
    variables = " and ".join(f"OTEL_{signal.upper()}_EXPORTER=none" for signal in absent)
    taken = f"takes no {' and no '.join(absent)}, as Jaeger takes traces only"
    return f"if the receiver {taken}, set {variables}; else {address}"


def _counted(number: int, signal: str) -> str:
    noun = _NOUNS.get(signal, signal)
    return f"{number} {noun.removesuffix('s') if number == 1 else noun}"
