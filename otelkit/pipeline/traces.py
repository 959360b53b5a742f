"""The tracer provider: the official SDK's, with guarded processors and our tracers in front."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.trace import TraceFlags

from otelkit import _guard, _otel
from otelkit.pipeline.spans import Tracer

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import ReadableSpan
    from opentelemetry.sdk.trace import Span as SdkSpan
    from opentelemetry.sdk.trace.sampling import Sampler

    from otelkit._clock import Clock
    from otelkit.settings import Settings

__all__ = ["Processors", "Traces", "build"]

# They decide without a look at the attributes.
_BLIND_SAMPLERS = frozenset(
    f"{parent}{name}"
    for parent in ("", "parentbased_")
    for name in ("always_on", "always_off", "traceidratio")
)


class Processors:
    """All span processors of a provider, each one guarded: a failing one harms nobody.

    Has the methods that the SDK's provider calls on its ``active_span_processor``. ``deliver`` is
    called last, with each finished span that was sampled; processors see spans as they are, before
    redaction.

    Args:
        processors: The user's.
        deliver: Takes finished spans; must be quick.
        baggage_keys: Entries of the baggage that become attributes of each new span.
    """

    def __init__(
        self,
        processors: Sequence[Any],
        *,
        deliver: Callable[[ReadableSpan], object] | None,
        on_sampled_out: Callable[[], None],
        baggage_keys: Sequence[str] = (),
    ) -> None:
        self.users = tuple(processors)
        self._deliver = deliver
        self._on_sampled_out = on_sampled_out
        self._baggage_keys = tuple(baggage_keys)
        # A count is moved on in one step, which no other thread can get into: no lock is needed.
        self._begun = itertools.count()
        self._ended = itertools.count()

    @property
    def open_spans(self) -> int:
        """How many spans have begun and not ended."""
        ended = next(self._ended)  # asking moves both counts on, and so changes nothing
        return next(self._begun) - ended

    def add_span_processor(self, processor: Any) -> None:
        """Ask this one too, from now on."""
        self.users = (*self.users, processor)

    def on_start(self, span: SdkSpan, parent_context: Context | None = None) -> None:
        """A span has begun."""
        next(self._begun)
        if self._baggage_keys:
            self._copy_baggage(span, parent_context)
        for processor in self.users:
            try:
                processor.on_start(span, parent_context)
            except Exception:
                _say_processor(processor, "on_start")

    def _on_ending(self, span: SdkSpan) -> None:
        for processor in self.users:
            on_ending = getattr(processor, "_on_ending", None)
            if on_ending is not None:
                try:
                    on_ending(span)
                except Exception:
                    _say_processor(processor, "_on_ending")

    def on_end(self, span: ReadableSpan) -> None:
        """A span has ended: hand it to the user's processors, then on."""
        next(self._ended)
        for processor in self.users:
            try:
                processor.on_end(span)
            except Exception:
                _say_processor(processor, "on_end")
        if self._deliver is not None:
            if span.context.trace_flags & TraceFlags.SAMPLED:
                self._deliver(span)
            else:
                self._on_sampled_out()

    def shutdown(self) -> None:
        """Shut the user's processors down; may block as long as they do."""
        for processor in self.users:
            try:
                processor.shutdown()
            except Exception:
                _say_processor(processor, "shutdown")

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the user's processors; whether none says no."""
        flushed = True
        for processor in self.users:
            try:
                # Some write no return statement; only an explicit False is a failure.
                flushed = processor.force_flush(timeout_millis) is not False and flushed
            except Exception:
                _say_processor(processor, "force_flush")
                flushed = False
        return flushed

    def _copy_baggage(self, span: SdkSpan, context: Context | None) -> None:
        from opentelemetry import baggage

        for key in self._baggage_keys:
            value = baggage.get_baggage(key, context)
            if value is not None:
                span.set_attribute(key, str(value))


def _say_processor(processor: object, method: str) -> None:
    kind = type(processor).__name__
    error = _guard.current_error()
    _guard.say(
        f"the span processor {kind} raised in {method}: {error}. Its other spans go on.",
        key=f"processor:{kind}:{method}",
    )


