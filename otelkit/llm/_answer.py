"""What else an answer says: its id, why it ended, its text; read as carefully as the usage."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from otelkit.processors.plain import items_of
from otelkit.processors.usage import field, text

__all__ = ["finish_reasons", "response_id", "texts"]

_MAX_CHOICES = 16

_REASONS = (
    ("stop_reason",),
    ("stopReason",),
    ("delta", "stop_reason"),
    ("response_metadata", "finish_reason"),
    ("response_metadata", "stop_reason"),
)


def finish_reasons(result: Any) -> tuple[str, ...]:
    """Why each choice of an answer, or of a chunk, ended; empty where it is not said."""
    found = [
        text(field(choice, name))
        for choice in (*_items(field(result, "choices")), *_items(field(result, "candidates")))
        for name in ("finish_reason", "finishReason")
    ]
    if not any(found):
        found = [text(_follow(result, path)) for path in _REASONS]
    return tuple(reason for reason in found if reason is not None)


def response_id(result: Any) -> str | None:
    """The id that the provider gave an answer."""
    for path in (("id",), ("response_id",), ("message", "id"), ("response", "id")):
        found = text(_follow(result, path))
        if found is not None:
            return found
    return None


def texts(result: Any) -> list[str]:
    """The text of each choice of an answer, or what a chunk adds to it; of any length."""
    if issubclass(type(result), str):
        return [str.__str__(result)]
    choices = [
        found
        for choice in (*_items(field(result, "choices")), *_items(field(result, "candidates")))
        if (found := "".join(_of_choice(choice)))
    ]
    if choices:
        return choices
    for path in (("output_text",), ("content",), ("delta",), ("delta", "text"), ("text",)):
        found = "".join(_parts(_follow(result, path)))
        if found:
            return [found]
    return []


def _of_choice(choice: Any) -> Iterator[str]:
    for name in ("message", "delta", "content", "text"):
        inner = field(choice, name)
        yield from _parts(inner)
        yield from _parts(field(inner, "content"))
        yield from _parts(field(inner, "parts"))


def _parts(value: Any) -> Iterator[str]:
    """Text itself, or the texts in a list of parts."""
    if issubclass(type(value), str):
        yield str.__str__(value)
        return
    for item in _items(value):
        found = item if issubclass(type(item), str) else field(item, "text")
        if issubclass(type(found), str):
            yield str.__str__(found)


def _items(value: Any) -> tuple[Any, ...]:
    return items_of(value)[:_MAX_CHOICES] if issubclass(type(value), (list, tuple)) else ()


def _follow(thing: Any, path: tuple[str, ...]) -> Any:
    for name in path:
        thing = None if thing is None else field(thing, name)
    return thing
