"""The methods of redis-py through which commands go, and what takes their place.

Classes are changed, never clients: a function kept on a client would keep the client alive with it,
and redis-py gives connections back when the last reference is gone.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from otelkit.instrument._redis.calls import Call

if TYPE_CHECKING:
    from otelkit.instrument._redis.patches import Patches

__all__ = ["Listener", "patch"]

Begin = Callable[[Any, tuple[Any, ...]], "Call | None"]


class Listener(Protocol):
    """Hears of each call, in the caller's thread and task; its methods never raise."""

    def command(self, client: Any, args: tuple[Any, ...]) -> Call | None:
        """A client sends one command; None lets it pass unheard."""

    def pipeline(self, pipe: Any, args: tuple[Any, ...]) -> Call | None:
        """A pipeline is executed; None lets it pass unheard."""

    def end(self, call: Call, error: BaseException | None = None) -> None:
        """The call is over."""

    def child(self, client: Any, made: Any) -> None:
        """A client made a pipeline, a subscription or another client."""


# Module, class, methods that send one command, methods that send a pipeline, methods that make others.
_SYNC: tuple[tuple[str, str, str, str, str], ...] = (
    ("redis.client", "Redis", "execute_command", "", "pipeline pubsub client"),
    ("redis.client", "Pipeline", "immediate_execute_command", "execute", ""),
    ("redis.client", "PubSub", "execute_command", "", ""),
    ("redis.cluster", "RedisCluster", "execute_command", "", "pipeline pubsub"),
    ("redis.cluster", "ClusterPipeline", "", "execute", ""),
    ("redis.cluster", "ClusterPubSub", "execute_command", "", ""),
)
_ASYNC: tuple[tuple[str, str, str, str, str], ...] = (
    ("redis.asyncio.client", "Redis", "execute_command", "", "pipeline pubsub client"),
    ("redis.asyncio.client", "Pipeline", "immediate_execute_command", "execute", ""),
    ("redis.asyncio.client", "PubSub", "execute_command", "", ""),
    ("redis.asyncio.cluster", "RedisCluster", "execute_command", "", "pipeline pubsub"),
    ("redis.asyncio.cluster", "ClusterPipeline", "", "execute", ""),
    ("redis.asyncio.cluster", "ClusterPubSub", "execute_command", "", ""),
)


def patch(patches: Patches, listener: Listener) -> None:
    """Let ``listener`` hear of every call; what a version of redis-py does not have is left out."""
    for rows, heard in ((_SYNC, _heard), (_ASYNC, _heard_async)):
        for module, kind, single, whole, making in rows:
            owner = getattr(import_module(module), kind, None)
            if owner is None:
                continue
            for name in single.split():
                patches.put(owner, name, heard(listener.command, listener.end))
            for name in whole.split():
                patches.put(owner, name, heard(listener.pipeline, listener.end))
            for name in making.split():
                patches.put(owner, name, _followed(listener.child))


def _heard(begin: Begin, end: Callable[..., None]) -> Callable[[Any], Any]:
    def make(function: Callable[..., Any]) -> Callable[..., Any]:
        def heard(client: Any, *args: Any, **options: Any) -> Any:
            call = begin(client, args)
            if call is None:
                return function(client, *args, **options)
            try:
                result = function(client, *args, **options)
            except BaseException as error:
                end(call, error)
                raise
            end(call)
            return result

        return heard

    return make


def _heard_async(begin: Begin, end: Callable[..., None]) -> Callable[[Any], Any]:
    def make(function: Callable[..., Any]) -> Callable[..., Any]:
        async def heard(client: Any, *args: Any, **options: Any) -> Any:
            call = begin(client, args)
            if call is None:
                return await function(client, *args, **options)
            try:
                result = await function(client, *args, **options)
            except BaseException as error:
                end(call, error)
                raise
            end(call)
            return result

        return heard

    return make


def _followed(child: Callable[[Any, Any], None]) -> Callable[[Any], Any]:
    def make(function: Callable[..., Any]) -> Callable[..., Any]:
        def followed(client: Any, *args: Any, **options: Any) -> Any:
            made = function(client, *args, **options)
            child(client, made)
            return made

        return followed

    return make
