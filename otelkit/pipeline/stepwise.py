"""Generators whose body is looked after step by step, for whoever begins something around each run.

A generator runs in pieces, between which its caller goes on in another context, or never comes back.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Generator
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
        try:
            body = function(*args, **kwargs)
            step, given = body.send, None
            while True:
                steps.enter()
                try:
                    item = step(given)
                finally:
                    steps.leave()
                steps.seen(item)
                try:
                    given = yield item
                    step = body.send
                except GeneratorExit:
                    steps.enter()
                    try:
                        body.close()
                    finally:
                        steps.leave()
                    raise
                except BaseException as thrown:
                    step, given = body.throw, thrown
        except StopIteration as stop:
            steps.returned(stop.value)
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
        try:
            body = function(*args, **kwargs)
            step, given = body.asend, None
            while True:
                steps.enter()
                try:
                    item = await step(given)
                finally:
                    steps.leave()
                steps.seen(item)
                try:
                    given = yield item
                    step = body.asend
                except GeneratorExit:
                    steps.enter()
                    try:
                        await body.aclose()
                    finally:
                        steps.leave()
                    raise
                except BaseException as thrown:
                    step, given = body.athrow, thrown
        except StopAsyncIteration:
            steps.returned(None)
            return
        except BaseException as error:
            steps.fail(error)
            raise
        finally:
            steps.end()

    return wrapper
