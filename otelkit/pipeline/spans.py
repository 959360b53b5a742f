"""The span and the tracer: the official SDK's, made safe for the host.

What is different from the SDK's own: attributes of any type are taken (as a bounded snapshot, at
once); an exception that cannot be printed passes a span unchanged; an ended span never becomes a
parent; no failure of a processor, a sampler or of ours reaches the application.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Any

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.trace import NonRecordingSpan, SpanKind, get_current_span
from opentelemetry.trace.status import Status, StatusCode

from otelkit import _guard, _otel
from otelkit._clock import Clock
from otelkit.pipeline.current import CurrentSpan
from otelkit.processors.context import current, with_span
from otelkit.processors.exceptions import (
    class_name,
    has_words,
    message,
    stacktrace,
    status_text,
    traceback_of,
)
from otelkit.processors.limits import safe_str, span_attributes, span_value
from otelkit.processors.plain import is_true

if TYPE_CHECKING:
    from collections.abc import Callable

    from opentelemetry.trace import Link, SpanContext

__all__ = ["Collapsed", "Span", "Tracer", "Unrecorded", "open_ancestor"]

_PLAIN = frozenset({bool, int, float})
_MAX_MESSAGE = 8_192


class Span(_otel.SdkSpan):
    """The SDK's span; every method is safe to call with anything, at any time."""

    # The SDK's tracer makes the span; these are what it has before anything is set on it.
    _parent_span: trace.Span | None = None
    _max_length: int = 32_768
    _clock: Clock | None = None
    _left_open: bool = False
    _children: int = 0
    _collapsed: int = 0
    _hidden: tuple[str, str] = ("", "")

    def set_attribute(self, key: str, value: Any) -> None:
        """Set one attribute; any value is taken as it is at this moment."""
        try:
            if type(value) not in _PLAIN or type(key) is not str or not key:
                value = span_value(value, max_length=self._max_length)
                key = (key if type(key) is str else safe_str(key)) or "_"
            super().set_attribute(key, value)
        except Exception:
            _guard.swallowed("span.set_attribute")

    def set_attributes(self, attributes: Mapping[str, Any]) -> None:
        """Set several attributes; see `set_attribute`."""
        try:
            super().set_attributes(span_attributes(attributes, max_length=self._max_length))
        except Exception:
            _guard.swallowed("span.set_attributes")

    def add_event(
        self, name: str, attributes: Mapping[str, Any] | None = None, timestamp: int | None = None
    ) -> None:
        """Add an event; attributes of any type, ``timestamp`` in nanoseconds since the epoch."""
        try:
            if timestamp is None and self._clock is not None:
                timestamp = self._clock.time_ns()
            fields = None if attributes is None else span_attributes(attributes, max_length=self._max_length)
            super().add_event(name if type(name) is str else safe_str(name), fields, _stamp(timestamp))
        except Exception:
            _guard.swallowed("span.add_event")

    def add_link(self, context: SpanContext, attributes: Mapping[str, Any] | None = None) -> None:
        """Link to another span."""
        try:
            super().add_link(context, span_attributes(attributes, max_length=self._max_length))
        except Exception:
            _guard.swallowed("span.add_link")

    def update_name(self, name: str) -> None:
        """Give the span another name."""
        try:
            super().update_name(_text(name))
        except Exception:
            _guard.swallowed("span.update_name")

    def set_status(self, status: Status | StatusCode, description: str | None = None) -> None:
        """Set the status; a description that is no text is made one."""
        try:
            kind: type = type(status)
            if description is None and issubclass(kind, Status):
                description, status = status.description, status.status_code  # type: ignore[union-attr]
            elif not issubclass(kind, (Status, StatusCode)):
                return
            super().set_status(status, description if description is None else self._said(_text(description)))
        except Exception:
            _guard.swallowed("span.set_status")

    def record_exception(
        self,
        exception: BaseException,
        attributes: Mapping[str, Any] | None = None,
        timestamp: int | None = None,
        escaped: bool = False,
    ) -> None:
        """Add the exception as an event, by the semantic conventions; it is only looked at."""
        try:
            told = message(exception)
            if has_words(exception):
                self._hidden = safe_str(exception), told
            fields: dict[str, Any] = {
                "exception.type": class_name(type(exception)),
                "exception.message": told[:_MAX_MESSAGE],
                "exception.stacktrace": stacktrace(type(exception), exception, traceback_of(exception)),
                "exception.escaped": safe_str(escaped),
            }
            if attributes is not None:
                fields.update(span_attributes(attributes, max_length=self._max_length))
            self.add_event("exception", fields, timestamp)
        except Exception:
            _guard.swallowed("span.record_exception")

    def _said(self, description: str) -> str:
        """A description without the message of the exception that was recorded, where that is hidden."""
        whole, told = self._hidden
        return description.replace(whole, told).rstrip(": ") if whole else description

    def end(self, end_time: int | None = None) -> None:
        """End the span; ending it again does nothing."""
        try:
            if self._end_time is not None:
                return
            if end_time is None and self._clock is not None:
                end_time = self._clock.time_ns()
            if self._collapsed:
                # The last event: of too many events the SDK drops the oldest.
                self.add_event("otelkit.children_collapsed", {"otelkit.children.count": self._collapsed})
            super().end(_stamp(end_time))
        except Exception:
            _guard.swallowed("span.end")

    def _readable_span(self) -> Span:
        """What processors get at the end: the span itself, which nobody can change any more.

        The SDK makes a copy, which costs a tenth of a span.
        """
        return self

    def __enter__(self) -> Span:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        if exc_val is not None and self.is_recording():
            if is_true(self._record_exception):
                self.record_exception(exc_val, escaped=True)
            if is_true(self._set_status_on_exception):
                self.set_status(Status(StatusCode.ERROR, status_text(exc_val)))
        self.end()


