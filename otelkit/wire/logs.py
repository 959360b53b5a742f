"""Log records as an ``ExportLogsServiceRequest``.

Source: opentelemetry/proto/logs/v1/logs.proto. What is in a record and how is what the official encoder
has (opentelemetry.exporter.otlp.proto.common); where that one raises, this one mends.
"""

from __future__ import annotations

from collections.abc import Sequence
from operator import attrgetter
from struct import Struct
from typing import TYPE_CHECKING, Any

from otelkit.wire._protobuf import FIXED32, FIXED64, LEN, VARINT, is_whole, tag, uint32_or_0, uint64_or_0
from otelkit.wire.encoded import Encoded
from otelkit.wire.resource import Groups
from otelkit.wire.stub import error_field, read
from otelkit.wire.values import Attributes, TextField, any_value

if TYPE_CHECKING:
    from otelkit._otel import ReadableLogRecord

__all__ = ["encode"]

# LogRecord: time 1, severity_number 2, severity_text 3, body 5, attributes 6, dropped 7, flags 8,
# trace_id 9, span_id 10, observed_time 11, event_name 12.
_BODY = tag(5, LEN)
_severity_text = TextField(3)
_event_name = TextField(12)
_attributes = Attributes(6, dropped=7)

# The part of fixed size, in one go: time, observed_time, flags.
_head = Struct("<BQBQBI").pack
_TIME, _OBSERVED, _FLAGS = tag(1, FIXED64)[0], tag(11, FIXED64)[0], tag(8, FIXED32)[0]
_TRACE_ID, _SPAN_ID = tag(9, LEN) + b"\x10", tag(10, LEN) + b"\x08"

# By the value of the API's SeverityNumber.
_SEVERITIES = {number: tag(2, VARINT) + bytes((number,)) for number in range(25)}

_to_bytes = int.to_bytes

_fields = attrgetter(
    *("timestamp", "observed_timestamp", "trace_flags", "trace_id", "span_id"),
    *("severity_number", "severity_text", "body", "attributes"),
)
_owners_of = attrgetter("resource", "instrumentation_scope")


def encode(records: Sequence[ReadableLogRecord]) -> Encoded:
    """An ``ExportLogsServiceRequest`` of log records.

    Args:
        records: As a processor gets them, of any logger provider.

    Returns:
        The request. Text that UTF-8 cannot hold, integers beyond 64 bits and objects that are no
        attribute values are mended; ids, times and flags that are none are left out. A record that
        raises when it is read, or whose attributes are no mapping, is a stub: its ids, times and
        body as far as they can be read, and why (``otelkit.encode_error``). Never raises.
    """
    groups = Groups()
    failed = 0
    for record in records:
        try:
            body = _record(record.log_record)
        except Exception as problem:
            body = _stub(record, problem)
            failed += 1
        groups.add(*_owners(record), body)
    return Encoded(groups.body(), len(records), failed)


def _owners(record: Any) -> tuple[Any, Any]:
    try:
        resource, scope = _owners_of(record)
    except Exception:
        resource, scope = read(record, "resource"), read(record, "instrumentation_scope")
    return resource, scope


def _record(inner: Any) -> bytes:
    time, observed, flags, trace_id, span_id, severity, text, body, attributes = _fields(inner)
    parts = [
        _fixed(time, observed, flags),
        _ids(trace_id, span_id),
        _SEVERITIES.get(getattr(severity, "_value_", 0), b""),
        _severity_text[text],
        _BODY + any_value(body),
    ]
    parts += _attributes(attributes)
    event_name = getattr(inner, "event_name", None)
    if event_name is not None:
        parts.append(_event_name[event_name])
    return b"".join(parts)


def _fixed(time: Any, observed: Any, flags: Any) -> bytes:
    try:
        return _head(_TIME, time, _OBSERVED, observed, _FLAGS, flags)
    except Exception:  # no numbers, or not of this size
        time, observed, flags = uint64_or_0(time), uint64_or_0(observed), uint32_or_0(flags)
        return _head(_TIME, time, _OBSERVED, observed, _FLAGS, flags)


def _ids(trace_id: Any, span_id: Any) -> bytes:
    try:
        found = _TRACE_ID + _to_bytes(trace_id, 16, "big") if trace_id else b""
        return found + _SPAN_ID + _to_bytes(span_id, 8, "big") if span_id else found
    except Exception:  # no ids
        return _ids(trace_id if is_whole(trace_id, 128) else 0, span_id if is_whole(span_id, 64) else 0)


def _stub(record: Any, problem: Exception) -> bytes:
    """What can be told of a record that cannot be encoded."""
    inner = read(record, "log_record")
    body = read(inner, "body")
    parts = [
        _fixed(read(inner, "timestamp"), read(inner, "observed_timestamp"), 0),
        _ids(read(inner, "trace_id"), read(inner, "span_id")),
        _BODY + any_value(body if issubclass(type(body), str) else "<unencodable log record>"),
    ]
    parts.append(error_field(_attributes, problem))
    return b"".join(parts)
