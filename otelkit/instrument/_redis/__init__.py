"""redis-py: a CLIENT span and a measurement for each command and pipeline, and metrics of its pools.

Nothing is told but names, counts, addresses and the server's error codes. The official instrumentor is
not used: its hooks come after the start of a span, so that samplers see no attributes; it records
error messages, which hold arguments, and the documents that FT.SEARCH finds. What the application
turns on itself, the official instrumentor or redis-py's own metrics, goes on, and otelkit's stands
back. Works with redis 5.0 and later; clients may be older than the instrumentation.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from weakref import ref

from otelkit import _guard
from otelkit._otel import SUPPRESS_INSTRUMENTATION_KEY
from otelkit.instrument._library import Library
from otelkit.instrument._redis import native
from otelkit.instrument._redis.group import WeakGroup
from otelkit.processors.context import current
from otelkit.processors.exceptions import put_words

if TYPE_CHECKING:
    from otelkit.instrument._redis.calls import Call
    from otelkit.settings import Settings

__all__ = ["LIBRARY", "instrument_client"]

_SCOPE = "otelkit.redis"
_SUPPRESS_PLAIN = "suppress_instrumentation"  # what instrumentations set before the API had its key

_lock = threading.RLock()
_redis: _Redis | None = None


def instrument_client(client: Any) -> Callable[[], None]:
    """Make spans and measurements for one client, whatever `otelkit.init` was told to instrument.

    Args:
        client: A `redis.Redis`, `redis.RedisCluster` or one of `redis.asyncio`, of any age. Its
            pipelines and subscriptions made from now on belong to it.

    Returns:
        What takes it back.

    Raises:
        TypeError: It is no such client.
    """
    if not callable(getattr(client, "execute_command", None)) or isinstance(client, type):
        raise TypeError(
            f"instrument.redis was given a {type(client).__name__} object, which is no redis client. "
            "Give it a redis.Redis, a redis.RedisCluster or one of redis.asyncio."
        )
    with _changed() as redis:
        redis.add(client)
    held = ref(client)

    def undo() -> None:
        with _changed() as redis:
            redis.remove(held())

    return undo


def _turn_on(settings: Settings) -> Callable[[], object]:
    with _changed() as redis:
        redis.everywhere(wanted=True)
    undo_measuring = native.measure() if settings.redis_metrics == "redis-py" else bool

    def undo() -> None:
        undo_measuring()
        with _changed() as redis:
            redis.everywhere(wanted=False)

    return undo


LIBRARY = Library(
    name="redis", modules=("redis",), pip="'otelkit[redis]'", turn_on=_turn_on, follows=("redis_metrics",)
)


@contextmanager
def _changed() -> Iterator[_Redis]:
    """The present instrumentation, made where there is none, and dropped when nobody wants it any more."""
    global _redis
    with _lock:
        if _redis is None:
            _redis = _Redis()
        yield _redis
        if _redis.is_idle:
            _redis = None


def _after_fork_in_child() -> None:
    global _lock
    _lock = threading.RLock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


class _Redis:
    """Hears of the calls of all clients, or of some, while somebody wants that.

    It is the `Listener` of redis-py's methods, and decides which calls are told.
    """

    def __init__(self) -> None:
        from opentelemetry import metrics, trace

        from otelkit.instrument._redis.calls import Calls
        from otelkit.instrument._redis.patches import Patches
        from otelkit.instrument._redis.pools import Pools

        meter = metrics.get_meter(_SCOPE)
        self._calls = Calls(trace.get_tracer(_SCOPE), meter)
        self._pools = Pools(meter)
        self._patches = Patches()
        self._everywhere = False
        self._undo_words: Callable[[], object] = bool
        self._clients: WeakGroup[Any] = WeakGroup()
        self._made: WeakGroup[Any] = WeakGroup()  # by those clients: pipelines, subscriptions, clients
        self.end = self._calls.end

    # -- on and off -------------------------------------------------------------------------------

    @property
    def is_idle(self) -> bool:
        """Whether nothing is told, and no method of redis-py comes here."""
        return not (self._everywhere or self._clients or self._patches)

    def everywhere(self, *, wanted: bool) -> None:
        """Tell of every client in the process, or no longer."""
        self._everywhere = wanted
        self._settle()

    def add(self, client: Any) -> None:
        """Tell of this client."""
        self._clients.add(client)
        self._settle()

    def remove(self, client: Any) -> None:
        """Tell of this client no longer, unless of every one; with the last one goes what any has made."""
        self._clients.discard(client)
        if not self._clients:
            self._made.clear()
        self._settle()

    def _settle(self) -> None:
        from otelkit.instrument._redis import errors, methods

        self._pools.scope(
            everything=self._everywhere,
            chosen=[getattr(client, "connection_pool", None) for client in self._clients.present()],
        )
        if not self._everywhere and not self._clients:
            self._patches.take_back()
            self._undo_words()
            return
        self._undo_words()
        self._undo_words = put_words("redis", lambda error: errors.failure(error).message)
        try:
            methods.patch(self._patches, self)
            self._pools.patch(self._patches)
        except BaseException:
            self._everywhere = False
            self._patches.take_back()
            self._undo_words()
            raise

    # -- what the methods tell ----------------------------------------------------------------------

    def command(self, client: Any, args: tuple[Any, ...]) -> Call | None:
        """See `Listener`."""
        return self._calls.command(client, args) if self._wanted(client) else None

    def pipeline(self, pipe: Any, args: tuple[Any, ...]) -> Call | None:
        """See `Listener`."""
        return self._calls.pipeline(pipe, args) if self._wanted(pipe) else None

    def child(self, client: Any, made: Any) -> None:
        """See `Listener`: what a chosen client makes is chosen too."""
        try:
            if self._is_chosen(client):
                self._made.add(made)
        except Exception:
            _guard.swallowed("instrument.redis.child")

    def _wanted(self, client: Any) -> bool:
        try:
            if self._everywhere:
                self._pools.watch(getattr(client, "connection_pool", None))
            elif not self._is_chosen(client):
                return False
            context = current()
            return not (context.get(SUPPRESS_INSTRUMENTATION_KEY) or context.get(_SUPPRESS_PLAIN))
        except Exception:
            _guard.swallowed("instrument.redis.wanted")
            return False

    def _is_chosen(self, client: Any) -> bool:
        return client in self._clients or client in self._made
