"""The data of a result, read without running any code of the application.

What a class makes of an attribute (a property, an ORM's column that asks the database) may do anything,
and would not have been asked without the decorator. Read is what is stored: an item of a dict, what the
object or its class holds, a slot. Where to look is found out once for each class.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from types import AsyncGeneratorType, GeneratorType, GetSetDescriptorType, MemberDescriptorType
from typing import Any, NamedTuple

__all__ = [
    "ABSENT",
    "LATER",
    "data_of",
    "found_in",
    "is_from",
    "is_slot",
    "mro_of",
    "own_attributes",
    "stored",
]

ABSENT: Any = object()
"""What is not there."""

LATER: Any = object()
"""In place of the data of work that is still to be done: of a coroutine, a generator, a future."""

Reader = Callable[[Any], Any]


class _Named(NamedTuple):
    name: str


_SLOTS = frozenset((MemberDescriptorType, type(_Named.name)))
_STREAMS = frozenset((GeneratorType, AsyncGeneratorType))

# As `inspect.getattr_static` asks: past any metaclass.
mro_of: Callable[[type], tuple[type, ...]] = type.__dict__["__mro__"].__get__
own_attributes: Callable[[type], Mapping[str, Any]] = type.__dict__["__dict__"].__get__
_is_subclass = type.__subclasscheck__


def data_of(result: Any) -> tuple[bool, Any]:
    """Whether ``result`` has ``data`` (an attribute, or a key of a dict), and that data, or `LATER`.

    Properties are not run, and what only ``__getattr__`` knows of is not there.
    """
    if result is None:
        return False, None
    kind: Any = type(result)
    try:
        read = _reader(kind)
        found = None if read is None else read(result)
    except Exception:
        return False, None
    return (False, None) if read is None or found is ABSENT else (found is not LATER, found)


@lru_cache(maxsize=256)
def _reader(kind: type) -> Reader | None:
    """What reads the data of the results of a class; None where they have none."""
    if kind in _STREAMS or found_in(kind, "__await__") is not ABSENT:
        return lambda _result: LATER
    if _is_subclass(dict, kind):
        return _of_dict
    if _is_subclass(Mapping, kind):  # its items are its own code, and its attributes are no answer
        return None
    there, fields = found_in(kind, "data"), stored(kind)
    if there is ABSENT:
        return None if fields is None else _generic(kind)
    if is_slot(there) or found_in(type(there), "__get__") is ABSENT:
        return _generic(kind)
    return None if fields is None else lambda result: fields(result).get("data", ABSENT)


def _of_dict(result: Any) -> Any:
    return dict.get(result, "data", ABSENT)


def _generic(kind: type) -> Reader:
    """The lookup of `object`, whatever the class has in its place. It runs the descriptors of the class."""
    if found_in(kind, "__getattr__") is ABSENT and found_in(kind, "__getattribute__") is _of_object:
        return _attribute
    return _attribute_past_its_own


_of_object = object.__dict__["__getattribute__"]


def _attribute(result: Any) -> Any:
    return getattr(result, "data", ABSENT)


def _attribute_past_its_own(result: Any) -> Any:
    try:
        return object.__getattribute__(result, "data")
    except AttributeError:
        return ABSENT


def found_in(kind: type, name: str) -> Any:
    """The attribute of a class as it stands there, inherited or not; else `ABSENT`."""
    for each in mro_of(kind):
        attributes = own_attributes(each)
        if name in attributes:
            return attributes[name]
    return ABSENT


def is_from(package: str, kind: type) -> bool:
    """Whether a class, or one that it inherits from, is defined in a top-level package."""
    homes = (own_attributes(each).get("__module__") for each in mro_of(kind))
    return any(isinstance(home, str) and home.partition(".")[0] == package for home in homes)


def is_slot(attribute: Any) -> bool:
    """Whether it is a slot, or the field of a named tuple, of which nothing but the value is read."""
    return type(attribute) in _SLOTS


def stored(kind: type) -> Callable[[Any], dict[str, Any]] | None:
    """What gives the attributes that an object of a class holds itself; None where it holds none."""
    found = found_in(kind, "__dict__")
    if type(found) not in {GetSetDescriptorType, MemberDescriptorType}:  # a property can stand in its place
        return None
    return found.__get__  # type: ignore[no-any-return]