class Collapsed(NonRecordingSpan):
    """A span that was one too many: it stands for its parent, which counts it.

    Args:
        parent: Which has started as many spans as it may.
    """

    def __init__(self, parent: Span) -> None:
        super().__init__(parent.get_span_context())
        self.parent = parent


class Unrecorded(NonRecordingSpan):
    """A span below which no spans are made, whatever the sampler says; their place is taken by it."""


class Tracer(trace.Tracer):
    """Starts spans through the SDK's tracer of one scope.

    Args:
        sdk: The SDK's tracer.
        max_length: The length at which the text of one attribute is cut, in characters.
        max_children: How many spans one span may start; the rest is one event with their number.
        on_sampled_out: Called for each span that the sampler does not want.
        watched: Whether anybody looks at a span when it starts.
        late_attributes: Up to how many attributes are given to a span just after its start, where
            nobody watches: the SDK's cleaning of what is clean costs a sixth of a span. -1 for never,
            where the sampler looks at them or a limit of the SDK's may have something to say.
        clock: Stamps spans instead of the machine's clock.
    """

    def __init__(
        self,
        sdk: trace.Tracer,
        *,
        max_length: int,
        max_children: int,
        on_sampled_out: Callable[[], None],
        watched: Callable[[], bool],
        late_attributes: int,
        clock: Clock | None = None,
    ) -> None:
        self._sdk_start_span = _otel.start_span_of(sdk, Span)
        self._max_length = max_length
        self._max_children = max_children
        self._on_sampled_out = on_sampled_out
        self._watched = watched
        self._late_attributes = late_attributes
        self._clock = clock

    def start_span(
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Mapping[str, Any] | None = None,
        links: Sequence[Link] | None = (),
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
    ) -> trace.Span:
        """Start a span; see `opentelemetry.trace.Tracer.start_span`. Never raises."""
        try:
            if context is None:
                context = current()
            parent: Any = context.get(_otel.SPAN_KEY)
            if type(parent) is not Span:
                parent = get_current_span(context)
            if context.get(_otel.SUPPRESS_INSTRUMENTATION_KEY):
                return NonRecordingSpan(parent.get_span_context())
            if type(parent) is Span and parent._end_time is not None:
                parent = open_ancestor(parent)
                context = with_span(parent, context)
            stand_in = self._stand_in(parent)
            if stand_in is not None:
                return stand_in
            plain = None if attributes is None else span_attributes(attributes, max_length=self._max_length)
            late = None if plain is None or len(plain) > self._late_attributes or self._watched() else plain
            span = self._sdk_start_span(
                name if type(name) is str else safe_str(name),
                context,
                kind if type(kind) is SpanKind else SpanKind.INTERNAL,
                plain if late is None else None,
                () if links is None or (type(links) is tuple and not links) else self._links(links),
                _stamp(start_time) if self._clock is None else self._clocked(start_time),
                record_exception,
                set_status_on_exception,
            )
        except Exception:
            _guard.swallowed("tracer.start_span")
            return NonRecordingSpan(get_current_span().get_span_context())
        if late is not None and type(span) is Span:
            _otel.give_attributes(span, late)
        return self._adopt(span, parent)

    def start_as_current_span(  # type: ignore[override]  # the API's is a generator; ours is a class
        self,
        name: str,
        context: Context | None = None,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Mapping[str, Any] | None = None,
        links: Sequence[Link] | None = (),
        start_time: int | None = None,
        record_exception: bool = True,
        set_status_on_exception: bool = True,
        end_on_exit: bool = True,
    ) -> CurrentSpan:
        """Start a span that is the current one inside ``with``; also a decorator."""
        return CurrentSpan(
            self,
            name,
            context=context,
            kind=kind,
            attributes=attributes,
            links=links,
            start_time=start_time,
            record_exception=record_exception,
            set_status_on_exception=set_status_on_exception,
            end_on_exit=end_on_exit,
        )

    def _adopt(self, span: trace.Span, parent: trace.Span) -> trace.Span:
        if type(span) is _otel.SdkSpan:  # its tracer could not be told our class
            span.__class__ = Span
        if type(span) is Span:
            span._parent_span = parent
            span._max_length = self._max_length
            if self._clock is not None:
                span._clock = self._clock
        elif not span.is_recording():
            self._on_sampled_out()
        return span

    def _stand_in(self, parent: trace.Span) -> trace.Span | None:
        """What is used in place of a child of ``parent``; None where it may have one more."""
        if type(parent) is Span:
            parent._children += 1
            return self._collapse(parent) if parent._children > self._max_children else None
        if type(parent) is Collapsed:
            return self._collapse(parent.parent)
        return parent if type(parent) is Unrecorded else None

    def _collapse(self, parent: Span) -> Collapsed:
        parent._collapsed += 1
        self._on_sampled_out()
        return Collapsed(parent)

    def _clocked(self, start_time: int | None) -> int | None:
        return self._clock.time_ns() if start_time is None and self._clock else _stamp(start_time)

    def _links(self, links: Sequence[Link]) -> list[Link]:
        """Those that can be followed; what cannot even be asked is passed over."""
        found: list[Link] = []
        with suppress(Exception):
            for link in links:
                with suppress(Exception):
                    context, attributes = link.context, link.attributes
                    if issubclass(type(context), trace.SpanContext):
                        found.append(
                            trace.Link(context, span_attributes(attributes, max_length=self._max_length))
                        )
        return found


def open_ancestor(span: trace.Span) -> trace.Span:
    """The nearest ancestor of an ended span that is still open.

    A span of another process counts as open. Where none is open, a span that ended in the context
    it was current in keeps its followers in its trace (a task that outlives the request); a span
    that was closed elsewhere (a generator left by ``break``) does not.
    """
    ancestor: trace.Span | None = span
    left_open = False
    while isinstance(ancestor, Span):
        if ancestor._end_time is None:
            return ancestor
        left_open = left_open or ancestor._left_open
        ancestor = ancestor._parent_span
    if ancestor is not None and ancestor.get_span_context().is_valid:
        return ancestor
    return trace.INVALID_SPAN if left_open else NonRecordingSpan(span.get_span_context())


def _text(value: object) -> str:
    return value if type(value) is str else safe_str(value)


def _stamp(value: object) -> int | None:
    """A time in nanoseconds, or None (now) for what cannot be one."""
    if value is None:
        return None
    try:
        fits = issubclass(type(value), (int, float)) and 0 <= value < 2**64  # type: ignore[operator]
        return int(value) if fits else None  # type: ignore[call-overload]
    except Exception:  # a number that cannot be compared
        return None
