"""The logger provider whose target can be turned."""

from __future__ import annotations

from typing import Any

from otelkit import _otel
from otelkit._switch.base import SwitchProvider

__all__ = ["SwitchLogger", "SwitchLoggerProvider"]


class SwitchLogger(_otel.Logger):
    """A logger of one scope that follows the switch."""

    def __init__(self, scope: tuple[Any, ...]) -> None:
        super().__init__(*scope)
        self.scope = scope
        self.target: Any = None

    def emit(self, record: Any = None, **fields: Any) -> None:
        """Emit a record; see `opentelemetry._logs.Logger.emit`."""
        target = self.target
        if target is not None:
            target.emit(record, **fields)

    def enabled(self, **fields: Any) -> bool:
        """Whether a record would be taken now."""
        target = self.target
        return target is not None and bool(target.enabled(**fields))


class SwitchLoggerProvider(SwitchProvider[SwitchLogger], _otel.LoggerProvider):
    """Registered with OpenTelemetry once."""

    source_name = "logs"

    def get_logger(
        self, name: str, version: str | None = None, schema_url: str | None = None, attributes: Any = None
    ) -> Any:
        """A logger of the given scope, now and after every later turn."""
        return self.proxy(name, version, schema_url, attributes)

    def add_log_record_processor(self, log_record_processor: Any) -> None:
        """Add a processor of one's own; it survives a re-init."""
        self._add(log_record_processor)

    def follow(self, foreign: Any) -> bool:
        """Take over the records of somebody else's provider, if it lets us."""
        add = getattr(foreign, "add_log_record_processor", None)
        if add is None:
            return False
        add(_Forward(self))
        return True

    def _make(self, scope: tuple[Any, ...]) -> SwitchLogger:
        return SwitchLogger(scope)

    def _turn_one(self, proxy: SwitchLogger, target: Any) -> None:
        off = target.logs is None or target.disabled(proxy.scope[0])
        proxy.target = None if off else target.logs.get_logger(*proxy.scope)

    def _add_to(self, source: Any, processor: Any) -> None:
        source.processors.add_log_record_processor(processor)


class _Forward:
    """A log record processor on somebody else's provider that hands records to the present target."""

    def __init__(self, provider: SwitchLoggerProvider) -> None:
        self._provider = provider

    def on_emit(self, log_record: Any) -> None:
        source = self._provider.source
        if source is not None:
            source.accept(log_record)

    def enabled(self, **_: Any) -> bool:
        return True

    def shutdown(self) -> None:
        self._provider.force_flush(2_000)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._provider.force_flush(timeout_millis)