class Traces:
    """The tracers of one runtime.

    Attributes:
        sdk: The SDK's provider behind them.
        processors: Its span processors.
    """

    def __init__(
        self,
        sdk: Any,
        *,
        processors: Processors,
        max_length: int,
        max_children: int,
        late_attributes: int,
        on_sampled_out: Callable[[], None],
        clock: Clock | None = None,
    ) -> None:
        self.sdk = sdk
        self.processors = processors
        self._max_length = max_length
        self._max_children = max_children
        self._late_attributes = late_attributes
        self._on_sampled_out = on_sampled_out
        self._clock = clock

    def get_tracer(
        self, name: str, version: str | None = None, schema_url: str | None = None, attributes: Any = None
    ) -> trace.Tracer:
        """A tracer of the given scope."""
        return Tracer(
            self.sdk.get_tracer(name or "unknown", version, schema_url, attributes),
            max_length=self._max_length,
            max_children=self._max_children,
            watched=self._watched,
            late_attributes=self._late_attributes,
            on_sampled_out=self._on_sampled_out,
            clock=self._clock,
        )

    def _watched(self) -> bool:
        return bool(self.processors.users)


def build(
    settings: Settings,
    *,
    resource: Resource,
    deliver: Callable[[ReadableSpan], object] | None,
    on_sampled_out: Callable[[], None],
    id_generator: Any = None,
    clock: Clock | None = None,
) -> Traces:
    """The tracers that ``settings`` ask for.

    Args:
        settings: The resolved settings.
        resource: Who speaks.
        deliver: Takes each finished, sampled span; None when spans go nowhere.
        on_sampled_out: Called for each span that is not sampled.
        id_generator: Makes trace and span ids (default: by the settings).
        clock: Stamps spans (default: the machine's clock).
    """
    from opentelemetry.sdk.trace import TracerProvider

    processors = Processors(
        settings.span_processors,
        deliver=deliver,
        on_sampled_out=on_sampled_out,
        baggage_keys=settings.baggage_keys,
    )
    sdk = TracerProvider(
        sampler=_sampler(settings),
        resource=resource,
        shutdown_on_exit=False,
        active_span_processor=processors,  # type: ignore[arg-type]  # same methods, guarded
        id_generator=id_generator or _ids(settings),
        span_limits=_otel.span_limits(
            attributes=settings.span_attribute_limit,
            events=settings.span_event_limit,
            links=settings.span_link_limit,
            event_attributes=settings.event_attribute_limit,
            link_attributes=settings.link_attribute_limit,
            length=settings.span_attribute_length,
        ),
    )
    return Traces(
        sdk,
        processors=processors,
        max_length=_max_length(settings),
        max_children=settings.max_children_per_span,
        late_attributes=_late_attributes(settings),
        on_sampled_out=on_sampled_out,
        clock=clock,
    )


def _max_length(settings: Settings) -> int:
    """What a snapshot keeps: of a list all items together, where the SDK cuts each to the span's limit."""
    return max(settings.span_attribute_length, settings.max_attribute_length)


def _late_attributes(settings: Settings) -> int:
    """How many attributes of a span neither the sampler nor a limit of the SDK's looks at; see `Tracer`."""
    length_is_kept = settings.span_attribute_length >= _max_length(settings)
    if settings.sampler not in _BLIND_SAMPLERS or settings.baggage_keys or not length_is_kept:
        return -1
    return settings.span_attribute_limit


def _sampler(settings: Settings) -> Sampler:
    from opentelemetry.sdk.trace import sampling

    if settings.sample_ratio is not None:
        ratio = settings.sample_ratio
        # Every trace: no look at the ids.
        root = sampling.ALWAYS_ON if ratio >= 1.0 else sampling.TraceIdRatioBased(ratio)
        return root if settings.sampler == "traceidratio" else sampling.ParentBased(root)
    try:
        sampler: Sampler = _otel.sampler(settings.sampler, settings.sampler_arg)
    except Exception:
        _guard.refuse(
            f"OTEL_TRACES_SAMPLER={settings.sampler}: {_guard.current_error()}. Every trace is kept; "
            "correct the name or the OTEL_TRACES_SAMPLER_ARG.",
            strict=settings.strict,
        )
        return sampling.DEFAULT_ON
    return sampler


def _ids(settings: Settings) -> Any:
    try:
        return _otel.id_generator(settings.id_generator)
    except Exception:
        _guard.refuse(
            f"OTEL_PYTHON_ID_GENERATOR={settings.id_generator}: {_guard.current_error()}. "
            "Random ids are used; correct the name.",
            strict=settings.strict,
        )
        return _otel.id_generator("random")
