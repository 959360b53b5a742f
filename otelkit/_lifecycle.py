"""The ends and beginnings of a process: atexit, signals, forks, uncaught exceptions.

Installed once, at the first `otelkit.init`; each hook asks for the runtime of the moment.

Signals. SIGTERM is chained over whatever handler is there; SIG_IGN and handlers set from C stay.
SIGINT becomes KeyboardInterrupt and ends by atexit, so it is left alone.

- The default action would end the process at once. The handler only starts a thread, because the
  interrupted frame may hold a lock that shutting down needs; when that thread is done it delivers
  the signal again, to the default action. The exit status is the one of the signal, as without us.
- A handler of the application's runs at once, as without us; a flush runs beside it. What the
  application does until it ends is still taken and sent by atexit.
- Process 1 of a container has no default action: the kernel ignores the signal, and the program goes
  on, as without us. A flush runs beside it.
- uvicorn restores the earlier handlers when its server has shut down and raises the signal again.
  If they were there before us, our handler is the earlier one; raised there it may wait, and does,
  so that nothing that stands after the server runs. If the server is already running (init at
  import in a worker, in a lifespan), its handler stays, and the shutdown runs at the moment at
  which it is about to raise the signal again.
"""

from __future__ import annotations

import atexit
import functools
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType, TracebackType
from typing import Any, NoReturn

from otelkit import _guard, runtime

__all__ = ["install"]

_installed = False
_forked: Callable[[runtime.Runtime], object] = lambda _: None
_pending: int | None = None
_exiting = False
_fork_anchor: Any = None
_finalized: int | None = None


def install(*, after_fork: Callable[[runtime.Runtime], object], on_os_exit: bool = False) -> None:
    """Set all hooks; once per process.

    Args:
        after_fork: Called in a fork's child with the parent's runtime, to make one of its own.
        on_os_exit: Whether `os._exit` ends telemetry first.
    """
    global _installed, _forked
    _forked = after_fork
    _take_signal(signal.SIGTERM)
    if on_os_exit:
        _wrap_os_exit()
    _end_with_multiprocessing()
    _end_with_celery()
    if _installed:
        return
    _installed = True
    atexit.register(_at_exit)
    _install_excepthooks()
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=_after_fork_in_child)


# -- the end ------------------------------------------------------------------------------------


def _shutdown(*, hurry: bool = False) -> None:
    present = runtime.current()
    if present is not None:
        present.end(hurry=hurry)


def _at_exit() -> None:
    global _exiting
    _exiting = True
    try:
        _shutdown()
    except KeyboardInterrupt:  # a second Ctrl-C: it has ended the wait, and the interpreter ends anyway
        pass
    finally:
        _exiting = False
        if _pending is not None:
            # The main thread came to its end after the signal, or the signal to us meanwhile; without
            # us the default action would have ended the process there.
            _default(_pending)


def _wrap_os_exit() -> None:
    """Make `os._exit` shut down first: it ends the process without atexit, at once."""
    leave = os._exit
    if getattr(leave, "_otelkit", False):
        return

    @functools.wraps(leave)
    def end_and_leave(status: int) -> NoReturn:
        try:
            _shutdown(hurry=True)
        finally:
            leave(status)

    end_and_leave._otelkit = True  # type: ignore[attr-defined]
    os._exit = end_and_leave


def _take_signal(number: int) -> None:
    """Chain our handler over the present one, where that makes sense."""
    earlier = signal.getsignal(number)
    if isinstance(earlier, _Handler) or earlier is signal.SIG_IGN or earlier is None:
        return
    server = getattr(earlier, "__self__", None)
    if _is_uvicorn(server):
        _follow_uvicorn(server)
    elif threading.current_thread() is threading.main_thread():
        with _guard.guard("lifecycle.signal"):
            signal.signal(number, _Handler(earlier))


class _Handler:
    """Our signal handler over ``earlier``; never waits where the frame may hold a lock.

    Each keeps its own ``earlier``: a handler that the application has put over the first one, and
    that calls it, may have a second one over itself.
    """

    def __init__(self, earlier: Callable[[int, FrameType | None], object] | int) -> None:
        self._earlier = earlier

    def __call__(self, number: int, frame: FrameType | None) -> None:
        global _pending
        if callable(self._earlier):
            _beside(_flush)
            self._earlier(number, frame)
            return
        if _goes_on():
            _beside(_flush)
            return
        again, _pending = _pending is not None, number
        if not again and _raised_by_uvicorn(frame):
            _shutdown(hurry=True)
        elif not again and (_exiting or _beside(_shutdown_and_signal)):
            return
        _default(number)  # shut down, or asked a second time


