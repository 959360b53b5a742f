"""The one shape of a log event, wherever it was born: what the line and the record are made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from otelkit.processors.limits import MAX_LENGTH

if TYPE_CHECKING:
    from opentelemetry.context import Context

    from otelkit.logs.failure import Failure

__all__ = ["Code", "Event", "Ids"]


class Ids(NamedTuple):
    """The ids of the span an event happened in, as lower-case hex."""

    trace_id: str
    span_id: str
    trace_flags: str


class Code(NamedTuple):
    """Where an event was logged."""

    path: str
    function: str
    line: int


# Not frozen: one is made per line, and a frozen dataclass takes three times as long to make.
@dataclass(slots=True)
class Event:
    """A log event: shaped, bounded and redacted.

    Attributes:
        time_ns: When it happened, nanoseconds since the Unix epoch.
        level: Its level, as in `logging`.
        level_name: The level's name in lower case.
        body: Its text.
        logger: The logger's name.
        fields: Plain data under the application's own names.
        failure: The exception it carries.
        ids: The span it happened in.
        context: The OpenTelemetry context it happened in.
        suppressed: Whether no telemetry is wanted there.
        changed: Whether redaction hid something.
        hidden: The redacted values under their names: what has to be replaced in the original.
        bound: The names of the fields that came from `otelkit.bind`.
        stack: The stack, where the caller asked for it.
        code: Where it was logged, where that is known.
        said: A record's message and arguments, and the text that was made of them; secrets included.
        max_length: How many characters one text keeps in the record.
    """

    time_ns: int
    level: int
    level_name: str
    body: str
    logger: str
    fields: dict[str, Any]
    failure: Failure | None
    ids: Ids | None
    context: Context
    suppressed: bool
    changed: bool
    hidden: dict[str, Any]
    bound: tuple[str, ...]
    stack: str | None = None
    code: Code | None = None
    said: tuple[Any, Any, str] | None = None
    max_length: int = MAX_LENGTH
