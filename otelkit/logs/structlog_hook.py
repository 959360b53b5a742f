"""Where structlog events are met: in the base class of all its bound loggers.

Every bound logger, however and whenever it was configured, bound or cached, runs its processors in
`BoundLoggerBase._process_event`, called by `_proxy_to_logger` (both documented for subclasses, the
same since structlog 20). A hook there reaches what an edited processor list does not: loggers
cached with a tuple or another list, `wrap_logger` with processors of its own, and every later
`structlog.configure`. The application's processor lists are never changed.
"""

from __future__ import annotations

import logging
from types import MethodType
from typing import TYPE_CHECKING, Any

import structlog
from structlog.testing import LogCapture

from otelkit import _guard
from otelkit.logs import structlog_attach, structlog_own
from otelkit.logs.emit import emit
from otelkit.logs.patch import Patch
from otelkit.logs.present_stdout import PresentStdout
from otelkit.logs.running import BUSY, LOCAL, Frame, current
from otelkit.processors.exceptions import reworded

if TYPE_CHECKING:
    from otelkit.logs.chain import Chain, Mode

__all__ = ["hook", "notice_configuration", "unhook"]

# structlog finds the caller in the first frame whose module is not called "structlog...".
__name__ = "structlog._otelkit_hook"

_MAX_KNOWN = 16
_STDLIB = (logging.Logger, logging.LoggerAdapter)

# By identity. structlog's own defaults are known as long as nobody configured others; `capture_logs`
# changes the content of their processor list, and `is_configured()`, but not its identity.
_builtin: list[dict[str, Any]] = []
_taken_over: list[dict[str, Any]] = []


def notice_configuration(mode: Mode) -> None:
    """Learn which processors are structlog's defaults, before anything else can change them.

    Args:
        mode: That of the chain about to be installed.
    """
    config = structlog.get_config()
    if not structlog.is_configured():
        _learn(_builtin, config)
    elif mode == "configure":
        _learn(_taken_over, config)


def _learn(known: list[dict[str, Any]], config: dict[str, Any]) -> None:
    if not any(one["processors"] is config["processors"] for one in known):
        del known[: max(0, len(known) - _MAX_KNOWN + 1)]
        known.append(config)


def _ours(chain: Chain, processors: object) -> bool:
    """Whether lines of these processors are ours to write."""
    if chain.mode == "attach":
        return False
    for one in _builtin:
        if one["processors"] is processors:
            return chain.mode == "configure" or not _sends_elsewhere(one)
    if chain.mode == "configure":
        for one in _taken_over:
            if one["processors"] is processors:
                return True
    elif structlog.is_configured():
        return False
    if structlog.get_config()["processors"] is not processors:
        return False
    notice_configuration(chain.mode)
    return True


def _sends_elsewhere(defaults: dict[str, Any]) -> bool:
    """Whether the application has configured who takes the lines, and left the processors as they were."""
    if not structlog.is_configured():
        return False
    return structlog.get_config()["logger_factory"] is not defaults["logger_factory"]


def _captures(processors: Any) -> bool:
    """Whether a test looks at the events: structlog's `capture_logs` or pytest-structlog."""
    last = processors[-1] if processors else None
    if isinstance(last, LogCapture):
        return True
    return type(last) is MethodType and type(last.__self__).__module__ == "pytest_structlog"


def _process_event(self: Any, method_name: str, event: Any, event_kw: dict[str, Any]) -> Any:
    chain = current()
    processors = self._processors
    if chain is None or type(processors) not in (list, tuple) or _captures(processors):
        return _PROCESS.found(self, method_name, event, event_kw)
    if _ours(chain, processors):
        structlog_own.log(
            chain, logger=self._logger, context=self._context, method=method_name, body=event, given=event_kw
        )
        raise structlog.DropEvent
    if LOCAL.depth >= BUSY:
        return _scrubbed(chain, _PROCESS.found(self, method_name, event, event_kw))
    try:
        if event_kw.get("positional_args"):
            event_kw = {**event_kw, "positional_args": reworded(event_kw["positional_args"])}
        draft = structlog_attach.Draft(chain, self, method_name, event, event_kw)
        twin = object.__new__(type(self))
        twin.__dict__.update(self.__dict__)
        twin._processors = draft.processors(processors)
    except Exception:
        _guard.swallowed("logs.attach.structlog")
        return _PROCESS.found(self, method_name, event, event_kw)
    result = _PROCESS.found(twin, method_name, event, event_kw)
    frame = LOCAL.frame
    if frame is not None:
        frame.event, frame.text = draft.event, draft.text
    elif draft.event is not None:  # a wrapper class with a `_proxy_to_logger` of its own
        emit(draft.event)
    return result


def _scrubbed(chain: Chain, result: Any) -> Any:
    """What is logged while we are busy: its texts without secrets, and that is all."""
    scrub = chain.redactor.scrub
    args, fields = result
    return (
        tuple([scrub(arg) if type(arg) is str else arg for arg in args]),
        {key: scrub(value) if type(value) is str else value for key, value in fields.items()},
    )


def _proxy_to_logger(self: Any, method_name: str, event: Any = None, **event_kw: Any) -> Any:
    chain = current()
    if chain is None:
        return _PROXY.found(self, method_name, event, **event_kw)
    processors = self._processors
    if type(processors) is list and _ours(chain, processors) and not _captures(processors):
        structlog_own.log(
            chain, logger=self._logger, context=self._context, method=method_name, body=event, given=event_kw
        )
        return None
    if LOCAL.depth >= BUSY:
        return _PROXY.found(self, method_name, event, **event_kw)
    # The wrapped logger may lead into the standard library. The frame lets its record carry the
    # event on, so that one event is one record and the levels of `logging` decide about it.
    outer = LOCAL.frame
    frame = LOCAL.frame = Frame()
    try:
        return _PROXY.found(self, method_name, event, **event_kw)
    finally:
        LOCAL.frame = outer
        if frame.event is not None and not frame.taken and not isinstance(self._logger, _STDLIB):
            emit(frame.event)


def _print_logger_named(self: Any, *args: Any) -> Any:
    try:
        logger = _FACTORY.found(self, *args)
    except TypeError:  # there was no stdout when structlog was imported (``python program.py >&-``)
        if current() is None or getattr(self, "_file", ...) is not None:
            raise
        logger = PresentStdout()
    if args and current() is not None:
        logger.name = args[0]  # structlog forgets the name given to `get_logger`
    return logger


_PROCESS = Patch(structlog.BoundLoggerBase, "_process_event", _process_event)
_PROXY = Patch(structlog.BoundLoggerBase, "_proxy_to_logger", _proxy_to_logger)
_FACTORY = Patch(structlog.PrintLoggerFactory, "__call__", _print_logger_named)
_ALL = (_PROCESS, _PROXY, _FACTORY)


def hook() -> None:
    """Put the hooks in place; again does nothing."""
    for patch in _ALL:
        patch.put()


def unhook() -> None:
    """Take the hooks out."""
    for patch in _ALL:
        patch.remove()
