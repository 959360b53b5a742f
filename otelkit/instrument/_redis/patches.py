"""Functions put in the place of methods of a library's classes, and taken back."""

from __future__ import annotations

from collections.abc import Callable
from functools import update_wrapper
from typing import Any

__all__ = ["Patches"]


class Patches:
    """The methods that were replaced.

    A method that somebody else has wrapped meanwhile stays where it is, below that wrapper: taking it
    out would take theirs out too. So what is put in must do nothing while it is not wanted.
    """

    def __init__(self) -> None:
        self._put: dict[tuple[type, str], tuple[Any, Any]] = {}

    def __bool__(self) -> bool:
        return bool(self._put)

    def put(self, kind: type, name: str, make: Callable[[Any], Any]) -> None:
        """Replace a method by what ``make`` makes of it, in the class that defines it; once.

        A class that only inherits the method is left alone: its base is replaced.
        """
        present = kind.__dict__.get(name)
        if present is None or (kind, name) in self._put:
            return
        ours = update_wrapper(make(present), present)
        setattr(kind, name, ours)
        self._put[kind, name] = (present, ours)

    def take_back(self) -> None:
        """Put back what was there, except where somebody else has wrapped it since."""
        for (kind, name), (former, ours) in reversed(list(self._put.items())):
            if kind.__dict__.get(name) is ours:
                setattr(kind, name, former)
                del self._put[kind, name]
