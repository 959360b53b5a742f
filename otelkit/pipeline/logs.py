"""The logger provider: the official SDK's, with shaping and redaction in front of each record."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from otelkit import _guard, _otel
from otelkit.processors.context import suppressed
from otelkit.processors.logdata import shape
from otelkit.processors.origin import clean_resource, clean_scope

if TYPE_CHECKING:
    from opentelemetry.sdk.resources import Resource

    from otelkit._clock import Clock
    from otelkit.processors.redact import Redactor
    from otelkit.settings import Settings

__all__ = ["Logger", "Logs", "RecordProcessors", "build"]


class RecordProcessors(_otel.LogRecordProcessor):
    """All log record processors of a provider, each one guarded; ``deliver`` is the last.

    Args:
        deliver: Takes each record; must be quick. None when records go nowhere.
    """

    def __init__(self, deliver: Callable[[Any], object] | None) -> None:
        self.users: tuple[Any, ...] = ()
        self._deliver = deliver

    def add_log_record_processor(self, processor: Any) -> None:
        """Ask this one too, from now on."""
        self.users = (*self.users, processor)

    def on_emit(self, log_record: Any) -> None:
        """Hand the record to the user's processors, then on."""
        for processor in self.users:
            try:
                processor.on_emit(log_record)
            except Exception:
                _guard.say(
                    f"the log record processor {type(processor).__name__} raised: {_guard.current_error()}.",
                    key=f"processor:{type(processor).__name__}",
                )
        if self._deliver is not None:
            # Its ids are in the record by now; while it waits, it shall not keep a whole span alive.
            log_record.log_record.context = None
            self._deliver(
                _otel.ReadableLogRecord(
                    log_record=log_record.log_record,
                    resource=log_record.resource,
                    instrumentation_scope=log_record.instrumentation_scope,
                )
            )

    def enabled(self, **_: Any) -> bool:
        """Whether records are wanted at all."""
        return True

    def shutdown(self) -> None:
        """Shut the user's processors down; may block as long as they do."""
        for processor in self.users:
            with _guard.guard("logs.processor.shutdown"):
                processor.shutdown()

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the user's processors; whether none says no."""
        answers = [_flushed(processor, timeout_millis) for processor in self.users]
        return all(answers)


def _flushed(processor: Any, timeout_millis: int) -> bool:
    try:
        return processor.force_flush(timeout_millis) is not False
    except Exception:
        return False


class Logger(_otel.Logger):
    """Emits through the SDK's logger of one scope; never raises.

    Args:
        sdk: The SDK's logger.
        name: The scope's name.
        redactor: What hides secrets in records that did not come through our logging chain.
        clock: Stamps records that carry no time.
    """

    def __init__(self, sdk: Any, *, name: str, redactor: Redactor, clock: Clock | None = None) -> None:
        super().__init__(name)
        self._sdk = sdk
        self._redactor = redactor
        self._clock = clock

    def emit(self, record: Any = None, **fields: Any) -> None:
        """Emit a record, or one made of the given fields; see `opentelemetry._logs.Logger.emit`."""
        try:
            if suppressed():
                return
            if record is None:
                record = _otel.make_record(**fields)
            record = shape(record, self._redactor)
            if self._clock is not None:
                record.timestamp = record.observed_timestamp = self._clock.time_ns()
            self._sdk.emit(record)
        except Exception:
            _guard.swallowed("logger.emit")

    def enabled(self, **_: Any) -> bool:
        """Whether a record would be taken now."""
        return not suppressed()


class Logs:
    """The loggers of one runtime.

    Attributes:
        sdk: The SDK's provider behind them.
        processors: Its processors.
    """

    def __init__(
        self, sdk: Any, *, processors: RecordProcessors, redactor: Redactor, clock: Clock | None = None
    ) -> None:
        self.sdk = sdk
        self.processors = processors
        self._redactor = redactor
        self._clock = clock

    def accept(self, log_record: Any) -> None:
        """Take a record that somebody else's provider made; it stays as it is for the other's exporters."""
        if not suppressed():
            ours = copy.copy(log_record)
            ours.log_record = shape(log_record.log_record, self._redactor)
            ours.instrumentation_scope = clean_scope(log_record.instrumentation_scope)
            ours.resource = clean_resource(log_record.resource)
            self.processors.on_emit(ours)

    def get_logger(
        self, name: str, version: str | None = None, schema_url: str | None = None, attributes: Any = None
    ) -> Logger:
        """A logger of the given scope."""
        sdk = self.sdk.get_logger(name, version, schema_url, attributes)
        return Logger(sdk, name=name, redactor=self._redactor, clock=self._clock)


def build(
    settings: Settings,
    *,
    resource: Resource,
    redactor: Redactor,
    deliver: Callable[[Any], object] | None,
    processors: Sequence[Any] = (),
    clock: Clock | None = None,
) -> Logs:
    """The loggers of one runtime.

    Args:
        settings: The resolved settings.
        resource: Who speaks.
        redactor: What hides secrets.
        deliver: Takes each record as a `ReadableLogRecord`; None when records go nowhere.
        processors: The user's own log record processors.
        clock: Stamps records (default: the machine's clock).
    """
    inner = RecordProcessors(deliver)
    for processor in processors:
        inner.add_log_record_processor(processor)
    sdk = _otel.logger_provider(
        resource, attributes=settings.log_attribute_limit, length=settings.log_attribute_length
    )
    sdk.add_log_record_processor(inner)
    return Logs(sdk, processors=inner, redactor=redactor, clock=clock)
