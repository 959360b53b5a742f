"""Who speaks: the resource and the scope, and the items of a request in groups by them.

Source: ``ResourceSpans`` and ``ScopeSpans`` in opentelemetry/proto/trace/v1/trace.proto; logs and
metrics have the same field numbers. A request: resource entries 1. An entry: resource 1, scope entries 2,
schema_url 3. A scope entry: scope 1, items 2, schema_url 3.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from otelkit.wire._protobuf import LEN, delimited, prefixes, tag, varint
from otelkit.wire.stub import read
from otelkit.wire.values import Attributes, utf8

__all__ = ["Groups", "resource_head", "scope_head"]

_OWNER, _INNER, _SCHEMA_URL = tag(1, LEN), tag(2, LEN), tag(3, LEN)
_ITEM = prefixes(_INNER)
_NAME, _VERSION = tag(1, LEN), tag(2, LEN)  # of InstrumentationScope

_resource_attributes = Attributes(1)
_scope_attributes = Attributes(3)

_MAX_REMEMBERED = 256


class _ByIdentity:
    """Bytes made of objects that never change, by the object; forgets all when it is full.

    Their own equality is of no use: a resource hashes itself by way of JSON.
    """

    __slots__ = ("_known", "_make")

    def __init__(self, make: Callable[[Any], bytes]) -> None:
        self._make = make
        # The first element keeps the object alive, so that no other can get its id.
        self._known: dict[int, tuple[Any, bytes]] = {}

    def __call__(self, owner: Any) -> bytes:
        known = self._known.get(id(owner))
        if known is not None:
            return known[1]
        made = self._make(owner)
        if len(self._known) >= _MAX_REMEMBERED:
            self._known.clear()
        self._known[id(owner)] = (owner, made)
        return made


def _text(field_tag: bytes, owner: Any, name: str) -> bytes:
    text = read(owner, name)
    return delimited(field_tag, utf8(text)) if text is not None else b""


def _resource_head(resource: Any) -> bytes:
    fields = _attributes_of(resource, _resource_attributes)
    return delimited(_OWNER, fields) + _text(_SCHEMA_URL, resource, "schema_url")


def _scope_head(scope: Any) -> bytes:
    fields = _text(_NAME, scope, "name") + _text(_VERSION, scope, "version")
    fields += _attributes_of(scope, _scope_attributes)
    return delimited(_OWNER, fields) + _text(_SCHEMA_URL, scope, "schema_url")


def _attributes_of(owner: Any, attributes: Attributes) -> bytes:
    try:
        return b"".join(attributes(read(owner, "attributes")))
    except Exception:
        return b""  # items of nobody rather than no items


resource_head = _ByIdentity(_resource_head)
scope_head = _ByIdentity(_scope_head)


class Groups:
    """The items of one request, by resource and then by scope, in the order they were first seen.

    Owners that encode alike are one, though they be different objects.
    """

    __slots__ = ("_add", "_resource", "_resources", "_scope")

    def __init__(self) -> None:
        self._resources: dict[bytes, dict[bytes, list[bytes]]] = {}
        self._resource: Any = self  # nobody's
        self._scope: Any = self
        self._add: Callable[[bytes], object] = bytes

    def add(self, resource: Any, scope: Any, item: bytes) -> None:
        """Add a serialised span, log record or metric."""
        if resource is not self._resource or scope is not self._scope:
            scopes = self._resources.setdefault(resource_head(resource), {})
            self._add = scopes.setdefault(scope_head(scope), []).append
            self._resource, self._scope = resource, scope
        size = len(item)
        self._add((_ITEM[size] if size < len(_ITEM) else _INNER + varint(size)) + item)

    def body(self) -> bytes:
        """The serialised request."""
        return b"".join(
            delimited(_OWNER, head + b"".join(map(_scope_entry, scopes.items())))
            for head, scopes in self._resources.items()
        )


def _scope_entry(entry: tuple[bytes, list[bytes]]) -> bytes:
    head, items = entry
    return delimited(_INNER, head + b"".join(items))
