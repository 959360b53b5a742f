"""The host survives: where otelkit's own failures end, and how otelkit speaks of itself.

A failure inside a public call is counted, named once per place on stderr and swallowed. Under
otelkit's own test suite (`reraise`) it is raised instead, so that no test passes over it. What is no
`Exception` (Ctrl-C, the end of a greenlet) is the application's on its own threads, and ends here on
otelkit's. Diagnostics never become telemetry and never go to stdout.
"""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import IO

from otelkit.errors import ConfigurationError

__all__ = [
    "current_error",
    "describe",
    "ends_here",
    "failures",
    "forget",
    "guard",
    "own_thread",
    "refuse",
    "reraise",
    "say",
    "set_scrubber",
    "swallowed",
]

_MAX_PLACES = 1_000  # a place is a literal in our source; the cap only bounds a mistake
_MAX_LINE = 1_000  # characters: a pipe that takes anything takes 4,096 bytes (PIPE_BUF, pipe(7))

_lock = threading.RLock()  # a signal handler may come in between and have something to say
_failures: dict[str, int] = {}
_said: dict[str, float] = {}
_scrub: Callable[[str], str] = str
_reraise = bool(os.environ.get("OTELKIT_RERAISE"))
# No `threading.local`: greenlets share one that was made before gevent replaced it.
_own: ContextVar[bool] = ContextVar("otelkit_own_thread", default=False)


def say(message: str, *, key: str | None = None, every_s: float | None = None) -> bool:
    """Write one line about otelkit to stderr.

    Args:
        message: What happened, what was given, what to do. Secrets are scrubbed, line ends folded.
        key: Lines with one key are said once per process; ``None`` says it always.
        every_s: With a key: say it again when this many seconds have passed.

    Returns:
        Whether the line was said now. A closed or missing stderr is no error. One that takes nothing
        now (a pipe that nobody reads) is not waited for: with a key it is tried again the next time.
    """
    if key is not None and not _due(key, every_s):
        return False
    try:
        if not _takes(sys.stderr):
            with _lock:
                _said.pop(key or "", None)
            return False
        line = " ".join(_scrub(message).split())
        if len(line) > _MAX_LINE:
            line = f"{line[:_MAX_LINE]}..."
        sys.stderr.write(f"otelkit: {line}\n")
    except Exception:
        return False
    return True


def _takes(stream: IO[str]) -> bool:
    """Whether a line can be written without waiting; also where nobody can tell (no real file, Windows)."""
    import select

    try:
        poll = select.poll()
        poll.register(stream.fileno(), select.POLLOUT)
    except Exception:
        return True
    return bool(poll.poll(0))


def _due(key: str, every_s: float | None) -> bool:
    now = time.monotonic()
    with _lock:
        last = _said.get(key)
        if last is not None and (every_s is None or now - last < every_s):
            return False
        if len(_said) < _MAX_PLACES or last is not None:
            _said[key] = now
        return True


def refuse(message: str, *, strict: bool, key: str | None = None) -> None:
    """Say which part of the configuration cannot be used, once.

    Args:
        message: As for `say`; holds no secret.
        strict: Raise it instead.
        key: As for `say`; default: the message.

    Raises:
        ConfigurationError: With ``strict``.
    """
    if strict:
        raise ConfigurationError(message)
    say(message, key=key or message)


def swallowed(place: str) -> None:
    """Count the exception being handled and say it once per place; call it from ``except``.

    Args:
        place: Where it happened, a literal such as ``"span.end"``.
    """
    with _lock:
        if place in _failures or len(_failures) < _MAX_PLACES:
            _failures[place] = _failures.get(place, 0) + 1
    if _reraise:
        raise  # noqa: PLE0704 - re-raises what the caller is handling
    error = sys.exc_info()[1]
    say(
        f"internal failure in {place}: {describe(error)}. The application is not affected; "
        "further failures here are only counted.",
        key=f"failure:{place}",
    )


def describe(error: BaseException | None) -> str:
    """Class and message of an error as text, whatever its ``__str__`` does."""
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return type(error).__name__


def current_error() -> str:
    """The exception being handled, described; for messages about somebody else's code."""
    return describe(sys.exc_info()[1])


def own_thread() -> None:
    """The calling thread is otelkit's: nobody above waits for what is raised on it; see `ends_here`."""
    _own.set(True)


def ends_here(error: BaseException) -> bool:
    """Whether an exception may be swallowed.

    Every `Exception` may. On otelkit's own threads everything may: no Ctrl-C comes there, and a
    CancelledError or SystemExit that the application's code raises there would end the thread.
    """
    return isinstance(error, Exception) or _own.get()


@contextmanager
def guard(place: str) -> Iterator[None]:
    """Swallow otelkit's own failures in a block off the hot path; see `swallowed` and `ends_here`."""
    try:
        yield
    except BaseException as error:
        if not ends_here(error):
            raise
        swallowed(place)


def failures() -> Mapping[str, int]:
    """How often each place failed and was swallowed, since the process began."""
    with _lock:
        return dict(_failures)


@contextmanager
def reraise(enabled: bool) -> Iterator[None]:
    """Raise our own failures instead of swallowing them (or the reverse) inside the block."""
    global _reraise
    before, _reraise = _reraise, enabled
    try:
        yield
    finally:
        _reraise = before


def set_scrubber(scrub: Callable[[str], str]) -> None:
    """Pass every diagnostic line through ``scrub`` from now on."""
    global _scrub
    _scrub = scrub


def forget() -> None:
    """Forget what was said and counted: a fresh process, for tests and after a fork."""
    with _lock:
        _failures.clear()
        _said.clear()


def _after_fork_in_child() -> None:
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
