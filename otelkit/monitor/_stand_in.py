"""What stands in the place of an object that can be called: the object itself in all but its calls.

A function in its place would lose what the object has besides: the ``cache_clear`` of a cache, the
``func`` of a partial, its class. Special methods are passed on one by one, as Python looks them up in the
class; so each object gets a class of its own.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from types import MethodType
from typing import Any

from otelkit.monitor._data import ABSENT, found_in, is_from, mro_of, own_attributes
from otelkit.processors.plain import class_name

__all__ = ["StandIn", "is_elsewhere", "stand_in"]

_set = object.__setattr__
_get = object.__getattribute__


class StandIn:
    """Passes everything on to ``_otelkit_target``."""

    __slots__ = ("__weakref__", "_otelkit_target")

    def __getattr__(self, name: str) -> Any:
        return getattr(_get(self, "_otelkit_target"), name)

    def __setattr__(self, name: str, value: Any) -> None:
        setattr(_get(self, "_otelkit_target"), name, value)

    def __delattr__(self, name: str) -> None:
        delattr(_get(self, "_otelkit_target"), name)

    def __eq__(self, other: object) -> Any:
        if issubclass(type(other), StandIn):
            other = _get(other, "_otelkit_target")
        return _get(self, "_otelkit_target") == other

    def __hash__(self) -> int:
        return hash(_get(self, "_otelkit_target"))


# What makes and ends an object, and what is answered here.
_OWN = {
    *("__new__", "__init__", "__init_subclass__", "__subclasshook__", "__class_getitem__", "__del__"),
    *("__getattribute__", "__ne__", "__annotate__", "__annotate_func__"),
    *vars(StandIn),
}


def is_elsewhere(target: Any) -> bool:
    """Whether calls of an object happen past whatever stands in its place.

    The task of a queue (Celery's) is run by a worker, which has it from a registry of its own. A proxy of
    another object, which it may have to find first, is not asked anything.
    """
    kind = type(target)
    if found_in(kind, "delay") is not ABSENT and found_in(kind, "apply_async") is not ABSENT:
        return True
    own = found_in(kind, "__class__")
    return own is not object.__dict__["__class__"] and not is_from("unittest", kind)


def stand_in(target: Any, call: Callable[..., Any]) -> Any:
    """An object that is ``target``, but calls ``call``."""
    kind = type(target)
    attributes: dict[str, Any] = {
        name: _passed_on(name)
        for each in mro_of(kind)
        for name in own_attributes(each)
        if name[:2] == "__" == name[-2:] and name not in _OWN and callable(own_attributes(each)[name])
    }
    module = getattr(target, "__module__", None)
    attributes |= {
        "__slots__": (),
        "__call__": staticmethod(call),
        "__class__": property(lambda _self: target.__class__),
        "__doc__": property(lambda _self: target.__doc__),
        "__signature__": property(lambda _self: inspect.signature(target)),
        "__module__": module if isinstance(module, str) else __name__,
    }
    if found_in(kind, "__get__") is not ABSENT:
        attributes["__get__"] = _bound
    made = type(class_name(kind), (StandIn,), attributes)()
    _set(made, "_otelkit_target", target)
    return made


def _passed_on(name: str) -> Callable[..., Any]:
    def passed_on(self: StandIn, *args: Any, **kwargs: Any) -> Any:
        return getattr(_get(self, "_otelkit_target"), name)(*args, **kwargs)

    return passed_on


def _bound(self: StandIn, instance: Any, owner: Any = None) -> Any:
    """As the object binds itself to an instance; where that is as a method, the method is of the stand-in."""
    target = _get(self, "_otelkit_target")
    bound = type(target).__get__(target, instance, owner)
    if bound is target:
        return self
    if type(bound) is MethodType and bound.__func__ is target:
        method: Any = self
        return MethodType(method, bound.__self__)
    return bound
