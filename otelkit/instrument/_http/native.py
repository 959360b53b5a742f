"""FastAPI's own telemetry, with otelkit's defaults.

FastAPI (0.163 and later) makes the server span and the HTTP metrics itself. Per request it puts an
object into the ASGI scope under ``fastapi.telemetry``, and leaves a request alone whose scope has
that key already. From that object three fields are used: ``span``; ``tracer``, which makes the
inner spans and may be None; ``logger``, which gets a record for each failure. Where they are not
there any more, FastAPI's own defaults stay, and one line says so.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from otelkit import _guard

if TYPE_CHECKING:
    from opentelemetry.trace import Span

    from otelkit.instrument._http.rules import Rules

__all__ = ["KEY", "dress", "is_there"]

KEY = "fastapi.telemetry"
_FIELDS = ("span", "tracer", "logger")


def is_there() -> bool:
    """Whether the installed FastAPI has telemetry of its own; it is not imported."""
    spec = find_spec("fastapi")
    folders = () if spec is None else spec.submodule_search_locations or ()
    return any(Path(folder, "telemetry").is_dir() for folder in folders)


def dress(telemetry: Any, rules: Rules) -> Span | None:
    """Make the telemetry of one request follow the rules; called before the application runs.

    Args:
        telemetry: What FastAPI put into the scope.
        rules: What is wanted.

    Returns:
        The request's span, None where FastAPI makes none.
    """
    if not all(hasattr(telemetry, name) for name in _FIELDS):
        _guard.say(
            f"this version of FastAPI keeps its telemetry in another way ({type(telemetry).__name__}). "
            "Its requests have FastAPI's own defaults; please report it.",
            key="instrument.fastapi.native",
        )
        return None
    span: Span | None = telemetry.span
    if not rules.operation_spans:
        telemetry.tracer = None
    if span is not None:
        telemetry.logger = _OnSpan(span, telemetry.logger)
    return span


class _OnSpan:
    """Where FastAPI reports failures: an exception becomes an event of the server span.

    FastAPI itself makes a log record of it and no event; the server logs it too. One event and the
    server's line are left.

    Args:
        span: The request's.
        logger: FastAPI's own, for everything else; None where the application wants no records.
    """

    __slots__ = ("_logger", "_span")

    def __init__(self, span: Span, logger: Any) -> None:
        self._span = span
        self._logger = logger

    def emit(self, record: Any = None, *, exception: BaseException | None = None, **fields: Any) -> None:
        """Take an exception as an event, hand anything else on."""
        if exception is not None:
            if self._span.is_recording():  # not behind the answer, where a background task fails
                self._span.record_exception(exception)
        elif self._logger is not None:
            self._logger.emit(record, **fields) if record is not None else self._logger.emit(**fields)
