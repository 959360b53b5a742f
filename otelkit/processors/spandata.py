"""A finished span made ready to leave: redacted and repaired, once for every exporter.

Runs on our own thread. The span itself is never changed; a clean one is handed on as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter, is_
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import Link
from opentelemetry.trace.status import Status

from otelkit.processors.limits import repair, repair_text

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import Event, ReadableSpan

    from otelkit.processors.redact import Redactor

__all__ = ["clean_span"]


def clean_span(span: ReadableSpan, redactor: Redactor) -> ReadableSpan:
    """A span fit for every exporter: no secret in it and nothing that cannot be encoded.

    Args:
        span: A span that has ended.
        redactor: What hides secrets.

    Returns:
        ``span`` itself when there was nothing to change.
    """
    name, status = span.name, span.status
    shown = repair_text(redactor.text(name))
    attributes, events, links = _held(span)
    attributes = _clean(attributes, redactor)
    events = _each(events, _clean_event, redactor)
    links = _each(links, _clean_link, redactor)
    told = _clean_status(status, redactor) if status.description else status
    if shown is name and attributes is None and events is None and links is None and told is status:
        return span
    return _copy(span, shown, attributes, events, links, told)


# What stands behind the properties, which copy it at each use.
_behind = attrgetter("_attributes", "_events", "_links")


def _held(span: ReadableSpan) -> tuple[Any, Any, Any]:
    try:
        return _behind(span)
    except AttributeError:  # somebody else's class
        return span.attributes, span.events, span.links


def _each(
    items: Sequence[Any], function: Callable[[Any, Redactor], Any], redactor: Redactor
) -> list[Any] | None:
    """The items cleaned, or None when all of them are fine."""
    if not items:
        return None
    before = tuple(items)
    after = [function(item, redactor) for item in before]
    return None if all(map(is_, after, before)) else after


def _clean(attributes: Mapping[str, Any] | None, redactor: Redactor) -> dict[str, Any] | None:
    """The attributes redacted and repaired, or None when they are fine."""
    if not attributes:
        return None
    # The SDK's container holds a dict; going through its own methods takes a lock for each key.
    held = getattr(attributes, "_dict", None)
    plain = held if type(held) is dict else dict(attributes)
    redacted = redactor.fields(plain)
    repaired = repair(redacted)
    return None if repaired is plain else repaired


def _clean_event(event: Event, redactor: Redactor) -> Event:
    name = repair_text(redactor.text(event.name))
    attributes = _clean(event.attributes, redactor)
    if name is event.name and attributes is None:
        return event
    from opentelemetry.sdk.trace import Event as SdkEvent

    kept = event.attributes if attributes is None else attributes
    return SdkEvent(name=name, attributes=kept, timestamp=event.timestamp)


def _clean_link(link: Link, redactor: Redactor) -> Link:
    attributes = _clean(link.attributes, redactor)
    return link if attributes is None else Link(link.context, attributes)


def _clean_status(status: Status, redactor: Redactor) -> Status:
    description = repair_text(redactor.text(status.description or ""))
    return status if description is status.description else Status(status.status_code, description)


def _copy(
    span: ReadableSpan,
    name: str,
    attributes: dict[str, Any] | None,
    events: list[Event] | None,
    links: list[Link] | None,
    status: Status,
) -> ReadableSpan:
    copy = _blank(span)
    copy._name = name
    copy._status = status
    if attributes is not None:
        copy._attributes = _like(span._attributes, attributes)
    if events is not None:
        copy._events = _counted(span._events, events)
    if links is not None:
        copy._links = _counted(span._links, links)
    return copy


def _blank(span: ReadableSpan) -> ReadableSpan:
    """A shallow copy: the dropped counts and the scope are kept whatever the SDK's version holds."""
    copy = object.__new__(type(span))
    copy.__dict__.update(span.__dict__)
    return copy


def _like(bounded: Any, attributes: dict[str, Any]) -> Any:
    """``attributes`` in the SDK's own container, which knows how many were dropped before."""
    from opentelemetry.attributes import BoundedAttributes

    if not isinstance(bounded, BoundedAttributes):
        return attributes
    copy = BoundedAttributes(bounded.maxlen, attributes, immutable=True, max_value_len=bounded.max_value_len)
    copy.dropped = bounded.dropped
    return copy


def _counted(bounded: Any, items: list[Any]) -> Any:
    from opentelemetry.sdk.util import BoundedList

    if not isinstance(bounded, BoundedList):
        return items
    copy = BoundedList.from_seq(_capacity(bounded), items)
    copy.dropped = bounded.dropped
    return copy


def _capacity(bounded: Any) -> int | None:
    """How many items the SDK's list holds; it tells nobody."""
    capacity: int | None = bounded._dq.maxlen
    return capacity
