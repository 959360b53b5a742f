"""Which HTTP applications of this process are instrumented, and by which rules."""

from __future__ import annotations

import dataclasses
import os
import threading
from typing import TYPE_CHECKING, Any, Literal
from weakref import WeakKeyDictionary, ref

from otelkit import _guard
from otelkit.instrument._http.hook import DECIDED, Hook
from otelkit.instrument._http.rules import Rules, rules_of
from otelkit.settings import Settings, running

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from otelkit.instrument._http.request import Call, Receive, Scope, Send

__all__ = ["Kind", "WithSpans", "instrument_all", "instrument_one", "kind_of"]

Kind = Literal["fastapi", "starlette"]

_lock = threading.RLock()
_all: dict[Kind, Rules] = {}
_one: WeakKeyDictionary[Any, _Own] = WeakKeyDictionary()
_kinds: dict[type, Kind] = {}


def instrument_all(kind: Kind, settings: Settings) -> Callable[[], None]:
    """Instrument every application of a kind, made before or later.

    Returns:
        What takes it back.
    """
    with _lock:
        rules = _all[kind] = rules_of(settings)
        _hook.put(fastapi=kind == "fastapi")

    def undo() -> None:
        with _lock:
            if _all.get(kind) is rules:
                del _all[kind]
                _clear()

    return undo


def instrument_one(app: Any, options: Mapping[str, Any]) -> Callable[[], None]:
    """Instrument one application, whatever is chosen for the others.

    Args:
        app: A FastAPI or Starlette application.
        options: Settings that are different for this one.

    Returns:
        What takes it back.
    """
    own = _Own(options)
    with _lock:
        _one[app] = own
        _hook.put(fastapi=kind_of(app) == "fastapi")
    weakly = ref(app)

    def undo() -> None:
        app = weakly()
        with _lock:
            if app is not None and _one.get(app) is own:
                del _one[app]
            _clear()

    return undo


def kind_of(app: Any) -> Kind | None:
    """Whether an application is one of FastAPI or of Starlette; None for any other."""
    kind = _kinds.get(type(app))
    if kind is None:
        homes = [base.__module__ for base in type(app).__mro__]
        if "starlette.applications" not in homes:
            return None
        kind = _kinds[type(app)] = "fastapi" if "fastapi.applications" in homes else "starlette"
    return kind


class WithSpans:
    """Any ASGI application with a server span and HTTP metrics for each request.

    Args:
        app: The application.
        options: Settings that are different for this one.
    """

    def __init__(self, app: Call, options: Mapping[str, Any]) -> None:
        self.app = app
        self._own = _Own(options)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        rules = None
        if scope["type"] in ("http", "websocket") and DECIDED not in scope:
            rules = self._own.rules()
        if rules is None:
            await self.app(scope, receive, send)
        else:
            await _hook.around(self.app, self.app, scope, receive, send, rules)


class _Own:
    """The rules of one application, which follow the settings that run."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = dict(options)
        self._made: tuple[Settings | None, Rules] | None = None
        self._default = Settings(**self._options)  # wrong options are found now

    def rules(self) -> Rules | None:
        """The rules by the settings that run and the options; None where they cannot be made."""
        settings, made = running(), self._made
        if made is None or made[0] is not settings:
            try:
                base = self._default if settings is None else dataclasses.replace(settings, **self._options)
                made = self._made = settings, rules_of(base)
            except Exception:
                _guard.swallowed("instrument.rules")
                return None
        return made[1]


def _rules_for(app: Any) -> Rules | None:
    try:
        own = _one.get(app) if _one else None
        if own is not None:
            return own.rules()
        kind = kind_of(app)
        return None if kind is None else _all.get(kind)
    except Exception:
        _guard.swallowed("instrument.rules")
        return None


def _clear() -> None:
    if not _all and not _one:
        _hook.remove()


_hook = Hook(_rules_for)


def _after_fork_in_child() -> None:
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
