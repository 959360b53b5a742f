"""Generators whose body is looked after step by step, for whoever begins something around each run.

A generator runs in pieces, between which its caller goes on in another context, or never comes back.
"""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Callable, Generator
from functools import partial
from typing import Any, Protocol

__all__ = ["Steps", "of_async_generator", "of_generator"]


class Steps(Protocol):
    """One run of a generator's body. Nothing of it raises."""

    def enter(self) -> None:
        """A step begins: from here on the context is that of the run."""
        ...

    def leave(self) -> None:
        """The step is over: the context is the caller's again."""
        ...

    def seen(self, item: Any) -> None:
        """The body has yielded ``item``."""
        ...

    def returned(self, value: Any) -> None:
        """The body has come to its end, with ``value``."""
        ...

    def fail(self, error: BaseException) -> None:
        """The body has ended with ``error``; `GeneratorExit` where nobody wanted more of it."""
        ...

    def end(self) -> None:
        """It is over, after `returned` or `fail`."""
        ...


def of_generator(
    function: Callable[..., Any], begin: Callable[[], Steps]
) -> Callable[..., Generator[Any, Any, Any]]:
    """``function``, a generator function, with steps that ``begin`` begins at the first of each run."""

    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        steps = begin()
        wanted = True
        try:
            body = function(*args, **kwargs)
            del args, kwargs
            step, given = body.send, None
            while True:
                steps.enter()
                try:
                    item = step(given)
                finally:
                    given = None  # what was thrown in refers to this frame
                    steps.leave()
                steps.seen(item)
                try:
                    given = yield (item, item := None)[0]  # the caller has it alone until the next step
                    step, wanted = body.send, True
                except BaseException as thrown:  # `close` too: the body may have an answer to it
                    step, given, wanted = body.throw, thrown, not issubclass(type(thrown), GeneratorExit)
        except StopIteration as stop:
            if wanted:
                steps.returned(stop.value)
            else:
                steps.fail(GeneratorExit())
            return stop.value
        except BaseException as error:
            steps.fail(error)
            raise
        finally:
            steps.end()

    return wrapper


def of_async_generator(
    function: Callable[..., Any], begin: Callable[[], Steps]
) -> Callable[..., AsyncGenerator[Any, Any]]:
    """`of_generator` for an async generator function."""

    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        steps = begin()
        wanted = True
        try:
            body = function(*args, **kwargs)
            del args, kwargs
            step, given = partial(_first, body), None
            while True:
                steps.enter()
                try:
                    item = await step(given)
                finally:
                    given = None
                    steps.leave()
                steps.seen(item)
                try:
                    given = yield (item, item := None)[0]  # as above
                    step, wanted = body.asend, True
                except BaseException as thrown:
                    step, given, wanted = body.athrow, thrown, not issubclass(type(thrown), GeneratorExit)
        except StopAsyncIteration:
            if wanted:
                steps.returned(None)
            else:
                steps.fail(GeneratorExit())
            return
        except BaseException as error:
            steps.fail(error)
            raise
        finally:
            steps.end()

    return wrapper


def _first(body: AsyncGenerator[Any, Any], given: None) -> Any:
    """The first step of a body, of which the event loop does not learn: it is closed by its wrapper.

    A loop that ends closes all that it knows at once, and one of the two would find the other closing.
    """
    hooks = sys.get_asyncgen_hooks()
    sys.set_asyncgen_hooks(firstiter=None, finalizer=_leave_to_wrapper)
    try:
        return body.asend(given)
    finally:
        sys.set_asyncgen_hooks(*hooks)


def _leave_to_wrapper(_body: object) -> None:
    """A body that is released with its wrapper, which has a finalizer of its own."""
