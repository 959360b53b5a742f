"""Log records made ready: shaped and redacted where they are born, repaired before they leave.

A record that comes through otelkit's own logging chain is marked (`Shaped`) and passes; one that a
library emits through the logs API itself is shaped and redacted here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from otelkit import _otel
from otelkit.processors.limits import repair, safe_str, snapshot
from otelkit.processors.redact import Shaped

if TYPE_CHECKING:
    from otelkit._otel import LogRecord, ReadableLogRecord
    from otelkit.processors.redact import Redactor

__all__ = ["clean_record", "shape"]

_FIELDS = ("timestamp", "observed_timestamp", "context", "severity_text", "severity_number", "event_name")


def shape(record: LogRecord, redactor: Redactor) -> LogRecord:
    """A copy of ``record`` with a bounded snapshot of its values, redacted.

    Args:
        record: As given to the logs API; not changed.
        redactor: What hides secrets.
    """
    attributes = record.attributes
    if type(attributes) is Shaped:
        return record
    given: Mapping[str, Any] = attributes if isinstance(attributes, Mapping) else {}
    plain = {key if type(key) is str else safe_str(key): snapshot(value) for key, value in given.items()}
    exception = getattr(record, "exception", None)
    if exception is not None:
        plain |= _exception_fields(exception)
    shaped = _otel.LogRecord(
        **{name: getattr(record, name, None) for name in _FIELDS},
        body=redactor.value("", snapshot(record.body)),
        attributes=Shaped(redactor.fields(plain)),
    )
    # The ids of a record can be given without a context (the older form of the logs API).
    for name in ("trace_id", "span_id", "trace_flags"):
        setattr(shaped, name, getattr(record, name))
    return shaped


def _exception_fields(exception: BaseException) -> dict[str, Any]:
    import traceback

    kind = type(exception)
    lines = traceback.format_exception(kind, exception, exception.__traceback__)
    return {
        "exception.type": kind.__qualname__
        if kind.__module__ == "builtins"
        else f"{kind.__module__}.{kind.__qualname__}",
        "exception.message": safe_str(exception),
        "exception.stacktrace": "".join(lines),
    }


def clean_record(record: ReadableLogRecord) -> ReadableLogRecord:
    """Repair in place what cannot be encoded; the record is ours by now."""
    inner = record.log_record
    inner.body = repair(inner.body)
    if inner.attributes:
        plain = dict(inner.attributes)
        repaired = repair(plain)
        if repaired is not plain:
            inner.attributes = repaired
    if inner.severity_text is not None:
        inner.severity_text = repair(safe_str(inner.severity_text))
    return record
