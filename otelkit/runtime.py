"""A running set-up of all three signals: started, flushed, counted, shut down.

`otelkit.pipeline` builds the parts; this is their life, and the one replaceable global.

A capture (`otelkit.testing.capture`) puts a `Stage` on top of it. What `otelkit.init` makes meanwhile
(an `otelkit.rehearsal.Rehearsal`) stands there and ends with the capture; the process's own runtime goes
on beneath, and hears nothing of it.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import TYPE_CHECKING

from otelkit import _guard, _switch, prometheus
from otelkit._clock import SYSTEM_CLOCK
from otelkit.delivery.dispatch import INTERRUPTED_S
from otelkit.delivery.worker import bounded
from otelkit.errors import ConfigurationError
from otelkit.pipeline.assemble import assemble
from otelkit.processors.redact import Redactor

if TYPE_CHECKING:
    from otelkit.delivery.accounting import Counts
    from otelkit.pipeline.plan import Plan
    from otelkit.settings import Settings

__all__ = ["Runtime", "Stage", "current", "on_or_beneath", "stage"]

_LINGER_S = 300.0
_current: Runtime | None = None
_retired: list[Runtime] = []
_stages: tuple[Stage, ...] = ()  # replaced as a whole, so that it is read without the lock
_lock = threading.RLock()


def current() -> Runtime | None:
    """The running `Runtime` of this process, or None; during a capture the one made in it, if any."""
    return on_or_beneath(stage())


def stage() -> Stage | None:
    """Where a runtime that is made now stands: that of the innermost capture, if any."""
    stages = _stages
    return stages[-1] if stages else None


def on_or_beneath(stage: Stage | None) -> Runtime | None:
    """The runtime that stands on a stage, or on the next one beneath that has any, or on none."""
    while stage is not None:
        if stage.runtime is not None:
            return stage.runtime
        stage = stage.beneath
    return _current


class Runtime:
    """What `otelkit.init` returns. A context manager: leaving it shuts down.

    Its methods may be called from any thread, at any time, in any order; they never raise.

    Attributes:
        settings: What it was made from.
        plan: What it is made of; prints as a few lines.
        ending: Whether it was told to end.
    """

    def __init__(self, settings: Settings, plan: Plan) -> None:
        self.settings = settings
        self.plan = plan
        self.redactor: Redactor = Redactor.of(settings.redact)
        _guard.set_scrubber(self.redactor.scrub)
        self._parts = None
        self._target = _switch.Target(shutdown=self.shutdown)
        if not plan.disabled:
            self._parts = assemble(settings, plan, redactor=self.redactor, in_use=self._in_use)
            self._target = _switch.Target(
                traces=self._parts.traces,
                logs=self._parts.logs,
                metrics=self._parts.metrics,
                disabled_scopes=settings.disabled_scopes,
                flush=self.flush,
                shutdown=self.shutdown,
            )
        self._server: prometheus.Server | None = None
        self._page: prometheus.Handle | None = None
        self._closers: list[Callable[[], object]] = []
        self._ending = threading.Lock()
        self._delivered_all: bool | None = None
        self.ending = False
        self._pid = os.getpid()

    # -- life ---------------------------------------------------------------------------------

    def start(self) -> None:
        """Become the current runtime: start the thread and the server, turn the switch.

        The former runtime goes on in the background until its open spans have ended.

        Raises:
            ConfigurationError: With ``strict``, ``/metrics`` cannot be served.
            RuntimeError: No thread can be started.
        """
        global _current
        with _lock:
            former = _current
            self._serve_after(former)
            if self._parts is not None:
                try:
                    self._parts.dispatch.start()
                except RuntimeError:
                    self._close_server()
                    if former is not None:
                        former._serve()
                    raise
                self._page = prometheus.activate(self._parts.page)
            _switch.install()
            _switch.turn(self._target)
            _current = self
            if former is not None:
                former._retire()

    def on_close(self, closer: Callable[[], object]) -> None:
        """Call ``closer`` when this runtime is shut down or replaced; the last one given goes first.

        One made during a capture is shut down at its end.
        """
        self._closers.append(closer)

    def inherit(self, parent: Runtime) -> None:
        """Take over what ends with the parent's runtime, in a fork's child."""
        self._closers, parent._closers = parent._closers, []

    def flush(self, timeout_s: float = 5.0) -> bool:
        """Send everything that was accepted before this call, all signals at once.

        Args:
            timeout_s: How long this may take at the most.

        Returns:
            Whether all of it was delivered in time.
        """
        if self._parts is None or self._delivered_all is not None:
            return self._parts is None or bool(self._delivered_all)
        try:
            return self._parts.dispatch.flush(timeout_s=timeout_s)
        except Exception:
            _guard.swallowed("runtime.flush")
            return False

    def shutdown(self, timeout_s: float | None = None) -> bool:
        """Send what is left, all signals at once, and end; a second call returns the same answer.

        Args:
            timeout_s: How long this may take at the most (default: the setting, 2 s). What cannot
                be sent in time stays in the spool for the next process; without a spool it is
                counted as lost. Either is said in one line.

        Returns:
            Whether everything was delivered.

        A Ctrl-C while it waits ends it at once, and is raised then: the rest stays in the spool, or is
        counted, as at the end of the time.
        """
        self._run_closers()
        return self.end(timeout_s)

    def end(self, timeout_s: float | None = None, *, hurry: bool = False) -> bool:
        """`shutdown` at the end of the process: what otelkit set in other libraries stays set.

        Lines that are logged after it (by later atexit handlers, say) still look the same.

        Args:
            timeout_s: As for `shutdown`.
            hurry: Whether the process is being stopped from outside; see `Dispatch.close`.
        """
        global _current
        if timeout_s is None:
            timeout_s = self.settings.shutdown_timeout_s
        timeout_s = bounded(timeout_s)
        deadline = SYSTEM_CLOCK.monotonic() + timeout_s
        self.ending = True
        with _guard.guard("runtime.shutdown"):
            is_current = _current is self
            if is_current:
                _end_retired(timeout_s)
            if not self._ending.acquire(timeout=timeout_s):
                return False
            try:
                if self._delivered_all is None:
                    self._delivered_all = self._close(deadline, hurry=hurry)
            except BaseException:
                self._delivered_all = False
                deadline = min(deadline, SYSTEM_CLOCK.monotonic() + INTERRUPTED_S)
                raise
            finally:
                self._ending.release()
                with _lock:
                    if _current is self:
                        _current = None
                        _switch.turn(_switch.OFF)
                if is_current:
                    _close_retired(deadline)
        return bool(self._delivered_all)

    @property
    def prometheus_port(self) -> int | None:
        """The port of the ``/metrics`` server; None where there is no server."""
        return None if self._server is None else self._server.port

    def stats(self) -> Mapping[str, Counts]:
        """What became of every item so far, by signal: ``traces``, ``logs``, ``metrics``."""
        if self._parts is None:
            return {}
        return self._parts.dispatch.counts()

    def __enter__(self) -> Runtime:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        self.shutdown()

    # -- the details --------------------------------------------------------------------------

    def _serve_after(self, former: Runtime | None) -> None:
        """Serve instead of the former runtime, which may have the port; it goes on if we cannot."""
        if former is not None:
            former._close_server()
        try:
            self._serve()
        except ConfigurationError:
            if former is not None:
                former._serve()
            raise

    def _serve(self) -> None:
        server = self.plan.server
        if server is None or self.plan.disabled:
            return
        try:
            self._server = prometheus.serve(host=server[0], port=server[1])
        except (OSError, OverflowError, RuntimeError) as error:  # or no thread can be started
            _guard.refuse(
                f"prometheus_port={server[1]}: {_guard.describe(error)}. /metrics is not served there; "
                "choose a free port, or mount otelkit.prometheus.asgi_app() in your application.",
                strict=self.settings.strict,
            )

    def _close(self, deadline: float, *, hurry: bool) -> bool:
        if self._parts is None:
            return True
        left = max(0.0, deadline - SYSTEM_CLOCK.monotonic())
        try:
            return self._parts.dispatch.close(timeout_s=left, hurry=hurry)
        finally:
            self._close_server()
            self._leave_page()

    def _retire(self) -> None:
        """Step aside for a new runtime: nothing new comes here but the end of open spans."""
        self._run_closers()
        self._leave_page()
        parts = self._parts
        if parts is None:
            return
        parts.dispatch.retire(
            still_open=lambda: parts.traces.processors.open_spans > 0,
            linger_s=_LINGER_S,
            timeout_s=self.settings.shutdown_timeout_s,
        )
        _retired[:] = [runtime for runtime in (*_retired, self) if not runtime._ended()]

    def _ended(self) -> bool:
        return self._parts is None or self._parts.dispatch.ended

    def _run_closers(self) -> None:
        while self._closers:
            with _guard.guard("runtime.on_close"):
                self._closers.pop()()

    def _close_server(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()

    def _leave_page(self) -> None:
        page, self._page = self._page, None
        if page is not None:
            page.restore()

    def _in_use(self, thing: object) -> bool:
        """Whether another runtime, present or retired, still uses an exporter, processor or reader."""
        return any(
            thing is other
            for runtime in (_current, *_retired)
            if runtime is not None and runtime is not self and not runtime._released()
            for other in runtime._users()
        )

    def _released(self) -> bool:
        return self._parts is None or self._parts.dispatch.released

    def _users(self) -> tuple[object, ...]:
        """The user's own objects in this runtime."""
        if self._parts is None:
            return ()
        chosen = self.settings
        return (
            *chosen.span_exporters,
            *chosen.log_exporters,
            *chosen.metric_readers,
            *self._parts.traces.processors.users,
            *self._parts.logs.processors.users,
        )


