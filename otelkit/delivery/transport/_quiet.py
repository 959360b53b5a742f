"""The log lines of the libraries below us, kept off the application's log."""

from __future__ import annotations

import logging

from otelkit.processors.context import suppressed

__all__ = ["quiet"]

_LOGGERS = (
    # The tables of HTTP/2's header compression: at DEBUG it logs headers with their values.
    "hpack.hpack",
    "hpack.table",
    "urllib3.connection",
    "urllib3.connectionpool",
    "urllib3.response",
)


class _Quiet(logging.Filter):
    """Drops what is logged where no telemetry is wanted, which is where our own threads are."""

    def filter(self, record: logging.LogRecord) -> bool:
        del record
        return not suppressed()


_QUIET = _Quiet()


def quiet() -> None:
    """Drop the libraries' log lines that come from our own threads; idempotent."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(_QUIET)
