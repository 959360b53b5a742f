"""The tracer provider whose target can be turned."""

from __future__ import annotations

from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NoOpTracer

from otelkit._switch.base import SwitchProvider
from otelkit.pipeline.current import CurrentSpan

__all__ = ["SwitchTracer", "SwitchTracerProvider"]

_NOOP = NoOpTracer()


class SwitchTracer(trace.Tracer):
    """A tracer of one scope that follows the switch.

    `start_span` of the present target is set on the object itself, so that the proxy costs
    nothing per span.
    """

    def __init__(self, scope: tuple[Any, ...]) -> None:
        self.scope = scope

    def start_span(self, *args: Any, **kwargs: Any) -> trace.Span:
        """Start a span; see `opentelemetry.trace.Tracer.start_span`."""
        return _NOOP.start_span(*args, **kwargs)

    def start_as_current_span(self, name: str, *args: Any, **kwargs: Any) -> CurrentSpan:  # type: ignore[override]
        """Start a span that is current inside ``with``; also a decorator."""
        return CurrentSpan(self, name, **_named(args), **kwargs)


_PARAMETERS = (
    "context",
    "kind",
    "attributes",
    "links",
    "start_time",
    "record_exception",
    "set_status_on_exception",
    "end_on_exit",
)


def _named(args: tuple[Any, ...]) -> dict[str, Any]:
    """The API takes these by position too."""
    return dict(zip(_PARAMETERS, args))


class SwitchTracerProvider(SwitchProvider[SwitchTracer], trace.TracerProvider):
    """Registered with OpenTelemetry once."""

    source_name = "traces"

    def get_tracer(
        self,
        instrumenting_module_name: str,
        instrumenting_library_version: str | None = None,
        schema_url: str | None = None,
        attributes: Any = None,
    ) -> trace.Tracer:
        """A tracer of the given scope, now and after every later turn."""
        return self.proxy(instrumenting_module_name, instrumenting_library_version, schema_url, attributes)

    def add_span_processor(self, span_processor: Any) -> None:
        """Add a processor of one's own; it survives a re-init. It sees spans before redaction."""
        self._add(span_processor)

    def follow(self, foreign: Any) -> bool:
        """Take over the spans of somebody else's provider, if it lets us."""
        add = getattr(foreign, "add_span_processor", None)
        if add is None:
            return False
        add(_Forward(self))
        return True

    def _make(self, scope: tuple[Any, ...]) -> SwitchTracer:
        return SwitchTracer(scope)

    def _turn_one(self, proxy: SwitchTracer, target: Any) -> None:
        # One scope's tracer is the no-op of the specification's configurators when disabled.
        off = target.traces is None or target.disabled(proxy.scope[0])
        tracer = _NOOP if off else target.traces.get_tracer(*proxy.scope)
        proxy.start_span = tracer.start_span  # type: ignore[method-assign]

    def _add_to(self, source: Any, processor: Any) -> None:
        source.processors.add_span_processor(processor)


class _Forward:
    """A span processor on somebody else's provider that hands spans to the present target."""

    def __init__(self, provider: SwitchTracerProvider) -> None:
        self._provider = provider

    def on_start(self, span: Any, parent_context: Context | None = None) -> None:
        source = self._provider.source
        if source is not None:
            source.processors.on_start(span, parent_context)

    def _on_ending(self, span: Any) -> None:
        """Nothing to add before the end."""

    def on_end(self, span: Any) -> None:
        source = self._provider.source
        if source is not None:
            source.processors.on_end(span)

    def shutdown(self) -> None:
        self._provider.force_flush(2_000)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._provider.force_flush(timeout_millis)