class Stage:
    """Where the runtimes stand that are made during one capture; it begins here and ends with `close`.

    Attributes:
        beneath: That of the capture around this one.
        runtime: The one that was made last, until it is shut down.
        scrub: What the lines of diagnostics passed through before all captures.
    """

    def __init__(self) -> None:
        global _stages
        self.runtime: Runtime | None = None
        with _lock:
            self.beneath = stage()
            found = _guard._scrub if self.beneath is None else self.beneath.scrub
            self.scrub: Callable[[str], str] = found
            _stages = (*_stages, self)

    def take_place(self, runtime: Runtime) -> Runtime | None:
        """Stand a runtime here; returns the one that stood here before."""
        with _lock:
            former, self.runtime = self.runtime, runtime
            return former

    def leave(self, runtime: Runtime) -> None:
        """A runtime stands here no longer, if it does."""
        with _lock:
            if self.runtime is runtime:
                self.runtime = None

    def close(self) -> None:
        """Shut its runtime down: what lies beneath is current again, wherever in the stack this stage is."""
        global _stages
        try:
            if self.runtime is not None:
                self.runtime.shutdown()
        finally:
            with _lock:
                self.runtime = None
                _stages = tuple(other for other in _stages if other is not self)


def _end_retired(timeout_s: float) -> None:
    """Let the runtimes that were replaced send what they have, in their own threads."""
    for runtime in tuple(_retired):
        if runtime._parts is not None:
            runtime._parts.dispatch.end_retirement(timeout_s=timeout_s)


def _close_retired(deadline: float) -> None:
    """End the runtimes that were replaced and still deliver, within what is left of the time."""
    for runtime in [runtime for runtime in _retired if not runtime._ended()]:
        if runtime._parts is not None:
            runtime._parts.dispatch.close(timeout_s=max(0.0, deadline - SYSTEM_CLOCK.monotonic()))
    with _lock:
        _retired[:] = [runtime for runtime in _retired if not runtime._ended()]


def forget_after_fork() -> Runtime | None:
    """In a fork's child: let go of the parent's runtimes without touching what they hold.

    Returns:
        The parent's runtime.
    """
    global _current, _lock
    _lock = threading.RLock()
    _switch.after_fork_in_child()
    parent, _current = _current, None
    for runtime in (parent, *_retired):
        if runtime is not None and runtime._parts is not None:
            runtime._parts.dispatch.forget()
    _retired.clear()
    return parent