def _goes_on() -> bool:
    """Whether the default action does nothing to this process: it is the first of its PID namespace.

    Source: pid_namespaces(7), "The namespace init process".
    """
    return os.getpid() == 1


def _default(number: int) -> None:
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)


def _flush() -> None:
    present = runtime.current()
    if present is not None:
        present.flush(timeout_s=present.settings.shutdown_timeout_s)


def _shutdown_and_signal() -> None:
    try:
        _shutdown(hurry=True)
    finally:
        if _pending is not None:
            os.kill(os.getpid(), _pending)


def _beside(work: Callable[[], None]) -> bool:
    """Run ``work`` in a thread; False where the interpreter starts none any more."""
    try:
        threading.Thread(target=work, name="otelkit-signal", daemon=True).start()
    except RuntimeError:
        return False
    return True


def _raised_by_uvicorn(frame: FrameType | None) -> bool:
    if frame is None or frame.f_globals.get("__name__") != "uvicorn.server":
        return False
    return frame.f_code.co_name == "capture_signals"


def _is_uvicorn(server: object) -> bool:
    kinds = {(kind.__module__, kind.__qualname__) for kind in type(server).__mro__}
    return ("uvicorn.server", "Server") in kinds


class _EndFirst(list[int]):
    """The signals a uvicorn server has captured; reading them back, to raise them, ends us first.

    A signal that does not end the process (KeyboardInterrupt, a handler of the application's) does
    not end us: atexit will.
    """

    def __reversed__(self) -> Iterator[int]:
        if not _goes_on() and any(signal.getsignal(number) is signal.SIG_DFL for number in self):
            _shutdown(hurry=True)
        return super().__reversed__()


def _follow_uvicorn(server: Any) -> None:
    captured = getattr(server, "_captured_signals", None)
    if isinstance(captured, list) and not isinstance(captured, _EndFirst):
        server._captured_signals = _EndFirst(captured)


# -- a fork -------------------------------------------------------------------------------------


def _after_fork_in_child() -> None:
    global _pending, _exiting
    _pending, _exiting = None, False
    parent = runtime.forget_after_fork()
    if parent is None:
        return
    try:
        _forked(parent)
        _end_with_next_multiprocessing()
        _end_with_celery()
    except Exception:
        _guard.swallowed("lifecycle.fork")


def _end_with_multiprocessing() -> None:
    """End with a `multiprocessing` child in which `otelkit.init` is called: it leaves by os._exit."""
    process = sys.modules.get("multiprocessing.process")
    if process is not None and process.parent_process() is not None:
        _Anchor.register()


def _end_with_next_multiprocessing() -> None:
    """End with a `multiprocessing` child that has just been forked: it leaves after its finalizers.

    The finalizers registered before the fork, and until the child's own start, are wiped; so ours
    is registered by an after-fork callback of that module, which runs later than this one.
    """
    global _fork_anchor
    util = sys.modules.get("multiprocessing.util")
    if util is None:
        return
    _fork_anchor = _Anchor()
    util.register_after_fork(_fork_anchor, _Anchor.register)


class _Anchor:
    """Something for `multiprocessing.util.register_after_fork` to hold on to."""

    @staticmethod
    def register(_: object = None) -> None:
        global _finalized
        from multiprocessing import util

        if _finalized != os.getpid():
            _finalized = os.getpid()
            util.Finalize(None, _shutdown, exitpriority=-100)


def _end_with_celery() -> None:
    """End with a worker process of Celery's: it leaves by os._exit, and runs no finalizers."""
    signals = sys.modules.get("celery.signals")
    if signals is not None:
        signals.worker_process_shutdown.connect(_on_celery_shutdown, weak=False)


def _on_celery_shutdown(**_: object) -> None:
    _shutdown()


# -- uncaught exceptions ------------------------------------------------------------------------


def _install_excepthooks() -> None:
    earlier = sys.excepthook
    earlier_in_thread = threading.excepthook

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        _record(kind, error, "MainThread")
        earlier(kind, error, trace)

    def hook_in_thread(args: Any) -> None:
        _record(args.exc_type, args.exc_value, getattr(args.thread, "name", None))
        earlier_in_thread(args)

    sys.excepthook = hook
    threading.excepthook = hook_in_thread


def _record(kind: type[BaseException], error: BaseException | None, thread: str | None) -> None:
    """One error record for an exception that nobody caught."""
    if error is None or not issubclass(kind, Exception) or runtime.current() is None:
        return
    with _guard.guard("lifecycle.excepthook"):
        from otelkit import _otel

        _otel.get_logger("otelkit.uncaught").emit(
            _otel.make_record(
                severity_number=_otel.SeverityNumber.FATAL,
                severity_text="FATAL",
                body="Uncaught exception",
                attributes={"thread.name": thread},
                exception=error,
            )
        )
