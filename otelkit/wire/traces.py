"""Finished spans as an ``ExportTraceServiceRequest``.

Source: opentelemetry/proto/trace/v1/trace.proto. What is in a span and how is what the official encoder
has (opentelemetry.exporter.otlp.proto.common); where that one raises, this one mends.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import attrgetter
from struct import Struct
from typing import TYPE_CHECKING, Any

from otelkit.wire._protobuf import FIXED32, FIXED64, LEN, VARINT, count, delimited, is_whole, tag, uint64_or_0
from otelkit.wire.encoded import Encoded
from otelkit.wire.resource import Groups
from otelkit.wire.stub import error_field, read
from otelkit.wire.values import Attributes, TextField, utf8

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

__all__ = ["encode"]

# Span: trace_id 1, span_id 2, trace_state 3, parent_span_id 4, name 5, kind 6, start 7, end 8,
# attributes 9, dropped 10, events 11, dropped 12, links 13, dropped 14, status 15, flags 16.
_TRACE_STATE, _EVENT, _LINK, _STATUS = tag(3, LEN), tag(11, LEN), tag(13, LEN), tag(15, LEN)
_DROPPED_EVENTS, _DROPPED_LINKS = tag(12, VARINT), tag(14, VARINT)
_NAME, _name = tag(5, LEN), TextField(5)
_attributes = Attributes(9, dropped=10)

# The part of fixed size, in one go: trace_id, span_id, start, end, flags.
_head = Struct("<2s16s2s8sBQBQ2sI").pack
_TRACE_ID, _SPAN_ID, _PARENT_ID = tag(1, LEN) + b"\x10", tag(2, LEN) + b"\x08", tag(4, LEN) + b"\x08"
_times = Struct("<BQBQ").pack
_START, _END, _FLAGS = tag(7, FIXED64)[0], tag(8, FIXED64)[0], tag(16, FIXED32)

# By the value of the API's SpanKind, which begins at 0 with INTERNAL, where OTLP has UNSPECIFIED.
_KINDS = {kind: tag(6, VARINT) + bytes((kind + 1,)) for kind in range(5)}

# Status: message 2, code 3.
_STATUS_MESSAGE = tag(2, LEN)
_STATUS_CODES = {0: b"", 1: tag(3, VARINT) + b"\x01", 2: tag(3, VARINT) + b"\x02"}
_STATUS_ALONE: dict[int | None, bytes] = {None: b""}
_STATUS_ALONE |= {code: delimited(_STATUS, field) for code, field in _STATUS_CODES.items()}

# Event: time 1, name 2, attributes 3, dropped 4.
_event_time = Struct("<BQ").pack
_EVENT_TIME = tag(1, FIXED64)[0]
_event_name = TextField(2)
_event_attributes = Attributes(3, dropped=4)

# Link: trace_id 1, span_id 2, attributes 4, dropped 5, flags 6 (and trace_state 3, not sent by the SDK).
_link_head = Struct("<2s16s2s8sBI").pack
_LINK_FLAGS = tag(6, FIXED32)[0]
_link_attributes = Attributes(4, dropped=5)

# SpanFlags: whether the context is remote is known, and it is.
_REMOTE_KNOWN, _REMOTE = 0x100, 0x200

_to_bytes = int.to_bytes

# What stands behind the properties, which copy it at each use.
_behind = attrgetter(
    *("_name", "_context", "_kind._value_", "_parent", "_start_time", "_end_time"),
    *("_attributes", "_events", "_links", "_status._status_code._value_", "_status._description"),
)
_owners_behind = attrgetter("_resource", "_instrumentation_scope")


def encode(spans: Sequence[ReadableSpan]) -> Encoded:
    """An ``ExportTraceServiceRequest`` of spans.

    Args:
        spans: Spans that have ended, of any tracer provider.

    Returns:
        The request. Text that UTF-8 cannot hold, integers beyond 64 bits, objects that are no
        attribute values and times that are none are mended; an event or a link that cannot be
        encoded counts as dropped. A span whose ids are none, or that raises when it is read, is a
        stub: its ids if they can be used, its name, its times, and why (``otelkit.encode_error``).
        Never raises.
    """
    groups = Groups()
    failed = 0
    for span in spans:
        try:
            body = _span(span)
        except Exception as problem:
            body = _stub(span, problem)
            failed += 1
        groups.add(*_owners(span), body)
    return Encoded(groups.body(), len(spans), failed)


def _owners(span: Any) -> tuple[Any, Any]:
    try:
        resource, scope = _owners_behind(span)
    except Exception:  # somebody else's class
        resource, scope = read(span, "resource"), read(span, "instrumentation_scope")
    return resource, scope


def _span(span: Any) -> bytes:
    try:
        fields = _behind(span)
    except AttributeError:
        fields = _in_public(span)
    name, context, kind, parent, start, end, attributes, events, links, code, message = fields
    parts = [_fixed(context, parent, start, end), _name[name], _KINDS.get(kind, b"")]
    if parent is not None:
        parts.append(_PARENT_ID + _to_bytes(parent.span_id, 8, "big"))
    parts += _attributes(attributes)
    parts += _each(events, _event, _EVENT, _DROPPED_EVENTS)
    parts += _each(links, _link, _LINK, _DROPPED_LINKS)
    parts.append(_status(code, message) if message else _STATUS_ALONE[code])
    state = context.trace_state
    if getattr(state, "_dict", state):
        parts.append(delimited(_TRACE_STATE, utf8(_header(state))))
    return b"".join(parts)


def _in_public(span: Any) -> Any:
    """The fields of a span of somebody else's class."""
    status = span.status
    return (
        *(
            span.name,
            span.get_span_context(),
            getattr(span.kind, "value", None),
            span.parent,
            span.start_time,
            span.end_time,
        ),
        *(span.attributes, span.events, span.links),
        *((None, None) if status is None else (status.status_code.value, status.description)),
    )


