"""Levels under their three names: structlog's methods, logging's numbers, OpenTelemetry's severities."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from otelkit import _otel

if TYPE_CHECKING:
    from otelkit._otel import SeverityNumber

__all__ = ["level_name", "level_number", "severity"]

_BY_METHOD = {
    "notset": logging.NOTSET,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "msg": logging.INFO,
    "log": logging.INFO,
    "warn": logging.WARNING,
    "warning": logging.WARNING,
    "err": logging.ERROR,
    "error": logging.ERROR,
    "failure": logging.ERROR,
    "exception": logging.ERROR,
    "fatal": logging.CRITICAL,
    "critical": logging.CRITICAL,
}
_NAMES = {
    logging.DEBUG: "debug",
    logging.INFO: "info",
    logging.WARNING: "warning",
    logging.ERROR: "error",
    logging.CRITICAL: "critical",
}
_TEXTS = {"WARNING": "WARN", "CRITICAL": "FATAL", "NOTSET": None}
_MAX_LEVELS = 1_000  # levels are few; the cap only bounds a program that makes them up

_severities: dict[tuple[int, str], tuple[SeverityNumber, str | None]] = {}


def level_number(method_name: str) -> int:
    """The level of a structlog method (``"info"`` gives 20); unknown methods count as info."""
    return _BY_METHOD.get(method_name, logging.INFO)


def level_name(number: int) -> str:
    """The name of a level as lines show it: lower case, also for levels of the application."""
    return _NAMES.get(number) or logging.getLevelName(number).lower()


def severity(number: int, name: str) -> tuple[SeverityNumber, str | None]:
    """The severity number and text of a level.

    Args:
        number: The level, as in `logging`.
        name: Its name, in any case.

    Returns:
        As in appendix B of the logs data model: 10 levels of `logging` are 4 severities, WARNING is
        ``WARN`` and CRITICAL is ``FATAL``.
    """
    found = _severities.get((number, name))
    if found is None:
        upper = name.upper()
        found = _otel.SeverityNumber(_severity_number(number)), _TEXTS.get(upper, upper)
        if len(_severities) < _MAX_LEVELS:
            _severities[number, name] = found
    return found


def _severity_number(number: int) -> int:
    if number <= 0:
        return 0
    if number < logging.DEBUG:
        return 1
    tens, rest = divmod(number, 10)
    return min(tens * 4 + 1 + min(rest, 3), 24)
