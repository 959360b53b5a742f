"""One event, one line of JSON.

Keys, in this order: ``timestamp``, ``level``, ``event``, ``logger``, ``service``; ``trace_id``,
``span_id``, ``trace_flags`` inside a span only; the fields; ``stack`` and ``exception`` (the text
of the traceback) where there is one. A field of the application with one of these names keeps its
value under the name with an underscore (``level_``).
"""

from __future__ import annotations

import json
from json.encoder import encode_basestring as quote
from typing import TYPE_CHECKING, Any

from otelkit.logs.when import iso_utc
from otelkit.processors.limits import safe_str

if TYPE_CHECKING:
    from collections.abc import Callable

    from otelkit.logs.event import Event

__all__ = ["RESERVED", "json_renderer", "plain_text"]

RESERVED = frozenset((
    "timestamp", "level", "event", "logger", "service", "trace_id", "span_id", "trace_flags", "stack",
    "exception",
))  # fmt: skip

_MAX_INT_BITS = 4_096  # Python refuses to write longer ones in decimal


def plain_text(value: object) -> str:
    """The text of a value that JSON does not have; bytes are read as UTF-8."""
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else safe_str(value)


def _encoder() -> Callable[[dict[str, Any]], str]:
    # `JSONEncoder.encode` makes an accelerated encoder anew for each call, which takes longer than
    # the call; so one is made here, by the same arguments.
    make = getattr(json.encoder, "c_make_encoder", None)
    if make is None:
        return json.JSONEncoder(
            ensure_ascii=False,
            separators=(",", ":"),
            default=plain_text,
            check_circular=False,
            allow_nan=False,
        ).encode
    pieces = make(None, plain_text, quote, None, ":", ",", False, False, False)
    return lambda fields: "".join(pieces(fields, 0))


_encode = _encoder()


def json_renderer(*, service: str) -> Callable[[Event], str]:
    """A function that renders events.

    Args:
        service: The name of the service, on every line.

    Returns:
        A function from an event to one line without its end: valid JSON whatever the values are.
        A lone surrogate passes as it is; the writer deals with it.
    """
    service_part = f',"service":{quote(service)}'

    def render(event: Event) -> str:
        head = f'{{"timestamp":"{iso_utc(event.time_ns)}","level":{quote(event.level_name)},'
        parts = [f'{head}"event":{quote(event.body)},"logger":{quote(event.logger)}{service_part}']
        if event.ids is not None:
            trace_id, span_id, flags = event.ids
            parts.append(f'"trace_id":"{trace_id}","span_id":"{span_id}","trace_flags":"{flags}"')
        if event.fields:
            parts.append(_fields(event.fields)[1:-1])
        if event.stack is not None:
            parts.append(f'"stack":{quote(event.stack)}')
        if event.failure is not None:
            parts.append(f'"exception":{quote(event.failure.traceback)}')
        return ",".join(parts) + "}"

    return render


def _fields(fields: dict[str, Any]) -> str:
    if not RESERVED.isdisjoint(fields):
        fields = _renamed(fields)
    try:
        return _encode(fields)
    except ValueError:
        return _encode(_sayable(fields))


def _renamed(fields: dict[str, Any]) -> dict[str, Any]:
    renamed = {key: value for key, value in fields.items() if key not in RESERVED}
    for key, value in fields.items():
        if key in RESERVED:
            free = key + "_"
            while free in renamed:
                free += "_"
            renamed[free] = value
    return renamed


def _sayable(value: Any) -> Any:
    """Without what JSON (NaN, infinity) or Python's decimal writer (huge integers) refuses."""
    if isinstance(value, float):
        return value if value - value == 0.0 else str(value)
    if isinstance(value, int):
        return value if value.bit_length() <= _MAX_INT_BITS else hex(value)
    if isinstance(value, dict):
        return {key: _sayable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_sayable(item) for item in value]
    return value