def _fixed(context: Any, parent: Any, start: Any, end: Any) -> bytes:
    trace_id, span_id = _to_bytes(context.trace_id, 16, "big"), _to_bytes(context.span_id, 8, "big")
    flags = _flags(parent)
    try:
        return _head(_TRACE_ID, trace_id, _SPAN_ID, span_id, _START, start, _END, end, _FLAGS, flags)
    except Exception:  # no times
        start, end = uint64_or_0(start), uint64_or_0(end)
        return _head(_TRACE_ID, trace_id, _SPAN_ID, span_id, _START, start, _END, end, _FLAGS, flags)


def _flags(context: Any) -> int:
    return _REMOTE_KNOWN | _REMOTE if context is not None and context.is_remote else _REMOTE_KNOWN


def _header(trace_state: Any) -> str:
    return ",".join([f"{key}={value}" for key, value in trace_state.items()])


def _status(code: Any, message: Any) -> bytes:
    return delimited(_STATUS, _STATUS_CODES[code] + delimited(_STATUS_MESSAGE, utf8(message)))


def _each(items: Any, encoded: Callable[[Any], bytes], item_tag: bytes, dropped_tag: bytes) -> list[bytes]:
    """The fields for events or links, and how many are missing."""
    dropped = getattr(items, "dropped", 0)
    held = getattr(items, "_dq", items)  # the SDK's list locks itself at each use
    if not held and not dropped:
        return []
    fields = []
    for item in held:
        try:
            fields.append(delimited(item_tag, encoded(item)))
        except Exception:
            dropped += 1
    fields.append(count(dropped_tag, dropped))
    return fields


def _event(event: Any) -> bytes:
    try:
        parts = [_event_time(_EVENT_TIME, event.timestamp)]
    except Exception:  # no time
        parts = [_event_time(_EVENT_TIME, uint64_or_0(event.timestamp))]
    parts.append(_event_name[event.name])
    parts += _event_attributes(event.attributes)
    return b"".join(parts)


def _link(link: Any) -> bytes:
    context = link.context
    trace_id, span_id = _to_bytes(context.trace_id, 16, "big"), _to_bytes(context.span_id, 8, "big")
    parts = [_link_head(_TRACE_ID, trace_id, _SPAN_ID, span_id, _LINK_FLAGS, _flags(context))]
    parts += _link_attributes(link.attributes)
    return b"".join(parts)


def _stub(span: Any, problem: Exception) -> bytes:
    """What can be told of a span that cannot be encoded."""
    context, parent, name = read(span, "context"), read(span, "parent"), read(span, "name")
    ids = (
        (_TRACE_ID, read(context, "trace_id"), 16),
        (_SPAN_ID, read(context, "span_id"), 8),
        (_PARENT_ID, read(parent, "span_id"), 8),
    )
    start, end = uint64_or_0(read(span, "start_time")), uint64_or_0(read(span, "end_time"))
    shown = name if issubclass(type(name), str) else "<unencodable span>"
    return b"".join(
        [
            *[
                field + _to_bytes(value, size, "big")
                for field, value, size in ids
                if is_whole(value, 8 * size)
            ],
            _times(_START, start, _END, end),
            delimited(_NAME, utf8(shown)),
            error_field(_attributes, problem),
        ]
    )
