"""The logger provider: the official SDK's, with shaping and redaction in front of each record."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from otelkit import _guard, _otel
from otelkit.processors.context import suppressed
from otelkit.processors.limits import MAX_LENGTH
from otelkit.processors.logdata import shape
from otelkit.processors.origin import clean_resource, clean_scope
from otelkit.processors.plain import PLAIN, class_name

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
                kind = class_name(type(processor))
                _guard.say(
                    f"the log record processor {kind} raised: {_guard.current_error()}.",
                    key=f"processor:{kind}",
                )
        self.deliver(log_record.log_record, log_record.resource, log_record.instrumentation_scope)

    def deliver(self, record: Any, resource: Resource, scope: Any) -> None:
        """Hand a finished record on."""
        if self._deliver is not None:
            # Its ids are in the record by now; while it waits, it shall not keep a whole span alive.
            record.context = None
            self._deliver(
                _otel.ReadableLogRecord(log_record=record, resource=resource, instrumentation_scope=scope)
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

    A record that no limit touches and no processor wants to see goes straight on: the SDK would copy
    its attributes one by one, which costs a fifth of a log line.

    Args:
        sdk: The SDK's logger.
        name: The scope's name.
        redactor: What hides secrets in records that did not come through our logging chain.
        processors: Where records go.
        limits: How many attributes a record may have, and how many characters each text of them.
        clock: Stamps records that carry no time.
    """

    def __init__(
        self,
        sdk: Any,
        *,
        name: str,
        redactor: Redactor,
        processors: RecordProcessors,
        limits: tuple[int, int],
        clock: Clock | None = None,
    ) -> None:
        super().__init__(name)
        self._sdk = sdk
        self._scope = _otel.scope_of(sdk)
        self._redactor = redactor
        self._processors = processors
        self._limits = limits
        self._max_length = _shaped_length(limits)
        self._clock = clock

    def emit(self, record: Any = None, **fields: Any) -> None:
        """Emit a record, or one made of the given fields; see `opentelemetry._logs.Logger.emit`."""
        try:
            if suppressed():
                return
            if record is None:
                record = _otel.make_record(**fields)
            record = shape(record, self._redactor, max_length=self._max_length)
            if self._clock is not None:
                record.timestamp = record.observed_timestamp = self._clock.time_ns()
            if self._processors.users or not _within(record.attributes, *self._limits):
                self._sdk.emit(record)
            else:
                self._processors.deliver(record, self._sdk.resource, self._scope)
        except Exception:
            _guard.swallowed("logger.emit")

    def enabled(self, **_: Any) -> bool:
        """Whether a record would be taken now."""
        return not suppressed()


def _within(attributes: Mapping[str, Any], most: int, length: int) -> bool:
    """Whether no limit has anything to say about these; what is no plain value is left to the SDK."""
    if len(attributes) > most:
        return False
    for value in attributes.values():
        if type(value) is str:
            if len(value) > length:
                return False
        elif type(value) not in PLAIN:
            return False
    return True


def _shaped_length(limits: tuple[int, int]) -> int:
    """How many characters a text of a record keeps where it is born: the body has no limit of its own."""
    return max(MAX_LENGTH, limits[1])


class Logs:
    """The loggers of one runtime.

    Attributes:
        sdk: The SDK's provider behind them.
        processors: Its processors.
    """

    def __init__(
        self,
        sdk: Any,
        *,
        processors: RecordProcessors,
        redactor: Redactor,
        limits: tuple[int, int],
        clock: Clock | None = None,
    ) -> None:
        self.sdk = sdk
        self.processors = processors
        self._redactor = redactor
        self._limits = limits
        self._clock = clock

    def accept(self, log_record: Any) -> None:
        """Take a record that somebody else's provider made; it stays as it is for the other's exporters."""
        try:
            if suppressed():
                return
            ours = copy.copy(log_record)
            ours.log_record = shape(
                log_record.log_record, self._redactor, max_length=_shaped_length(self._limits)
            )
            ours.instrumentation_scope = clean_scope(log_record.instrumentation_scope)
            ours.resource = clean_resource(log_record.resource)
            self.processors.on_emit(ours)
        except Exception:
            _guard.swallowed("logger.accept")

    def get_logger(
        self, name: str, version: str | None = None, schema_url: str | None = None, attributes: Any = None
    ) -> Logger:
        """A logger of the given scope."""
        sdk = self.sdk.get_logger(name, version, schema_url, attributes)
        return Logger(
            sdk,
            name=name,
            redactor=self._redactor,
            processors=self.processors,
            limits=self._limits,
            clock=self._clock,
        )


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
    return Logs(
        sdk,
        processors=inner,
        redactor=redactor,
        limits=(settings.log_attribute_limit, settings.log_attribute_length),
        clock=clock,
    )
