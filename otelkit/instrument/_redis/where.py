"""Where a redis client's commands go, as attributes of the semantic conventions."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["labels", "pool_name"]

_MAX_CACHED = 2_000
_DEFAULT_PORT = 6379
_made: dict[tuple[Any, ...], dict[str, Any]] = {}


def labels(client: Any, operation: str | None) -> Mapping[str, Any]:
    """The attributes that span and measurement of one operation share; not to be changed.

    Args:
        client: A client, pipeline or subscription, of one server or of a cluster. A cluster is named
            by the node it was entered through; a Sentinel's address is left off until it is known.
        operation: The command's name; None leaves it off.
    """
    key = (*_address(client), operation)
    found = _made.get(key)
    if found is None:
        found = _attributes(*key)
        if len(_made) < _MAX_CACHED:
            _made[key] = found
    return found


def pool_name(pool: Any) -> str:
    """A pool by its server, ``host:port/database``: the same for every pool of that server.

    Source: semantic conventions, ``db.client.connection.pool.name``.
    """
    host, port, database, path = _address_of_pool(pool)
    return str(path) if path else f"{host or 'unknown'}:{port or _DEFAULT_PORT}/{database or 0}"


def _address(client: Any) -> tuple[Any, Any, Any, Any]:
    pool = getattr(client, "connection_pool", None)
    return _address_of_cluster(client) if pool is None else _address_of_pool(pool)


def _address_of_pool(pool: Any) -> tuple[Any, Any, Any, Any]:
    known = pool.connection_kwargs
    host, port = known.get("host"), known.get("port")
    if host is None and (path := known.get("path")) is not None:
        return None, None, known.get("db"), path
    if hasattr(pool, "sentinel_manager"):
        master = getattr(pool, "master_address", None) or (None, None)
        return master[0], master[1], known.get("db"), None
    return host or "localhost", port or _DEFAULT_PORT, known.get("db"), None


def _address_of_cluster(client: Any) -> tuple[Any, Any, Any, Any]:
    # Pipelines and subscriptions keep their cluster under names that differ and have changed.
    for name in ("cluster_client", "_client", "cluster"):
        holder = getattr(client, name, None)
        if holder is not None and not callable(holder):  # `cluster` is also a command
            client = holder
    nodes = getattr(client, "nodes_manager", None)
    node = getattr(nodes, "default_node", None)
    if node is None:
        node = next(iter((getattr(nodes, "startup_nodes", None) or {}).values()), None)
    return getattr(node, "host", None), getattr(node, "port", None), None, None


def _attributes(host: Any, port: Any, database: Any, path: Any, operation: str | None) -> dict[str, Any]:
    made: dict[str, Any] = {"db.system.name": "redis", "db.namespace": str(database or 0)}
    if operation is not None:
        made["db.operation.name"] = operation
    if path is not None:
        made |= {"server.address": str(path), "network.transport": "unix"}
    elif host is not None:
        made["server.address"] = str(host)
        if (number := str(port)).isdecimal():
            made["server.port"] = int(number)
    return made
