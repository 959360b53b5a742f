"""Where the unsettled records of one file are: 16 bytes of memory a record."""

from __future__ import annotations

from array import array
from bisect import bisect_left
from typing import NamedTuple

__all__ = ["Entry", "Index"]


class Entry(NamedTuple):
    """One record: where it begins, how long it is with its header, how many items are in it."""

    offset: int
    size: int
    items: int


class Index:
    """The records in their order. Numbers of records go on counting when the first are dropped.

    Attributes:
        first: The number of the first record that is left.
        items: The items of all records that are left.
        bytes: The sizes of all records that are left.
    """

    __slots__ = ("_items", "_offsets", "_sizes", "bytes", "first", "items")

    def __init__(self) -> None:
        self._offsets = array("Q")
        self._sizes = array("I")
        self._items = array("I")
        self.first = 0
        self.items = 0
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._offsets)

    def add(self, entry: Entry) -> None:
        """A record more, at the end."""
        self._offsets.append(entry.offset)
        self._sizes.append(entry.size)
        self._items.append(entry.items)
        self.items += entry.items
        self.bytes += entry.size

    def head(self, max_bytes: int) -> list[Entry]:
        """The first records, at least one if there is any, together at most ``max_bytes``."""
        entries: list[Entry] = []
        for entry in map(Entry, self._offsets, self._sizes, self._items):
            max_bytes -= entry.size
            if entries and max_bytes < 0:
                break
            entries.append(entry)
        return entries

    def before(self, offset: int) -> int:
        """How many records begin before ``offset``."""
        return bisect_left(self._offsets, offset)

    def drop(self, count: int) -> tuple[int, int]:
        """Drop the first ``count`` records; returns their items and bytes."""
        items, size = sum(self._items[:count]), sum(self._sizes[:count])
        for column in (self._offsets, self._sizes, self._items):
            del column[:count]
        self.first += count
        self.items -= items
        self.bytes -= size
        return items, size
