"""What the three providers have in common: a cache by scope, and the SDK providers' members."""

from __future__ import annotations

import threading
from collections.abc import Hashable
from typing import Any, Generic, TypeVar

from otelkit import _guard
from otelkit.processors.limits import span_attributes
from otelkit.processors.plain import safe_str
from otelkit.processors.repair import repair, repair_text

__all__ = ["SwitchProvider"]

T = TypeVar("T")


class SwitchProvider(Generic[T]):
    """Keeps one proxy per scope and turns all of them.

    Subclasses make a proxy in `_make` and turn one in `_turn_one`. The proxies live as long as the
    process: the scopes of a program are few, and an instrument must outlive its last reference.
    """

    source_name = ""

    def __init__(self, target: Any) -> None:
        self._lock = threading.RLock()
        self._proxies: dict[Hashable, T] = {}
        self._target = target
        self._added: list[Any] = []

    def _make(self, scope: tuple[Any, ...]) -> T:
        raise NotImplementedError

    def _turn_one(self, proxy: T, target: Any) -> None:
        raise NotImplementedError

    @property
    def source(self) -> Any:
        """The present source of this signal, or None."""
        return getattr(self._target, self.source_name)

    def proxy(self, name: Any, version: Any, schema_url: Any, attributes: Any) -> T:
        """The proxy of one scope."""
        name, version, schema_url = _text(name), _text(version), _text(schema_url)
        if attributes is not None:
            attributes = repair(span_attributes(attributes))
        key = (name, version, schema_url, repr(sorted(attributes.items())) if attributes else None)
        found = self._proxies.get(key)
        if found is not None:
            return found
        with self._lock:
            found = self._proxies.get(key)
            if found is None:
                found = self._make((name, version, schema_url, attributes))
                self._turn_one(found, self._target)
                self._proxies[key] = found
            return found

    def turn(self, target: Any) -> None:
        """Let every proxy work on ``target``; a proxy that cannot is a no-op, and the rest go on."""
        with self._lock:
            self._target = target
            source = self.source
            if source is not None:
                for processor in self._added:
                    self._add_to(source, processor)
            for proxy in list(self._proxies.values()):
                try:
                    self._turn_one(proxy, target)
                except Exception:
                    _guard.swallowed(f"switch.{self.source_name}")

    def after_fork_in_child(self) -> None:
        """A fresh lock for a fresh process."""
        self._lock = threading.RLock()

    # -- the members of the SDK's providers, which other vendors' integrations call -----------

    @property
    def resource(self) -> Any:
        """The resource of the present runtime; an empty one while there is none."""
        if self.source is None:
            from opentelemetry.sdk.resources import Resource

            return Resource.get_empty()
        return self.source.sdk.resource

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Flush the present runtime, all signals; within ``timeout_millis``."""
        return bool(self._target.flush(timeout_millis / 1000))

    def shutdown(self, *_: Any, **__: Any) -> None:
        """Shut the present runtime down, all signals."""
        self._target.shutdown()

    def _add(self, processor: Any) -> None:
        """Add a processor to this runtime and to every later one."""
        with self._lock:
            self._added.append(processor)
            if self.source is not None:
                self._add_to(self.source, processor)

    def _add_to(self, source: Any, processor: Any) -> None:
        raise NotImplementedError


def _text(part: Any) -> Any:
    """A part of a scope as text that can be encoded: it is in every batch with its items."""
    if part is None or (type(part) is str and part.isascii()):
        return part
    return repair_text(safe_str(part))
