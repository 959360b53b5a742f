"""Log records made ready: shaped and redacted where they are born, repaired before they leave.

A record that comes through otelkit's own logging chain is marked (`Shaped`) and passes; one that a
library emits through the logs API itself is shaped and redacted here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.context import Context

from otelkit import _otel
from otelkit.processors.exceptions import class_name, message, stacktrace, traceback_of
from otelkit.processors.limits import MAX_LENGTH, log_attributes, repair, repair_text, safe_str, snapshot
from otelkit.processors.redact import Shaped

if TYPE_CHECKING:
    from otelkit._otel import LogRecord, ReadableLogRecord
    from otelkit.processors.redact import Redactor

__all__ = ["clean_record", "shape"]

# The ids of a record can be given without a context (the older form of the logs API).
_ID_BITS = {"trace_id": 128, "span_id": 64, "trace_flags": 8}
_TIME_BITS = 64


def shape(record: LogRecord, redactor: Redactor, *, max_length: int = MAX_LENGTH) -> LogRecord:
    """A copy of ``record`` with a bounded snapshot of its values, redacted.

    Args:
        record: As given to the logs API; not changed.
        redactor: What hides secrets.
        max_length: How many characters one text keeps.
    """
    attributes = record.attributes
    if type(attributes) is Shaped:
        return record
    plain = log_attributes(attributes, max_length=max_length)
    exception = getattr(record, "exception", None)
    if exception is not None:
        plain |= _exception_fields(exception, max_length)
    context = record.context
    shaped = _otel.LogRecord(
        timestamp=_whole(record.timestamp, _TIME_BITS),
        observed_timestamp=_whole(record.observed_timestamp, _TIME_BITS),
        context=context if issubclass(type(context), Context) else None,
        severity_text=_text(record.severity_text),
        severity_number=_severity(record.severity_number),
        event_name=_text(getattr(record, "event_name", None)),
        body=redactor.value("", snapshot(record.body, max_length=max_length)),
        attributes=Shaped(redactor.fields(plain)),
    )
    for name, bits in _ID_BITS.items():
        given = _whole(getattr(record, name), bits)
        if given is not None:
            setattr(shaped, name, given)
    return shaped


def _whole(value: object, bits: int) -> Any:
    """``value`` if it is a whole number of so many bits, else None: one such field would cost a batch."""
    if not issubclass(type(value), int):
        return None
    number = int.__int__(value)  # type: ignore[arg-type]  # not by methods of its class
    return number if 0 <= number < 1 << bits else None


def _text(value: object) -> str | None:
    return None if value is None else repair_text(safe_str(value))


def _severity(value: object) -> Any:
    """A severity number, also of the plain integer; None for what is none."""
    try:
        return _otel.SeverityNumber(value)
    except Exception:  # ValueError, or what its class raises
        return None


def _exception_fields(exception: BaseException, max_length: int) -> dict[str, Any]:
    kind = type(exception)
    return {
        "exception.type": class_name(kind),
        "exception.message": message(exception)[:max_length],
        # Its end says what it was.
        "exception.stacktrace": stacktrace(kind, exception, traceback_of(exception))[-max_length:],
    }


def clean_record(record: ReadableLogRecord) -> ReadableLogRecord:
    """Repair in place what cannot be encoded; the record is ours by now."""
    inner = record.log_record
    inner.body = repair(inner.body)
    if inner.attributes:
        # The SDK's container holds a dict; going through its own methods takes a lock for each key.
        held = getattr(inner.attributes, "_dict", None)
        plain = held if type(held) is dict else dict(inner.attributes)
        repaired = repair(plain)
        if repaired is not plain:
            inner.attributes = repaired
    if inner.severity_text is not None:
        inner.severity_text = repair(safe_str(inner.severity_text))
    return record
