"""What the current context says about telemetry.

The answer travels in the OpenTelemetry context, so it follows tasks and copied contexts, and
instrumentations of other vendors see the same mark (`suppress_instrumentation`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import Token
from typing import TYPE_CHECKING

from opentelemetry.context import Context, set_value

from otelkit._otel import RUNTIME_CONTEXT, SPAN_KEY, SUPPRESS_INSTRUMENTATION_KEY
from otelkit._otel import current_context as current

if TYPE_CHECKING:
    from opentelemetry.trace import Span

__all__ = ["SUPPRESSED", "attach", "current", "detach", "suppress", "suppressed", "with_span"]

# The context of our own threads: nothing they call may produce telemetry of its own.
SUPPRESSED = set_value(SUPPRESS_INSTRUMENTATION_KEY, True, Context())


def suppressed(context: Context | None = None) -> bool:
    """Whether no telemetry is wanted in ``context`` (default: the current one)."""
    return bool((current() if context is None else context).get(SUPPRESS_INSTRUMENTATION_KEY))


@contextmanager
def suppress() -> Iterator[None]:
    """Produce no telemetry inside the block: no spans, no log records, none by instrumentations.

    Measurements of metrics are still added, as they cost nothing downstream.
    """
    token = attach(set_value(SUPPRESS_INSTRUMENTATION_KEY, True))
    try:
        yield
    finally:
        detach(token)


def with_span(span: Span, context: Context | None = None) -> Context:
    """``context`` (default: the current one) with ``span`` as its current span.

    `opentelemetry.trace.set_span_in_context` gives the same, and copies twice.
    """
    try:
        return Context({**(current() if context is None else context), SPAN_KEY: span})
    except Exception:  # no context was given as one
        return Context({**current(), SPAN_KEY: span})


def attach(context: Context) -> Token[Context]:
    """Make ``context`` the current one; returns what `detach` takes."""
    return RUNTIME_CONTEXT.attach(context)


def detach(token: Token[Context]) -> bool:
    """Put the former context back.

    Returns:
        False when the token belongs to another context (a generator closed in another task); the
        API's own `detach` would log an error there.
    """
    try:
        RUNTIME_CONTEXT.detach(token)
    except (ValueError, RuntimeError):
        return False
    return True
