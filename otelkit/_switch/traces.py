"""The tracer provider whose target can be turned."""

from __future__ import annotations

from functools import partial
from typing import Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, get_current_span

from otelkit._switch.base import SwitchProvider
from otelkit.pipeline.current import CurrentSpan
from otelkit.processors.origin import foreign_span

__all__ = ["SwitchTracer", "SwitchTracerProvider"]


def _pass_on(name: str, context: Context | None = None, *_: Any, **__: Any) -> trace.Span:
    """What a tracer without a target does: no span, but the parent's context goes on.

    OpenTelemetry's own no-op tracer lost the parent up to 1.40.
    """
    del name
    parent = get_current_span(context)
    return parent if isinstance(parent, NonRecordingSpan) else NonRecordingSpan(parent.get_span_context())


class SwitchTracer(trace.Tracer):
    """A tracer of one scope that follows the switch.

    `start_span` of the present target is set on the object itself, so that the proxy costs
    nothing per span.
    """

    def __init__(self, scope: tuple[Any, ...]) -> None:
        self.scope = scope
        # In place of the method below: the same without a call in between.
        self.start_as_current_span = partial(CurrentSpan, self)  # type: ignore[method-assign]

    def start_span(self, *args: Any, **kwargs: Any) -> trace.Span:
        """Start a span; see `opentelemetry.trace.Tracer.start_span`."""
        return _pass_on(*args, **kwargs)

    def start_as_current_span(self, *args: Any, **kwargs: Any) -> CurrentSpan:  # type: ignore[override]
        """Start a span that is current inside ``with``; also a decorator."""
        return CurrentSpan(self, *args, **kwargs)


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
        start = _pass_on if off else target.traces.get_tracer(*proxy.scope).start_span
        proxy.start_span = start  # type: ignore[method-assign]

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
            source.processors.on_end(foreign_span(span))

    def shutdown(self) -> None:
        self._provider.force_flush(2_000)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        return self._provider.force_flush(timeout_millis)
