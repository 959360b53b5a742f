"""One event, one readable line for a person at a terminal.

``05:50:01.123 INFO     order placed   order_id=17 shop.orders 4bf92f35``: local time, level, event,
fields, logger, the first eight characters of the trace id. A traceback follows on its own lines.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from otelkit.logs.render_json import plain_text
from otelkit.logs.when import local_clock
from otelkit.processors.terminal import colours_wanted, visible

if TYPE_CHECKING:
    from collections.abc import Callable

    from otelkit.logs.event import Event

__all__ = ["colours_wanted", "console_renderer"]

_WIDTH = 32
_RESET, _BOLD, _DIM, _RED, _CYAN = "\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[36m"
_LEVELS = ((50, "\x1b[1;31m"), (40, _RED), (30, "\x1b[33m"), (20, "\x1b[32m"), (0, "\x1b[34m"))
_BARE = re.compile(r"[^\s\"'={},]+\Z")


def console_renderer(*, colours: bool) -> Callable[[Event], str]:
    """A function that renders events.

    Args:
        colours: Whether to use ANSI colours.

    Returns:
        A function from an event to its lines, without the last line end.
    """

    def paint(style: str, text: str) -> str:
        return f"{style}{text}{_RESET}" if colours and text else text

    def render(event: Event) -> str:
        level = next(style for least, style in _LEVELS if event.level >= least or least == 0)
        words = [
            paint(_DIM, local_clock(event.time_ns)),
            paint(level, f"{event.level_name.upper():<8}"),
            paint(_BOLD, f"{visible(event.body):<{_WIDTH}}"),
            *(f"{paint(_CYAN, visible(key))}={_value(value)}" for key, value in event.fields.items()),
            paint(_DIM, visible(event.logger)),
        ]
        if event.ids is not None:
            words.append(paint(_DIM, event.ids.trace_id[:8]))
        lines = [" ".join(word for word in words if word)]
        if event.stack is not None:
            lines.append(visible(event.stack))
        if event.failure is not None:
            *frames, last = visible(event.failure.traceback).split("\n")
            lines += [*frames, paint(_RED, last)]
        return "\n".join(lines)

    return render


def _value(value: Any) -> str:
    if type(value) is str:
        return visible(value) if _BARE.match(value) else visible(json.dumps(value, ensure_ascii=False))
    if isinstance(value, (dict, list, tuple)):
        return visible(json.dumps(value, ensure_ascii=False, default=plain_text))
    return visible(plain_text(value))
