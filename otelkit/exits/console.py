"""Finished traces as trees on a terminal: the live view of a developer."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TextIO

from otelkit.processors.terminal import colours_wanted, visible

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import ReadableSpan

__all__ = ["ConsoleExit", "render_tree"]

_MAX_TRACES = 200
_MAX_SPANS = 1_000
_MAX_VALUE = 60
_SECOND_MS = 1_000
_COLOURS = {"dim": "\x1b[2m", "red": "\x1b[31m", "bold": "\x1b[1m", "cyan": "\x1b[36m", "off": "\x1b[0m"}


# What the name of a span says already, or what is the same on every span of a developer's machine.
_WELL_KNOWN = (
    "client.", "code.", "correlation.", "db.namespace", "db.operation.name", "db.query.summary", "db.system",
    "http.request.method", "http.route", "network.", "server.", "thread.", "url.scheme", "user_agent.",
)  # fmt: skip


def render_tree(
    spans: Iterable[ReadableSpan], *, colour: bool = False, attributes: bool = True, brief: bool = False
) -> str:
    """Spans as text, one line each, children below their parents in the order of their start.

    Args:
        spans: Finished spans of one or more traces; a span whose parent is not among them is a root.
        colour: Whether to use ANSI colours.
        attributes: Whether attributes and errors are shown.
        brief: Whether attributes that every span of a library has are left out.

    Returns:
        The lines; an empty text for no spans.
    """
    ordered = sorted(spans, key=lambda span: (span.start_time or 0, span.end_time or 0))
    known = {span.context.span_id for span in ordered}
    children: dict[int | None, list[ReadableSpan]] = {}
    for span in ordered:
        parent = span.parent.span_id if span.parent is not None and span.parent.span_id in known else None
        children.setdefault(parent, []).append(span)
    paint = _COLOURS if colour else dict.fromkeys(_COLOURS, "")
    lines: list[str] = []
    # A stack, not recursion: a trace can be deeper than Python's own stack.
    stack = [(root, "", "") for root in reversed(children.get(None, []))]
    while stack:
        span, lead, follow = stack.pop()
        lines.append(lead + _line(span, paint, attributes=attributes, brief=brief))
        below = children.get(span.context.span_id, [])
        for index, child in reversed(list(enumerate(below))):
            last = index == len(below) - 1
            stack.append((child, follow + ("└─ " if last else "├─ "), follow + ("   " if last else "│  ")))
    return "\n".join(lines)


def _line(span: ReadableSpan, paint: dict[str, str], *, attributes: bool, brief: bool) -> str:
    failed = span.status.status_code.name == "ERROR"
    parts = [f"{paint['red' if failed else 'bold']}{_folded(span.name)}{paint['off']}"]
    parts.append(f"{paint['cyan']}{_duration(span)}{paint['off']}")
    if attributes:
        parts += [
            f"{paint['dim']}{_folded(key)}={paint['off']}{_short(value)}"
            for key, value in (span.attributes or {}).items()
            if not (brief and key.startswith(_WELL_KNOWN))
        ]
        if failed:
            parts.append(f"{paint['red']}! {_short(_error(span))}{paint['off']}")
    return "  ".join(parts)


def _error(span: ReadableSpan) -> str:
    """What went wrong, as far as the span knows."""
    if span.status.description:
        return span.status.description
    known = [event.attributes or {} for event in span.events if event.name == "exception"]
    if not known:
        return str((span.attributes or {}).get("error.type", "error"))
    said = [str(known[-1].get(f"exception.{part}", "")) for part in ("type", "message")]
    return ": ".join(part for part in said if part)


def _duration(span: ReadableSpan) -> str:
    if span.start_time is None or span.end_time is None:
        return "open"
    milliseconds = (span.end_time - span.start_time) / 1e6
    return f"{milliseconds:.1f}ms" if milliseconds < _SECOND_MS else f"{milliseconds / _SECOND_MS:.2f}s"


def _short(value: object) -> str:
    text = _folded(value if isinstance(value, str) else repr(value))
    return text if len(text) <= _MAX_VALUE else f"{text[: _MAX_VALUE - 1]}…"


def _folded(text: str) -> str:
    return visible(" ".join(text.split()))


class ConsoleExit:
    """Shows each trace as a tree when its root in this process has ended.

    At most 200 unfinished traces of 1,000 spans are kept; what is beyond is not shown.

    Args:
        stream: Where to write; None for the stderr of the moment.
    """

    name = "console"

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream
        self._traces: OrderedDict[int, list[ReadableSpan]] = OrderedDict()

    def send(self, batch: Sequence[ReadableSpan]) -> bool:
        """Keep the spans; show each trace whose root is among them."""
        for span in batch:
            trace_id = span.context.trace_id
            spans = self._traces.setdefault(trace_id, [])
            if len(spans) < _MAX_SPANS:
                spans.append(span)
            if span.parent is None or span.parent.is_remote:
                self._show(self._traces.pop(trace_id))
            while len(self._traces) > _MAX_TRACES:
                self._traces.popitem(last=False)
        return True

    def interrupt(self) -> None:
        """Writing to a terminal is not interrupted."""

    def close(self) -> None:
        """Forget unfinished traces."""
        self._traces.clear()

    def _show(self, spans: list[ReadableSpan]) -> None:
        stream = self._stream or sys.stderr
        try:
            text = render_tree(spans, colour=colours_wanted(terminal=stream.isatty()), brief=True) + "\n"
            try:
                stream.write(text)
            except UnicodeEncodeError as error:
                stream.write(text.encode(error.encoding, "replace").decode(error.encoding))
        except Exception:  # a terminal that is closed, or never was
            return
