"""Installing the chain and taking it out again, in any order and number."""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from otelkit.logs import arrival, root, stdlib_hook
from otelkit.logs.chain import Chain
from otelkit.logs.emit import forget_loggers
from otelkit.logs.render_console import colours_wanted, console_renderer
from otelkit.logs.render_json import json_renderer
from otelkit.logs.running import BUSY, LOCAL, set_current
from otelkit.logs.short_line import short
from otelkit.processors.limits import MAX_LENGTH

if TYPE_CHECKING:
    from collections.abc import Callable

    from otelkit.logs.event import Event
    from otelkit.processors.redact import Redactor
    from otelkit.settings import Settings

__all__ = ["Installed", "install"]

_lock = threading.RLock()
_stack: list[Installed] = []


class Installed:
    """An installed chain; the one installed last is in force.

    Attributes:
        owns_structlog: Whether the lines of structlog are ours, at the time of the installation.
        owns_stdlib: Whether the lines of the root logger are ours.
    """

    __slots__ = ("_chain", "owns_stdlib", "owns_structlog")

    def __init__(self, chain: Chain | None, *, owns_structlog: bool) -> None:
        self._chain = chain
        self.owns_structlog: bool = owns_structlog
        self.owns_stdlib: bool = chain is not None and chain.owns_root

    def uninstall(self) -> None:
        """Put back what was found; what the application has configured since stays.

        A chain installed earlier is in force again. A second call does nothing.
        """
        with _lock:
            if self in _stack:
                _stack.remove(self)
                _apply()


def install(settings: Settings, redactor: Redactor) -> Installed:
    """Put otelkit's logging chain in force.

    Args:
        settings: Uses ``log_setup``, ``log_format``, ``log_level``, ``log_attribute_length`` and
            ``service_name``.
        redactor: What hides secrets.

    Returns:
        The installation; installing again replaces it in force, without doubling anything.
    """
    with _lock:
        installed = _decide(settings, redactor)
        _stack.append(installed)
        _apply()
        return installed


def _decide(settings: Settings, redactor: Redactor) -> Installed:
    mode = settings.log_setup
    if mode == "off":
        return Installed(None, owns_structlog=False)
    if arrival.is_here():
        from otelkit.logs import structlog_hook

        structlog_hook.notice_configuration(mode)
    configure = mode == "configure"
    chain = Chain(
        redactor=_unheard(redactor),
        level=settings.log_level,
        render=_renderer(settings),
        mode=mode,
        owns_root=configure or (mode == "auto" and not root.is_configured()),
        max_length=max(MAX_LENGTH, settings.log_attribute_length),
    )
    return Installed(chain, owns_structlog=configure or (mode == "auto" and not _structlog_is_configured()))


def _unheard(redactor: Redactor) -> Redactor:
    """The redactor, with what its callback logs left out of the records: each would be redacted again."""
    callback = redactor.callback
    if callback is None:
        return redactor

    def called(key: str, value: Any) -> Any:
        outer, LOCAL.depth = LOCAL.depth, max(LOCAL.depth, BUSY)
        try:
            return callback(key, value)
        finally:
            LOCAL.depth = outer

    return replace(redactor, callback=called)


def _structlog_is_configured() -> bool:
    return arrival.is_here() and bool(sys.modules["structlog"].is_configured())


def _renderer(settings: Settings) -> Callable[[Event], str]:
    terminal = _is_terminal()
    chosen = settings.log_format or ("console" if terminal else "json")
    if chosen == "console":
        render = console_renderer(colours=colours_wanted(terminal=terminal))
    else:
        render = json_renderer(service=settings.service_name)
    return short(render) if settings.log_attribute_length > MAX_LENGTH else render


def _is_terminal() -> bool:
    try:
        return bool(sys.stdout.isatty())
    except Exception:  # None, closed, or a replacement without the method
        return False


def _apply() -> None:
    """Make the world follow the top of the stack."""
    chain = _stack[-1]._chain if _stack else None
    forget_loggers()
    if chain is None:
        set_current(None)
        root.release()
        for room in _rooms():
            room.unhook()
        return
    for room in _rooms():
        room.hook()
    if not arrival.is_here():
        arrival.when_here(_meet_structlog)
    set_current(chain)
    if chain.owns_root:
        root.take(level=chain.level, exclusive=chain.mode == "configure")
    else:
        root.release()


def _rooms() -> list[Any]:
    """What is hooked: the standard library, and structlog once the program has imported it."""
    if not arrival.is_here():
        return [stdlib_hook]
    from otelkit.logs import no_locals, structlog_hook

    return [structlog_hook, stdlib_hook, no_locals]


def _meet_structlog() -> None:
    """The program has imported structlog: hook it, if a chain is in force."""
    with _lock:
        chain = _stack[-1]._chain if _stack else None
        if chain is not None:
            from otelkit.logs import no_locals, structlog_hook

            structlog_hook.notice_configuration(chain.mode)
            structlog_hook.hook()
            no_locals.hook()


def _after_fork_in_child() -> None:
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
