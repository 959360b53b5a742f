"""asyncpg: a span and a duration per round trip to PostgreSQL, and the metrics of its pools.

The methods are wrapped here and not by `opentelemetry-instrumentation-asyncpg`, which sends the text of
queries with their values and has no hook to change it. Where an application turns that one on itself,
it makes the spans.
"""

from __future__ import annotations

import functools
import os
import sys
import threading
from collections.abc import Callable
from types import FunctionType
from typing import TYPE_CHECKING, Any

from otelkit import _guard
from otelkit.instrument._library import Library
from otelkit.processors.exceptions import put_words

if TYPE_CHECKING:
    from otelkit.instrument._asyncpg.calls import Calls
    from otelkit.instrument._asyncpg.methods import Begin

__all__ = ["LIBRARY", "instrument_asyncpg"]


_lock = threading.RLock()
_users = 0
_undo: list[Callable[[], None]] = []


def instrument_asyncpg() -> Callable[[], None]:
    """Instrument asyncpg for the whole process: connections, statements, cursors and pools.

    Those that exist already are included; an existing pool from its next use on. A second call shares
    what the first has done. Where `opentelemetry-instrumentation-asyncpg` is on already, only pools are
    instrumented.

    Returns:
        What takes it back; the last one does. A method that somebody else wrapped in the meantime
        stays as it is, and our part of it does nothing any more.

    Raises:
        ImportError: asyncpg is not installed.
    """
    global _users
    with _lock:
        if not _users:
            _undo[:] = _turn_on()
        _users += 1
    given_up: list[bool] = []

    def undo() -> None:
        global _users
        with _lock:
            if given_up:
                return
            given_up.append(True)
            _users -= 1
            while _undo and not _users:
                _undo.pop()()

    return undo


LIBRARY = Library(
    name="asyncpg",
    modules=("asyncpg",),
    pip="'otelkit[asyncpg]'",
    turn_on=lambda _: instrument_asyncpg(),
    follows=(),
)


def _turn_on() -> list[Callable[[], None]]:
    from otelkit.instrument._asyncpg import errors
    from otelkit.instrument._asyncpg.pools import instrument_pools

    undo = [instrument_pools(), put_words("asyncpg", lambda error: errors.of(error, "").message)]
    if _official_is_on():
        _guard.say(
            "instrument='asyncpg': AsyncPGInstrumentor of opentelemetry-instrumentation-asyncpg is on "
            "already. It makes the spans, with the values in the text of queries; otelkit adds the "
            "metrics of pools only. Leave out AsyncPGInstrumentor().instrument() to get otelkit's spans.",
            key="instrument:asyncpg:official",
        )
    else:
        undo.append(_instrument_calls())
    return undo


def _instrument_calls() -> Callable[[], None]:
    from otelkit.instrument._asyncpg.calls import Calls
    from otelkit.instrument._asyncpg.methods import methods

    calls = Calls(left_to_another=_official_is_on)
    wrapped = [_wrap(owner, name, calls, begin) for owner, name, begin in methods()]

    def take_back() -> None:
        calls.on = False
        for owner, name, original, ours in wrapped:
            if vars(owner).get(name) is ours:
                setattr(owner, name, original)

    return take_back


def _official_is_on() -> bool:
    module = sys.modules.get("opentelemetry.instrumentation.asyncpg")
    if module is None:
        return False
    # Its class gives one object for all; calling the class would reset that object's options.
    instrumentor = getattr(getattr(module, "AsyncPGInstrumentor", None), "_instance", None)
    return bool(getattr(instrumentor, "is_instrumented_by_opentelemetry", False))


def _wrap(owner: type, name: str, calls: Calls, begin: Begin) -> tuple[type, str, Any, Any]:
    original = vars(owner)[name]
    inner = _behind_check(original)
    if inner is None:
        ours = _observed(original, calls, begin)
    else:
        from asyncpg import connresource

        ours = connresource.guarded(_observed(inner, calls, begin))
    setattr(owner, name, ours)
    return owner, name, original, ours


def _behind_check(method: Any) -> Any:
    """The method behind asyncpg's own check of a statement or cursor, if there is one.

    The check runs when the method is called, not when it is awaited: it has to stay outside.
    """
    is_check = isinstance(method, FunctionType) and method.__code__.co_name == "_check"
    return getattr(method, "__wrapped__", None) if is_check else None


def _observed(method: Any, calls: Calls, begin: Begin) -> Any:
    if not isinstance(method, FunctionType):  # somebody's wrapper, which wants to be bound

        def call_bound(self: Any, *args: Any, **kwargs: Any) -> Any:
            return wrapper.__get__(self, type(self))(*args, **kwargs)

        wrapper, method = method, functools.wraps(method)(call_bound)

    @functools.wraps(method)
    async def observed(self: Any, *args: Any, **kwargs: Any) -> Any:
        try:
            call = begin(calls, self, args, kwargs)
        except Exception:
            _guard.swallowed("asyncpg.call")
            call = None
        if call is None:
            return await method(self, *args, **kwargs)
        try:
            result = await method(self, *args, **kwargs)
        except BaseException as error:
            call.end(error)
            raise
        call.end()
        return result

    return observed


def _after_fork_in_child() -> None:
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
