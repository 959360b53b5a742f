"""The chain between a real logger provider and a captured stdout, put back after each test."""

from __future__ import annotations

import json
import logging
from types import SimpleNamespace

import pytest
import structlog
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider

from otelkit import _otel, logs
from otelkit.logs import installation
from otelkit.processors import exceptions
from otelkit.processors.redact import Redactor

DEFAULTS = {
    "service_name": "shop",
    "log_level": logging.INFO,
    "log_format": "json",
    "log_attribute_length": 32_768,
    "log_setup": "auto",
    "redact": True,
}


class Exported:
    """The records that reached the provider, as plain values."""

    def __init__(self, exporter):
        self._exporter = exporter

    def __call__(self):
        return [
            SimpleNamespace(
                body=data.log_record.body,
                attributes=dict(data.log_record.attributes or {}),
                scope=data.instrumentation_scope.name,
                severity=data.log_record.severity_number.value,
                text=data.log_record.severity_text,
                trace_id=data.log_record.trace_id,
                timestamp=data.log_record.timestamp,
            )
            for data in self._exporter.get_finished_logs()
        ]

    def one(self):
        (record,) = self()
        return record


@pytest.fixture
def exported(monkeypatch):
    exporter = InMemoryLogRecordExporter()
    provider = LoggerProvider(shutdown_on_exit=False)
    provider.add_log_record_processor(SimpleLogRecordProcessor(exporter))
    monkeypatch.setattr(_otel, "get_logger", provider.get_logger)
    monkeypatch.setattr(_otel, "get_logger_provider", lambda: provider)
    found = Exported(exporter)
    found.provider = provider
    return found


@pytest.fixture(autouse=True)
def put_back():
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    for installed in list(installation._stack):
        installed.uninstall()
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture
def install(exported):
    def put_in(**settings):
        chosen = SimpleNamespace(**{**DEFAULTS, **settings})
        return logs.install(chosen, Redactor.of(chosen.redact))

    return put_in


@pytest.fixture
def lines(capsys):
    """The lines on stdout since the last call, read as JSON."""
    return lambda: [json.loads(line) for line in capsys.readouterr().out.splitlines()]


@pytest.fixture
def tracer():
    return TracerProvider(shutdown_on_exit=False).get_tracer("test")


@pytest.fixture
def make_logger():
    """A stdlib logger with one handler on a stream of its own; taken apart afterwards."""
    made = []

    def make(
        name, *, stream, fmt="%(levelname)s:%(message)s", formatter=None, propagate=False, level=logging.DEBUG
    ):
        logger = logging.getLogger(name)
        handler = logging.StreamHandler(stream)
        handler.setFormatter(formatter or logging.Formatter(fmt))
        logger.addHandler(handler)
        made.append((logger, handler, logger.propagate, logger.level))
        logger.propagate = propagate
        logger.setLevel(level)
        return logger

    yield make
    for logger, handler, propagate, level in reversed(made):
        logger.removeHandler(handler)
        logger.propagate = propagate
        logger.setLevel(level)


@pytest.fixture
def bare_root():
    """Call it to take pytest's handlers, added anew for each phase, off the root logger."""
    root = logging.getLogger()
    found = []

    def strip():
        found.extend(root.handlers)
        root.handlers.clear()
        return root

    yield strip
    root.handlers.extend(h for h in found if h not in root.handlers)


class LeakyError(Exception):
    """As of a package whose messages hold values."""

    __module__ = "leaky.errors"


@pytest.fixture
def leaky():
    """An exception that says "s3cr3t", of which nothing but its length may be told."""
    undo = exceptions.put_words("leaky", lambda error: f"{len(str(error))} characters")
    yield LeakyError("s3c" + "r3t")
    undo()
