"""Streams passed through: the same chunks, the same errors, the same end; only read on the way."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from types import TracebackType
from typing import Any, Protocol

__all__ = ["AsyncStream", "Listener", "Stream"]


class Listener(Protocol):
    """Hears of a stream; no method raises.

    `_on_end` comes once, after the last chunk; by way of `_on_release` where the stream was released
    before its end.
    """

    def _on_chunk(self, chunk: Any) -> None: ...

    def _on_end(self, error: BaseException | None) -> None: ...

    def _on_release(self, end: Callable[[], None]) -> None: ...


class _Passing:
    """What both kinds have in common: the source's members, and one end."""

    def __init__(self, source: Any, listener: Listener) -> None:
        self._source = source
        self._listener = listener
        self._chunks: Any = None
        self._ended = False

    def __getattr__(self, name: str) -> Any:
        if name == "_source":  # not made yet: unpickling, say
            raise AttributeError(name)
        return getattr(self._source, name)

    def _end(self, error: BaseException | None = None) -> None:
        if not self._ended:
            self._ended = True
            self._listener._on_end(error)

    def __del__(self) -> None:
        # Left by `break` and released: nobody will read on.
        if not self.__dict__.get("_ended", True):
            self._listener._on_release(self._end)


class Stream(_Passing):
    """A plain stream on its way to the application."""

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        try:
            if self._chunks is None:
                self._chunks = iter(self._source)
            chunk = next(self._chunks)
        except StopIteration:
            self._end()
            raise
        except BaseException as error:
            self._end(error)
            raise
        self._listener._on_chunk(chunk)
        return chunk

    def close(self) -> None:
        """Close the source, if it can be closed."""
        try:
            close = getattr(self._source, "close", None)
            if close is not None:
                close()
        finally:
            self._end()

    def __enter__(self) -> Any:
        self._source = self._source.__enter__()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> Any:
        try:
            return self._source.__exit__(kind, error, trace)
        finally:
            self._end(error)


class AsyncStream(_Passing):
    """An async stream on its way to the application."""

    def __aiter__(self) -> AsyncIterator[Any]:
        return self

    async def __anext__(self) -> Any:
        try:
            if self._chunks is None:
                self._chunks = self._source.__aiter__()
            chunk = await self._chunks.__anext__()
        except StopAsyncIteration:
            self._end()
            raise
        except BaseException as error:
            self._end(error)
            raise
        self._listener._on_chunk(chunk)
        return chunk

    def close(self) -> Any:
        """The source's own, as it is with the clients of OpenAI and Anthropic."""
        closing = self._source.close()
        self._end()
        return closing

    async def aclose(self) -> None:
        """Close the source, if it can be closed."""
        try:
            close = getattr(self._source, "aclose", None)
            if close is not None:
                await close()
        finally:
            self._end()

    async def __aenter__(self) -> Any:
        self._source = await self._source.__aenter__()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> Any:
        try:
            return await self._source.__aexit__(kind, error, trace)
        finally:
            self._end(error)
