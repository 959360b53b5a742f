"""Streams passed through: the same chunks, the same errors, the same end; only read on the way."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from functools import lru_cache
from types import TracebackType
from typing import Any, Protocol

__all__ = ["Listener", "is_stream", "passing"]

# What a whole answer has and a stream has not: a size (lists, mappings), the fields of pydantic's models.
_SIZE = "__len__"
_FIELDS = ("model_dump", "__fields__")


class Listener(Protocol):
    """Hears of a stream; no method raises.

    `_on_end` comes once, after the last chunk; by way of `_on_release` where the stream was released
    before its end.
    """

    def _on_chunk(self, chunk: Any) -> None: ...

    def _on_end(self, error: BaseException | None) -> None: ...

    def _on_release(self, end: Callable[[], None]) -> None: ...


def is_stream(thing: Any) -> bool:
    """Whether a client's answer comes in chunks: an iterator, plain or async, or what makes one.

    An answer that is whole may be iterable too: over its items, its fields.
    """
    kind: Any = type(thing)
    try:
        return _is_stream(kind)
    except Exception:  # a class of which nothing can be asked
        return False


def passing(source: Any, listener: Listener) -> Any:
    """A stream with the abilities of ``source``, and no others, that tells ``listener`` of its chunks.

    Some clients give one object that is plain and async: it stays both.
    """
    abilities = tuple(name for name in _TYPES if _has(type(source), name))
    members = tuple(name for name in _MEMBERS if _has(source, name))
    return _kind(abilities + members)(source, listener)


def _has(thing: Any, name: str) -> bool:
    """Whether it has a member; one that cannot be asked for stays the source's, with its error."""
    try:
        return hasattr(thing, name)
    except Exception:
        return False


@lru_cache(maxsize=256)
def _is_stream(kind: type) -> bool:
    if hasattr(kind, "__next__") or hasattr(kind, "__anext__"):
        return True
    if not (hasattr(kind, "__iter__") or hasattr(kind, "__aiter__")) or hasattr(kind, _SIZE):
        return False
    return not any(name in vars(base) for base in kind.__mro__ for name in _FIELDS)


class _Passing:
    """What all kinds have in common: the source's members, and one end."""

    def __init__(self, source: Any, listener: Listener) -> None:
        self._source = source
        self._listener = listener
        self._chunks: Any = None
        self._ended = False

    def __getattr__(self, name: str) -> Any:
        if name == "_source":  # not made yet: unpickling, say
            raise AttributeError(name)
        return getattr(self._source, name)

    def _take(self, chunk: Any) -> Any:
        if not self._ended:  # what can be read again is read for the first time only
            self._listener._on_chunk(chunk)
        return chunk

    def _end(self, error: BaseException | None = None) -> None:
        if not self._ended:
            self._ended = True
            self._listener._on_end(error)

    def __del__(self) -> None:
        # Left by `break` and released: nobody will read on.
        if not self.__dict__.get("_ended", True):
            self._listener._on_release(self._end)


class _Plain(_Passing):
    def __iter__(self) -> Iterator[Any]:
        if not hasattr(type(self._source), "__next__"):
            self._chunks = None  # each iteration begins anew
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
        return self._take(chunk)


class _Async(_Passing):
    def __aiter__(self) -> AsyncIterator[Any]:
        if not hasattr(type(self._source), "__anext__"):
            self._chunks = None
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
        return self._take(chunk)


class _Block(_Passing):
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


class _AsyncBlock(_Passing):
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


class _Closed(_Passing):
    def close(self, *args: Any, **kwargs: Any) -> Any:
        """The source's own; to be awaited where that is, as with the clients of OpenAI and Anthropic."""
        try:
            return self._source.close(*args, **kwargs)
        finally:
            self._end()


class _AsyncClosed(_Passing):
    async def aclose(self, *args: Any, **kwargs: Any) -> Any:
        """The source's own."""
        try:
            return await self._source.aclose(*args, **kwargs)
        finally:
            self._end()


_TYPES: dict[str, type[_Passing]] = {
    "__iter__": _Plain,
    "__next__": _Plain,
    "__aiter__": _Async,
    "__anext__": _Async,
    "__enter__": _Block,
    "__aenter__": _AsyncBlock,
}
_MEMBERS: dict[str, type[_Passing]] = {"close": _Closed, "aclose": _AsyncClosed}


@lru_cache(maxsize=256)
def _kind(names: tuple[str, ...]) -> type[_Passing]:
    parts = dict.fromkeys((_TYPES | _MEMBERS)[name] for name in names)
    return type("Stream", tuple(parts), {"__module__": __name__})
