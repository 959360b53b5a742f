"""One observed queue or cache: its callback, its last answer, and how it is asked.

A plain callback is called on a thread of ours. A coroutine function runs as a task of the loop it was
registered in, and nowhere else. Either way the answer is put down here, and whoever collects takes
what is there: a callback that blocks, or a loop that does, holds up nobody.
"""

from __future__ import annotations

import asyncio
import inspect
import math
import os
import threading
import time
import weakref
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from contextvars import Context
from numbers import Real
from types import TracebackType
from typing import Any

from otelkit import _guard
from otelkit.processors.context import SUPPRESSED, attach, detach
from otelkit.processors.plain import class_name

__all__ = ["KEPT_S", "Callback", "Observed"]

Callback = Callable[[], Any]

KEPT_S = 120.0
"""For how long an answer is repeated while the callback gives no new one, in seconds."""


class Observed:
    """That something is observed; `close`, or leaving ``with``, takes the observation back.

    Args:
        title: What is observed, for messages.
        attributes: Of its series.
        callback: Returns the number of items or entries now; a function or a coroutine function.
        on_close: Called once with this object.

    Attributes:
        title, attributes: As given.
        idle: Set while the callback is not under way.
    """

    def __init__(
        self,
        title: str,
        attributes: Mapping[str, str],
        callback: Callback,
        *,
        on_close: Callable[[Observed], None],
    ) -> None:
        self.title = title
        self.attributes = attributes
        self.idle = threading.Event()
        self.idle.set()
        self._callback = callback
        self._on_close = on_close
        self._is_async = _is_async(callback)
        self._loop = _running_loop()
        self._task: asyncio.Future[None] | None = None
        self._answer: tuple[float, float] | None = None
        self._closed = False
        self._asked = True
        self._lock = threading.Lock()
        _all.add(self)

    # -- for the application ------------------------------------------------------------------

    def close(self) -> None:
        """Take the observation back: its series ends with the next collection. Again does nothing."""
        if not self._closed:
            self._closed = True
            self._on_close(self)

    def __enter__(self) -> Observed:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # -- for the collection -------------------------------------------------------------------

    def answer(self, now: float) -> float | None:
        """The last answer; None where there is none, or none that is young enough.

        Args:
            now: On the monotonic clock, in seconds.
        """
        found = self._answer
        if self._closed or found is None or now - found[1] > KEPT_S:
            return None
        return found[0]

    @property
    def is_async(self) -> bool:
        """Whether it is asked by `post`, not by `ask`."""
        return self._is_async

    def ask(self) -> None:
        """Call a plain callback, here and now, unless an earlier call has not come back."""
        if not self._begin():
            return
        handed_over = False
        token = attach(SUPPRESSED)
        try:
            value = self._callback()
            if inspect.isawaitable(value):
                handed_over = self._hand_over(value)
            else:
                self._take(value)
        except BaseException:  # it ends in a thread of ours, whatever it is
            self._failed()
        finally:
            detach(token)
            if not handed_over:
                self.idle.set()

    def post(self) -> None:
        """Let the loop of an async callback call it, unless an earlier call has not come back."""
        if self._begin() and not self._hand_over(None):
            self.idle.set()

    def _begin(self) -> bool:
        with self._lock:
            if self._closed or not self._asked or not self.idle.is_set():
                return False
            self.idle.clear()
            return True

    def _hand_over(self, awaitable: Awaitable[Any] | None) -> bool:
        """Give the work to the loop; False where there is no loop that could do it."""
        context = Context()
        context.run(attach, SUPPRESSED)
        try:
            if self._loop is not None:
                self._loop.call_soon_threadsafe(self._start, awaitable, context=context)
                return True
        except RuntimeError:  # it is closed: the end of a program, and nothing to speak of
            self._asked, self._loop = False, None
            _dispose(awaitable)
            return False
        _dispose(awaitable)
        self._say("is asynchronous but was not registered in a running event loop")
        return False

    def _start(self, awaitable: Awaitable[Any] | None) -> None:
        """In the loop: begin to ask."""
        try:
            self._task = task = asyncio.ensure_future(self._refresh(awaitable))
            # A loop that is closed in mid-answer shall not say so: nobody waits for the task.
            task._log_destroy_pending = False  # type: ignore[attr-defined]
            task.add_done_callback(self._done)
        except Exception:
            self.idle.set()
            _guard.swallowed("measures.start")

    async def _refresh(self, awaitable: Awaitable[Any] | None) -> None:
        try:
            self._take(await (self._callback() if awaitable is None else awaitable))
        except (Exception, SystemExit):  # an exit would end the application's loop
            self._failed()

    def _done(self, _task: asyncio.Future[None]) -> None:
        self._task = None
        self.idle.set()

    def _take(self, value: Any) -> None:
        number = _amount(value)
        if number is None:
            self._answer = None
            self._say(f"returned {_shown(value)}, which is no number of items")
        else:
            self._answer = number, time.monotonic()

    def _failed(self) -> None:
        self._answer = None
        self._say(f"failed: {_guard.current_error()}")

    def _say(self, what: str) -> None:
        _guard.say(
            f"the callback of {self.title} {what}. Its series is left out until it returns a number >= 0.",
            key=f"observe:{self.title}:{what.split(maxsplit=1)[0]}",
        )

    def _after_fork_in_child(self) -> None:
        """The threads and the loop that were asking are the parent's."""
        self._lock = threading.Lock()
        self.idle = threading.Event()
        self.idle.set()
        self._task = self._loop = None
        if self._is_async:
            self._closed = True


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None


def _is_async(callback: Callback) -> bool:
    """Whether the function, or the method behind an object that can be called, is a coroutine's."""
    with suppress(Exception):  # an object of which not even the class can be asked
        if inspect.iscoroutinefunction(callback):
            return True
    with suppress(Exception):
        called = getattr(type(callback), "__call__", None)  # noqa: B004 - the method itself is wanted
        return inspect.iscoroutinefunction(called)
    return False


def _dispose(awaitable: Any) -> None:
    """A coroutine that nobody will run is closed, or Python warns of it."""
    if inspect.iscoroutine(awaitable):
        awaitable.close()


def _amount(value: Any) -> float | None:
    """A finite number >= 0; None for whatever else, text and bools among it."""
    kind = type(value)
    if kind is int:
        return value if 0 <= value < 2**63 else None
    try:
        if kind is bool or not issubclass(kind, Real):
            return None
        number = float(value)
    except Exception:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _shown(value: Any) -> str:
    """A value in a message: a plain number as it is, of anything else the kind (it may be secret)."""
    if value is None or type(value) in (bool, float):
        return repr(value)
    if type(value) is int:
        return "a negative number" if value < 0 else "a number beyond 64 bits"
    return f"a value of type {class_name(type(value))}"


_all: weakref.WeakSet[Observed] = weakref.WeakSet()


def _after_fork_in_child() -> None:
    for observed in list(_all):
        observed._after_fork_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
