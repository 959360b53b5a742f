"""A group of objects that are held weakly, and may be looked at while other threads add to it."""

from __future__ import annotations

from typing import Generic, TypeVar
from weakref import ref

__all__ = ["WeakGroup"]

T = TypeVar("T")


class WeakGroup(Generic[T]):
    """Members by identity, until they are gone.

    A `weakref.WeakSet` raises when it is iterated while another thread adds to it, and asks its
    members for hash and equality, which may be the application's.
    """

    def __init__(self) -> None:
        self._members: dict[int, ref[T]] = {}

    def __contains__(self, member: object) -> bool:
        return id(member) in self._members

    def __bool__(self) -> bool:
        return bool(self._members)

    def add(self, member: T) -> None:
        """Make it a member; raises TypeError for what cannot be held weakly."""
        key, members = id(member), self._members
        members[key] = ref(member, lambda _: members.pop(key, None))

    def discard(self, member: T) -> None:
        """Make it no member."""
        self._members.pop(id(member), None)

    def clear(self) -> None:
        """Make none a member."""
        self._members.clear()

    def present(self) -> list[T]:
        """The members that are there now."""
        return [member for held in list(self._members.values()) if (member := held()) is not None]
