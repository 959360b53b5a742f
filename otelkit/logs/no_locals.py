"""structlog's own traceback formatters without local variables, which hold secrets, and without values.

`dict_tracebacks` and the rich traceback of `ConsoleRenderer` show locals by default, on stdout, in
whichever chain they stand, also in a `ProcessorFormatter`. While otelkit redacts, they do not. An
exception whose message repeats values is printed by its `stand_in`.
"""

from __future__ import annotations

import dataclasses
from typing import Any

from structlog.dev import RichTracebackFormatter
from structlog.tracebacks import ExceptionDictTransformer

from otelkit import _guard
from otelkit.logs.failure import failure_of, stand_in_of
from otelkit.logs.patch import Patch
from otelkit.logs.running import current

__all__ = ["hook", "unhook"]


def _dict_traceback(self: Any, exc_info: Any) -> Any:
    chain = current()
    if chain is not None:
        exc_info = stand_in_of(exc_info) or exc_info
    traces = _DICTS.found(self, exc_info)
    if chain is None or not chain.redactor.enabled:
        return traces
    try:
        _drop_locals(traces)
        return [chain.redactor.value("exception", trace) for trace in traces]
    except Exception:
        _guard.swallowed("logs.dict_traceback")
        return traces


def _drop_locals(traces: Any) -> None:
    for trace in traces:
        for frame in trace.get("frames", ()):
            frame.pop("locals", None)
        for member in trace.get("exceptions", ()):  # the members of an exception group
            _drop_locals(member)


def _rich_traceback(self: Any, sio: Any, exc_info: Any) -> None:
    chain = current()
    if chain is None:
        _RICH.found(self, sio, exc_info)
        return
    exc_info = stand_in_of(exc_info) or exc_info
    if not chain.redactor.enabled:
        _RICH.found(self, sio, exc_info)
        return
    failure = failure_of(exc_info, chain.redactor)
    if failure.changed:  # colours would stand inside what has to be hidden
        sio.write("\n" + failure.traceback)
    else:
        _RICH.found(dataclasses.replace(self, show_locals=False), sio, exc_info)


_DICTS = Patch(ExceptionDictTransformer, "__call__", _dict_traceback)
_RICH = Patch(RichTracebackFormatter, "__call__", _rich_traceback)


def hook() -> None:
    """Put the hooks in place; again does nothing."""
    _DICTS.put()
    _RICH.put()


def unhook() -> None:
    """Take the hooks out."""
    _DICTS.remove()
    _RICH.remove()
