import traceback

import pytest

from otelkit import _otel
from otelkit.processors.logdata import clean_record, shape
from otelkit.processors.redact import Redactor, Shaped

REDACTOR = Redactor.of(True)


def record(**fields):
    return _otel.make_record(**fields)


def test_record_of_a_library_is_redacted_and_not_changed():
    """A record given to the logs API is copied, redacted; the library's own object stays."""
    given = record(body="Bearer hunter2hunter2", attributes={"password": "x", "n": 1})
    shaped = shape(given, REDACTOR)

    assert ("Bearer [redacted]", {"password": "[redacted]", "n": 1}) == (shaped.body, shaped.attributes)
    assert "x" == given.attributes["password"]


def test_record_of_our_chain_passes():
    """A record that is marked as shaped is not shaped again."""
    given = record(body="x", attributes=Shaped(password="already decided"))

    assert shape(given, REDACTOR) is given


def test_exception_becomes_fields():
    """An exception given with a record is told by the semantic conventions."""
    try:
        raise ValueError("no")
    except ValueError as error:
        shaped = shape(record(body="failed", exception=error), REDACTOR)

    assert ("ValueError", "no") == (
        shaped.attributes["exception.type"],
        shaped.attributes["exception.message"],
    )
    assert "Traceback" in shaped.attributes["exception.stacktrace"]


def test_exception_that_breaks_its_own_formatting_loses_no_record():
    """An exception whose parts raise when they are formatted is told by class and message."""

    class Odd(Exception):
        @property
        def __cause__(self):
            raise RuntimeError

    shaped = shape(record(body="failed", exception=Odd("no")), REDACTOR)

    assert "no" == shaped.attributes["exception.message"]
    assert shaped.attributes["exception.stacktrace"].endswith("Odd: no")
    with pytest.raises(RuntimeError):
        traceback.format_exception(Odd, Odd("no"), None)


@pytest.mark.parametrize("body", [None, 1, {"a": [1, object()]}, "\ud83d", 2**90, b"\xff"])
def test_bodies_of_any_type_are_taken(body):
    """Whatever the body is, shaping and repairing does not raise."""
    shaped = shape(record(body=body, attributes={7: body}), REDACTOR)
    readable = _otel.ReadableLogRecord(log_record=shaped, resource=None)

    assert "7" in clean_record(readable).log_record.attributes


class Liar(int):
    """A number that does not compare, and does not say what it is."""

    __ge__ = __le__ = __lt__ = __gt__ = __hash__ = __eq__ = property()

    @property
    def __class__(self):
        raise RuntimeError


@pytest.mark.parametrize("make", [lambda: Liar(7), list, dict, object, lambda: 7.5])  # pytest cannot bear it
def test_odd_parts_of_a_record_lose_no_record(make):
    """Whatever stands for a time, a severity or an exception, the record is there."""
    odd = make()
    given = record(body="told", timestamp=odd, observed_timestamp=odd, severity_number=odd, exception=odd)

    assert "told" == shape(given, REDACTOR).body
