"""Loggers that know their name, also where structlog itself has no place for one."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import structlog
from structlog import contextvars as _contextvars

from otelkit.logs.present_stdout import PresentStdout

if TYPE_CHECKING:
    from types import FrameType

    from structlog.typing import FilteringBoundLogger

__all__ = ["Named", "caller_frame", "caller_name", "get_logger", "logger_name"]

_UNKNOWN = "?"


class Named(dict[str, Any]):
    """The context of a bound logger that carries the logger's name beside its fields.

    The name is no field: lines of the application's own format and captured entries stay free of it.
    """

    name: str | None

    def __init__(self, *args: Any, **fields: Any) -> None:
        super().__init__(*args, **fields)
        self.name = getattr(args[0], "name", None) if args else None


_Proxy: Any = type(structlog.get_logger())


class _Following(_Proxy):  # type: ignore[misc]  # structlog's class of lazy loggers has no public name
    """structlog's lazy logger, kept assembled for as long as the configuration stays the same.

    structlog's own `cache_logger_on_first_use` keeps it for good; without, each call assembles it.
    """

    _made: tuple[Any, ...] | None = None

    def bind(self, **new_values: Any) -> Any:
        config = structlog.get_config()
        made = self._made
        if (
            made is None
            or made[1] is not config["processors"]
            or made[2] is not config["wrapper_class"]
            or made[3] is not config["logger_factory"]
        ):
            made = self._assembled(config)
        return made[0].bind(**new_values) if new_values else made[0]

    def _assembled(self, config: dict[str, Any]) -> tuple[Any, ...]:
        factory = config["logger_factory"]
        # Told no file, structlog prints to stdout: by ours, for which it need not be open.
        prints = type(factory) is structlog.PrintLoggerFactory and getattr(factory, "_file", ...) is None
        logger = _Proxy.bind(self._printing() if prints else self)
        self.__dict__.pop("bind", None)  # set where structlog is configured to cache for good
        made = logger, config["processors"], config["wrapper_class"], factory
        # Any other factory may want to make its logger anew for each call.
        if isinstance(factory, (structlog.PrintLoggerFactory, structlog.stdlib.LoggerFactory)):
            self._made = made
        return made

    def _printing(self) -> _Following:
        twin = _Following(PresentStdout(self._initial_values.name), context_class=Named)
        twin._initial_values = self._initial_values
        return twin

    def __getstate__(self) -> dict[str, Any]:
        return {key: value for key, value in self.__dict__.items() if key != "_made"}


def get_logger(name: str | None = None) -> FilteringBoundLogger:
    """A structlog logger.

    Args:
        name: The logger's name, shown on lines and used as the scope of records. Default: the
            module that calls.

    Returns:
        A logger with structlog's methods (``info``, ``bind``, ``exception``, ``ainfo``, ...). It works
        before `otelkit.init`, by structlog's configuration of that time, and follows every change.
    """
    if name is None:
        name = sys._getframe(1).f_globals.get("__name__", _UNKNOWN)
    initial = Named()
    initial.name = name
    proxy = _Following(None, context_class=Named, logger_factory_args=(name,))
    proxy._initial_values = initial  # the constructor would put a plain dict in place of an empty one
    return proxy


def logger_name(logger: object, context: object) -> str:
    """The name of a structlog logger.

    Args:
        logger: The wrapped logger; one of the standard library has a name.
        context: The bound logger's context; `get_logger` puts a name there.

    Returns:
        The name, else that of the module that logs.
    """
    name = getattr(context, "name", None)
    if type(name) is not str or not name:
        name = getattr(logger, "name", None)
    return name if type(name) is str else caller_name()


def caller_frame() -> FrameType | None:
    """The innermost frame that belongs to the application, not to structlog or to us."""
    frame: FrameType | None = sys._getframe(1)
    # `ainfo` and its like log from a worker thread; structlog keeps the frame they were called in.
    calling = getattr(_contextvars, "_ASYNC_CALLING_STACK", None)
    if calling is not None:
        frame = calling.get(frame)
    while frame is not None:
        module = frame.f_globals.get("__name__", _UNKNOWN)
        if module.partition(".")[0] != "structlog" and not module.startswith("otelkit.logs."):
            return frame
        frame = frame.f_back
    return None


def caller_name() -> str:
    """The name of the module that logs."""
    frame = caller_frame()
    name = None if frame is None else frame.f_globals.get("__name__")
    return name if type(name) is str else _UNKNOWN
