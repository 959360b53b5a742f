"""A structlog event whose line is ours: shaped, written and emitted in one step."""

from __future__ import annotations

import time
import traceback
from typing import TYPE_CHECKING, Any

from otelkit import _guard
from otelkit.logs.bound import bound_fields
from otelkit.logs.emit import emit
from otelkit.logs.failure import exc_info_of
from otelkit.logs.levels import level_name, level_number
from otelkit.logs.naming import caller_frame, logger_name
from otelkit.logs.running import BUSY, LOCAL, TOO_DEEP
from otelkit.logs.stdout import write_line
from otelkit.processors.exceptions import reworded
from otelkit.processors.limits import safe_str
from otelkit.processors.plain import is_true

if TYPE_CHECKING:
    from collections.abc import Mapping

    from otelkit.logs.chain import Chain
    from otelkit.logs.event import Event

__all__ = ["interpolated", "log", "stack_text"]


def log(
    chain: Chain, *, logger: object, context: Mapping[str, Any], method: str, body: Any, given: dict[str, Any]
) -> None:
    """Write the line of one event and emit its record; never raises.

    Args:
        chain: The chain in force.
        logger: The wrapped logger, which is passed by.
        context: What the logger has bound.
        method: The logger's method, which says the level.
        body: The event.
        given: The fields of this call.
    """
    level = level_number(method)
    outer = LOCAL.depth
    if level < chain.level or outer >= TOO_DEEP:
        return
    LOCAL.depth = outer + 1
    try:
        event = _event(chain, logger, context, level=level, body=body, given=given)
        LOCAL.depth = max(outer + 1, BUSY)
        write_line(chain.render(event))
        if outer < BUSY:
            emit(event)
    except Exception:
        write_line(_last_resort(chain, method, body))
        _guard.swallowed("logs.structlog")
    finally:
        LOCAL.depth = outer


def _event(
    chain: Chain, logger: object, context: Mapping[str, Any], *, level: int, body: Any, given: dict[str, Any]
) -> Event:
    fields = {**context, **given}
    exc_info = exc_info_of(fields.pop("exc_info", None))
    stack = None
    if "stack_info" in fields and is_true(fields.pop("stack_info")):
        stack = stack_text()
    if "positional_args" in fields:
        body = interpolated(body, fields.pop("positional_args"))
    fields.pop("stacklevel", None)
    return chain.event(
        "" if body is None else body,
        fields,
        bound=bound_fields(),
        time_ns=time.time_ns(),
        level=level,
        level_name=level_name(level),
        logger=logger_name(logger, context),
        exc_info=exc_info,
        stack=stack,
    )


def interpolated(body: Any, args: Any) -> Any:
    """The message with its ``%`` arguments put in; both side by side where they do not fit."""
    try:
        if not args:
            return body
        args = reworded(args)
        if len(args) == 1 and isinstance(args[0], dict) and args[0]:
            args = args[0]
        return body % args
    except Exception:
        return f"{safe_str(body)} {safe_str(args)}"


def stack_text() -> str:
    """The stack of the application's call, as `traceback` prints it."""
    lines = traceback.format_stack(caller_frame())
    return "Stack (most recent call last):\n" + "".join(lines).rstrip("\n")


def _last_resort(chain: Chain, method: str, body: Any) -> str:
    try:
        return f"{method} {chain.redactor.text(safe_str(body))}"
    except Exception:  # a line that redaction cannot read must not come out as it is
        return f"{method} [a log event that could not be shaped]"
