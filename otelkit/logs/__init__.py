"""Logging: structlog and the standard library in one chain, one record per event.

An event goes this way: bound context variables, ids of the span, level, logger's name and time,
exception, redaction; then at once to one line on stdout and one OTLP log record.

structlog is hooked when the program imports it, before or after `install`; a program that does not use
it does not load it.

Whose format a line has, by ``log_setup``:

``"auto"``
    Each half by itself. structlog: where the application has not configured it, lines are ours;
    where it has (before or after `install`), its processors make them, and ids, bound fields and
    redaction are put in before its renderer. Standard library: where the root logger has no
    handlers, it gets one that writes our lines to stdout, at ``log_level``; where it has, the
    application's handlers, formats and levels stay, and ids, bound fields and redaction are put on
    their lines. Handlers that the application adds later by `dictConfig` or
    ``basicConfig(force=True)`` are treated the same. When structlog is the application's and the
    root logger ours, a structlog line sent through `logging` comes out as structlog rendered it.
    When the root logger is ours, lines of uvicorn and gunicorn on stdout and stderr, which they
    configure by themselves, have our format too.
``"configure"``
    All lines on stdout and stderr are ours, whatever was or will be configured. Files stay.
``"attach"``
    All lines are the application's; ids, bound fields, redaction and the record are added.
``"off"``
    Nothing is touched.

Where lines are ours, events below ``log_level`` have no line and no record. Where they are the
application's, its own levels decide, also about records.

Ids appear on lines inside a span only. On a line of JSON they become keys of the object; on a line
of text they follow the first line as ``trace_id=... span_id=...``, unless the format names them
itself (``%(trace_id)s``). Tests that capture (`structlog.testing.capture_logs`, ``caplog``) see
events and records as without otelkit.

In a suppressed context (`otelkit.suppress`, and otelkit's own threads) lines are written, records
are not produced. What the exporters on otelkit's own threads log is left off our lines.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otelkit.logs import arrival
from otelkit.logs.installation import Installed, install
from otelkit.logs.stdout import lost_lines

if TYPE_CHECKING:
    from otelkit.logs.naming import get_logger
else:

    def __getattr__(name: str) -> object:
        if name != "get_logger":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        # A program may not use structlog. When it is there its hooks are put in; `naming`, which
        # they need, comes after it.
        arrival.fetch()
        from otelkit.logs.naming import get_logger

        return get_logger


__all__ = ["Installed", "get_logger", "install", "lost_lines"]
