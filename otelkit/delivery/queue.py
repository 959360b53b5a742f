"""A queue of one signal's finished items, bounded in bytes, with an early wake-up for its reader.

Appending is what the application's thread pays: a look at a number, one addition, one append.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Generic, TypeVar

from otelkit.delivery.accounting import Counts, Ledger

__all__ = ["Memory", "Queue"]

T = TypeVar("T")

_MAX_BATCH_BYTES = 1 << 20


class Memory:
    """How many bytes the waiting items of all signals take together, about.

    ``used`` is changed without a lock: on CPython no other thread gets in between the reading and
    the writing of one ``+=`` on an attribute. Where one does, the error lasts until the courier has
    nothing left to pack.

    Attributes:
        limit: From where on new items are not simply taken, in bytes.
        used: What is taken now, in bytes.
    """

    __slots__ = ("limit", "used")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.used = 0


class Queue(Generic[T]):
    """Holds items of one signal until they are packed.

    Any thread may `put` and `take`. Full is when the memory of all signals is used up, or (where a
    capacity is given) when so many items wait; then ``relieve`` is asked to make room, and if it
    cannot, the newest item is dropped and counted. Closed, it drops and counts everything.

    Attributes:
        ledger: The books of the signal.
        batch_size: As given.
        asleep: Set by the reader before it sleeps until it is called.
        late: How many items came after it was shut.

    Args:
        memory: The bytes that all queues share.
        size_of: About how many bytes of memory an item takes.
        batch_size: How many items are taken at once at the most; at so many the reader is woken early.
        begun: Called, from the putting thread, when an item comes while the reader sleeps (`asleep`).
        wake: Called, from the putting thread, when a batch has gathered.
        capacity: How many items may wait at the most, besides the bytes.
        relieve: Called, from the putting thread, when there is no room; whether it made some.
    """

    def __init__(
        self,
        *,
        memory: Memory,
        size_of: Callable[[T], int],
        batch_size: int,
        begun: Callable[[], object],
        wake: Callable[[], object],
        capacity: int | None = None,
        relieve: Callable[[Queue[T]], bool] | None = None,
    ) -> None:
        self.ledger = Ledger()
        self.batch_size = batch_size
        self.relieve = relieve
        self._memory = memory
        self._size_of = size_of
        self._begun = begun
        self._wake = wake
        self._capacity = float("inf") if capacity is None else capacity
        self._items: deque[tuple[T, int]] = deque()
        self._closed = False
        self._over = False
        self.asleep = True
        self.late = 0

    def put(self, item: T) -> bool:
        """Accept ``item``; False when it was dropped (and counted)."""
        memory, items = self._memory, self._items
        if (memory.used >= memory.limit or len(items) >= self._capacity or self._closed) and not self._room():
            return False
        size = self._size_of(item)
        memory.used += size
        items.append((item, size))
        # After the append: the reader says that it sleeps before it looks a last time.
        if self.asleep:
            self.asleep = False
            self._begun()
        elif not len(items) % self.batch_size:
            self._wake()
        if self._over:  # meanwhile
            self.close(reason="shutdown")
            return False
        return True

    def take(self) -> list[T]:
        """The oldest items, at most one batch and about a megabyte; they count as in flight from now on."""
        return self.take_sized()[0]

    def take_sized(self) -> tuple[list[T], int]:
        """`take`, and about how many bytes of memory the items take together."""
        items = self._items
        batch: list[T] = []
        taken = 0
        try:
            while len(batch) < self.batch_size and taken < _MAX_BATCH_BYTES:
                item, size = items.popleft()
                batch.append(item)
                taken += size
        except IndexError:
            pass
        except BaseException:  # Ctrl-C on a thread that helps: they wait on; an idle courier counts the bytes
            items.extendleft((item, 0) for item in reversed(batch))
            raise
        self._memory.used -= taken
        if batch:
            self.ledger.take(len(batch))
        return batch, taken

    def shut(self) -> None:
        """Accept nothing more; what waits can still be taken."""
        self._closed = True

    def close(self, *, reason: str) -> int:
        """Accept nothing more and drop what still waits; returns how many items that were."""
        self._closed = self._over = True
        left = 0
        while batch := self.take():
            self.ledger.settle(dropped=len(batch), reason=reason)
            left += len(batch)
        return left

    def forget(self) -> None:
        """In a fork's child: what the parent queued is the parent's; take nothing, touch no old lock."""
        self.ledger = Ledger()
        self._items = deque()
        self._closed = True

    def __len__(self) -> int:
        return len(self._items)

    def counts(self) -> Counts:
        """The counts of this signal now."""
        return self.ledger.snapshot(queued=len(self._items))

    def _room(self) -> bool:
        """Whether there is room after all; else the item is counted as lost."""
        if self._closed:
            self.late += 1
            self.ledger.drop(1, "shutdown")
            return False
        relieved = False
        try:
            relieved = self.relieve is not None and self.relieve(self)
        finally:  # Ctrl-C may come while the caller helps
            if not relieved:
                self.ledger.drop(1, "queue_full")
        return relieved
