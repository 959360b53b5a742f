"""The root logger's handler that writes our lines, and the taking and giving back of the root logger."""

from __future__ import annotations

import logging

from otelkit import _guard
from otelkit.logs.handlers import is_bystander
from otelkit.logs.running import BUSY, LOCAL, TOO_DEEP, current
from otelkit.logs.stdlib_event import event_of
from otelkit.logs.stdout import write_line
from otelkit.processors.limits import safe_str

__all__ = ["OwnHandler", "is_configured", "release", "take", "take_again"]


class OwnHandler(logging.Handler):
    """Writes each record as one of our lines to the present stdout; never raises."""

    def format(self, record: logging.LogRecord) -> str:
        """Our line of a record."""
        seen = LOCAL.seen
        chain = current()
        if chain is None:
            return super().format(record)
        if seen is not None and seen[0] is record:
            # A text is the line of the structlog configuration in force: its format stays.
            return seen[2] if seen[2] is not None else chain.render(seen[1])
        return chain.render(event_of(chain, record))

    def emit(self, record: logging.LogRecord) -> None:
        """Write the line of a record."""
        seen = LOCAL.seen
        if seen is not None and seen[0] is record and seen[1].suppressed and _is_own_noise(record):
            return
        outer = LOCAL.depth
        if outer >= TOO_DEEP:
            return
        if outer == BUSY:
            LOCAL.depth = TOO_DEEP
        try:
            line = self.format(record)
        except Exception:
            write_line(f"{safe_str(record.levelname)} [a log record that could not be shaped]")
            _guard.swallowed("logs.line")
        else:
            write_line(line)
        finally:
            LOCAL.depth = outer


def _is_own_noise(record: logging.LogRecord) -> bool:
    """Whether, in a suppressed context, it is an exporter at work; what matters is said on stderr."""
    name, thread = safe_str(record.name), safe_str(record.threadName)
    return name.startswith("opentelemetry") or thread.startswith("otelkit")


_handler = OwnHandler()
_held = False
_level_found = logging.NOTSET
_level_set = logging.NOTSET
_replaced: list[logging.Handler] = []


def is_configured() -> bool:
    """Whether the application gave the root logger handlers of its own."""
    handlers = [*logging.getLogger().handlers, *_replaced]
    return any(handler is not _handler and not is_bystander(handler) for handler in handlers)


def take(*, level: int, exclusive: bool) -> None:
    """Let the root logger write our lines.

    Args:
        level: Its level, as in `logging`.
        exclusive: Whether the application's handlers have to go, until `release`.
    """
    global _held, _level_found, _level_set
    logger = logging.getLogger()
    if not _held:
        _held, _level_found = True, logger.level
    _level_set = level
    logger.setLevel(level)
    if _handler not in logger.handlers:
        logger.addHandler(_handler)
    if exclusive:
        _replace()
    elif _replaced:
        _put_back()


def take_again() -> None:
    """Take the root logger once more if the application has configured it since."""
    handlers = logging.getLogger().handlers
    if _held and (_handler not in handlers or len(handlers) > 1):
        take(level=_level_set, exclusive=True)


def _replace() -> None:
    logger = logging.getLogger()
    for handler in list(logger.handlers):
        if handler is not _handler and not is_bystander(handler):
            logger.removeHandler(handler)
            _replaced.append(handler)


def _put_back() -> None:
    logger = logging.getLogger()
    for handler in _replaced:
        logger.addHandler(handler)
    _replaced.clear()


def release() -> None:
    """Give the root logger back as it was found.

    Where the application has configured it since, its new handlers and level stay.
    """
    global _held
    if not _held:
        return
    _held = False
    logger = logging.getLogger()
    present = _handler in logger.handlers
    logger.removeHandler(_handler)
    _put_back()
    if present and logger.level == _level_set:
        logger.setLevel(_level_found)
