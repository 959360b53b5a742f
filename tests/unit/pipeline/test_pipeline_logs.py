"""Log records on their way: the short way, and the SDK's where its limits have something to say."""

from __future__ import annotations

import pytest
from opentelemetry._logs import LogRecord
from opentelemetry.sdk._logs import LoggerProvider

from otelkit.pipeline import logs, resource
from otelkit.processors.redact import Redactor
from otelkit.settings import Settings


def emitted(record, processors=(), **settings):
    """The one record that comes out at the end."""
    made = []
    given = Settings(service_name="test", **settings)
    built = logs.build(
        given,
        resource=resource.build(given),
        redactor=Redactor.of(True),
        deliver=made.append,
        processors=processors,
    )
    built.get_logger("scope", "1.0").emit(record)
    return made[0]


class Watching:
    """A processor that changes nothing."""

    def __init__(self):
        self.seen = []

    def on_emit(self, log_record):
        self.seen.append(log_record)

    def shutdown(self):
        pass

    def force_flush(self, timeout_millis=30_000):
        return True


def test_short_way_is_the_sdk_s():
    """A record that skips the SDK's logger is the same as one that does not."""
    watching = Watching()
    short = emitted(LogRecord(body="hello", attributes={"a": 1, "b": ["x", "y"]}))
    long = emitted(LogRecord(body="hello", attributes={"a": 1, "b": ["x", "y"]}), processors=[watching])

    assert 1 == len(watching.seen)
    assert (short.log_record.body, short.instrumentation_scope, short.resource) == (
        long.log_record.body,
        long.instrumentation_scope,
        long.resource,
    )
    assert {"a": 1, "b": ["x", "y"]} == {
        key: value if type(value) is int else list(value)
        for key, value in short.log_record.attributes.items()
    }
    assert list(short.log_record.attributes) == list(long.log_record.attributes)


@pytest.mark.skipif(
    "log_record_limits" not in LoggerProvider.__init__.__annotations__, reason="this SDK takes no limits"
)
def test_too_many_attributes_are_left_off():
    """From the limit of attributes on, the rest is left off and counted."""
    with pytest.warns(match="dropped due to limits"):
        record = emitted(LogRecord(attributes={str(n): n for n in range(6)}), log_attribute_limit=4)

    assert (4, 2) == (len(record.log_record.attributes), record.log_record.attributes.dropped)


@pytest.mark.skipif(
    "log_record_limits" not in LoggerProvider.__init__.__annotations__, reason="this SDK takes no limits"
)
def test_long_texts_are_cut():
    """A limit of length holds for a record with a single attribute too."""
    record = emitted(LogRecord(attributes={"text": "x" * 9}), log_attribute_length=4)

    assert "xxxx" == record.log_record.attributes["text"]
