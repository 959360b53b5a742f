"""Where HTTP requests are met: in ``__call__`` of the classes `Starlette` and `FastAPI`.

A class is the one place that every application passes, made before or after `otelkit.init`, under
any name and at any depth; the server looks ``__call__`` up on it for each request. It relies on
two public things: ``FastAPI.__call__`` calls ``Starlette.__call__``, and FastAPI leaves a request
alone that has the key ``fastapi.telemetry`` in its scope. An application that is instrumented
already, by whatever made the span around it or stands in its middleware, is left alone.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from opentelemetry import trace
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

from otelkit import _guard
from otelkit.instrument._http import asgi, native, request, server_errors
from otelkit.instrument._http.paths import own_paths
from otelkit.logs.patch import Patch
from otelkit.pipeline.spans import Unrecorded
from otelkit.process import watch_loop
from otelkit.processors.context import attach, detach, with_span

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from otelkit.instrument._http.request import Call, Receive, Scope, Send
    from otelkit.instrument._http.rules import Rules

__all__ = ["DECIDED", "Hook", "excluded", "unrecorded"]

_ids = RandomIdGenerator()

DECIDED = "otelkit.http"
"""The key in the ASGI scope that says what was decided for a request: rules to apply, or None."""


class Hook:
    """The hook in both classes.

    Args:
        rules_for: The rules for an application, None for one that is not to be touched; called for
            each request, must not raise.
    """

    def __init__(self, rules_for: Callable[[Any], Rules | None]) -> None:
        self._rules_for = rules_for
        self._spans: asgi.Spans | None = None
        self._patches: list[Patch] = []

    def put(self, *, fastapi: bool) -> None:
        """Put the hook in place; again does nothing.

        Args:
            fastapi: Whether FastAPI is imported and is to be met too.
        """
        from starlette.applications import Starlette

        if not self._patches:
            self._patches.append(Patch(Starlette, "__call__", self._starlette_call()))
        if fastapi and len(self._patches) == 1 and native.is_there():
            from fastapi import FastAPI

            self._patches.append(Patch(FastAPI, "__call__", self._fastapi_call()))
        for patch in self._patches:
            patch.put()
        server_errors.join()

    def remove(self) -> None:
        """Put back what was found."""
        for patch in reversed(self._patches):
            patch.remove()
        server_errors.part()

    async def around(
        self, call: Call, app: Any, scope: Scope, receive: Receive, send: Send, rules: Rules
    ) -> None:
        """Run ``call`` for one request, inside the official instrumentation unless it is excluded.

        Args:
            call: The application.
            app: Whose routes tell what the request is.
            scope: As ASGI has it; mounted applications see in it that all is decided.
            receive: As ASGI has it.
            send: As ASGI has it.
            rules: What is wanted.
        """
        scope[DECIDED] = None
        scope[native.KEY] = None
        if excluded(rules, scope, app):
            with unrecorded():
                await call(scope, receive, send)
            return
        run = _Once(call)
        try:
            if self._spans is None:
                self._spans = asgi.Spans()
            await self._spans(run, app, scope, receive, send, rules)
        except Exception as error:
            if error is run.error:
                raise
            # The instrumentation's own.
            _guard.swallowed("instrument.asgi")
            if not run.began:
                await call(scope, receive, send)
        finally:
            run.error = None  # its frames hold `run`: a cycle would keep the request alive

    def _fastapi_call(self) -> Callable[..., Any]:
        async def __call__(app: Any, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: N807
            found = self._patches[1].found
            rules = self._decide(app, scope)
            if rules is not None and excluded(rules, scope, app):
                scope[DECIDED] = None
                scope[native.KEY] = None
                with unrecorded():
                    await found(app, scope, receive, send)
                return
            if rules is not None:
                scope[DECIDED] = rules
            await found(app, scope, receive, send)

        return __call__

    def _starlette_call(self) -> Callable[..., Any]:
        async def __call__(app: Any, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: N807
            found = self._patches[0].found

            async def call(scope: Scope, receive: Receive, send: Send) -> None:
                await found(app, scope, receive, send)

            decided = scope.get(DECIDED)
            if decided is not None and scope.get(native.KEY) is not None:
                scope[DECIDED] = None
                span = _dressed(scope[native.KEY], decided)
                await request.run(call, scope, receive, send, span, decided)
                return
            rules = None if _speaks_itself(app) else self._decide(app, scope)
            if rules is None:
                await found(app, scope, receive, send)
                return
            await self.around(call, app, scope, receive, send, rules)

        return __call__

    def _decide(self, app: Any, scope: Scope) -> Rules | None:
        """The rules for a request that nobody has decided about; None for one to be left alone."""
        watch_loop()
        if scope["type"] not in ("http", "websocket") or DECIDED in scope or native.KEY in scope:
            return None
        rules = self._rules_for(app)
        if rules is None:
            return None
        if app.middleware_stack is None:  # as the class itself does, a moment later
            app.middleware_stack = app.build_middleware_stack()
        if _is_instrumented(app):
            scope[DECIDED] = scope[native.KEY] = None
            return None
        return rules


class _Once:
    """A call of the application that remembers whether it was made and what it raised."""

    __slots__ = ("_call", "began", "error")

    def __init__(self, call: Call) -> None:
        self._call = call
        self.began = False
        self.error: BaseException | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.began = True
        try:
            await self._call(scope, receive, send)
        except BaseException as error:
            self.error = error
            raise


def excluded(rules: Rules, scope: Scope, app: Any) -> bool:
    """Whether a request makes no telemetry; never raises."""
    if not rules.excluded:
        return False
    try:
        return any(map(rules.excluded.matches, own_paths(scope, app)))
    except Exception:
        _guard.swallowed("instrument.excluded")
        return False


@contextmanager
def unrecorded() -> Iterator[None]:
    """Run a request that makes no spans, nor do the calls it makes: it stands in a trace not sampled.

    Log records are made as ever.
    """
    ids = _ids.generate_trace_id(), _ids.generate_span_id()
    parent = Unrecorded(trace.SpanContext(*ids, is_remote=False))
    token = attach(with_span(parent))
    try:
        yield
    finally:
        detach(token)


def _dressed(telemetry: Any, rules: Rules) -> trace.Span | None:
    try:
        return native.dress(telemetry, rules)
    except Exception:
        _guard.swallowed("instrument.native")
        return None


def _speaks_itself(app: Any) -> bool:
    return hasattr(app, "_native_telemetry")


# Whether a middleware stack has an official instrumentation in it; stacks are built once.
_stacks: WeakKeyDictionary[Any, bool] = WeakKeyDictionary()


def _is_instrumented(app: Any) -> bool:
    """Whether an official instrumentation stands around the application or in its own middleware."""
    try:
        stack = app.middleware_stack
        known = _stacks.get(stack)
        if known is None:
            known = _stacks[stack] = asgi.is_official_inside(stack)
        return known or asgi.is_official(trace.get_current_span())
    except Exception:
        _guard.swallowed("instrument.instrumented")
        return True
