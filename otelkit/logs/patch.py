"""Replacing an attribute of somebody else's class, and putting back exactly what was found.

Classes are the one place where a hook reaches everything: loggers that were cached, bound or
configured before, and handlers and processors that are configured later. (Sentry's logging
integration replaces `logging.Logger.callHandlers` for the same reason.)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Patch"]


class Patch:
    """One replaced method.

    The replacement must pass everything on to `found` while nothing is installed: where somebody
    else replaced the method after us, ours stays underneath and cannot be taken out.

    Args:
        owner: The class.
        name: The method's name; must be in the class itself, not inherited.
        replacement: The function in its place.
    """

    __slots__ = ("_in_place", "found", "name", "owner", "replacement")

    def __init__(self, owner: type, name: str, replacement: Callable[..., Any]) -> None:
        self.owner = owner
        self.name = name
        self.replacement = replacement
        self.found: Callable[..., Any] = owner.__dict__[name]
        self._in_place = False

    def put(self) -> None:
        """Put the replacement in place; again does nothing."""
        if not self._in_place:
            self.found = self.owner.__dict__[self.name]
            setattr(self.owner, self.name, self.replacement)
            self._in_place = True

    def remove(self) -> None:
        """Put back what was found, unless somebody else's replacement lies on top of ours."""
        if self._in_place and self.owner.__dict__.get(self.name) is self.replacement:
            setattr(self.owner, self.name, self.found)
            self._in_place = False
