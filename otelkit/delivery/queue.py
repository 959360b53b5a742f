"""A bounded queue of one signal's finished items, with an early wake-up for its reader.

Appending is what the application's thread pays: one comparison and one append.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from otelkit.delivery.accounting import Counts, Ledger

__all__ = ["Queue"]

T = TypeVar("T")


class Queue(Generic[T]):
    """Holds items of one signal until the courier takes them.

    Any thread may `put`; one thread at a time may `take`. When it is full the newest item is
    dropped and counted. Closed, it drops and counts everything.

    Args:
        capacity: How many items are kept at the most.
        batch_size: At how many waiting items the reader is woken early.
        wake: Called, from the putting thread, at that moment.
    """

    def __init__(self, *, capacity: int, batch_size: int, wake: Callable[[], None]) -> None:
        self.ledger = Ledger()
        self.batch_size = batch_size
        self._capacity = capacity
        self._wake = wake
        self._items: deque[T] = deque()
        self._closed = False

    def put(self, item: T) -> bool:
        """Accept ``item``; False when it was dropped (and counted)."""
        waiting = len(self._items)
        if self._closed:
            self.ledger.drop(1, "shutdown")
            return False
        if waiting >= self._capacity:
            self.ledger.drop(1, "queue_full")
            return False
        self._items.append(item)
        if waiting + 1 >= self.batch_size and (waiting + 1) % self.batch_size == 0:
            self._wake()
        return True

    def take(self) -> list[T]:
        """The oldest items, at most one batch; they count as in flight from now on."""
        items = self._items
        batch: list[T] = []
        while items and len(batch) < self.batch_size:
            batch.append(items.popleft())
        self.ledger.take(len(batch))
        return batch

    def close(self, *, reason: str) -> int:
        """Accept nothing more and drop what still waits; returns how many items that were."""
        self._closed = True
        left = 0
        while self._items:
            self._items.popleft()
            left += 1
        if left:
            self.ledger.drop(left, reason)
        return left

    def __len__(self) -> int:
        return len(self._items)

    def counts(self) -> Counts:
        """The counts of this signal now."""
        return self.ledger.snapshot(queued=len(self._items))
