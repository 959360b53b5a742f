"""Code that is not ours (your exporters and processors, the terminal), on a thread of its own.

It may block as long as it likes: nothing of otelkit's own waits for it, except a flush and the end,
and those have a deadline.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from otelkit import _guard
from otelkit.delivery.worker import Worker

if TYPE_CHECKING:
    from otelkit.delivery.accounting import Ledger
    from otelkit.types import Exit

__all__ = ["Guests", "Other", "Outlet"]

_OTHERS_S = 5.0
_SAY_AGAIN_S = 60.0


class Other(Protocol):
    """Something of the user's that ends with the runtime. Both methods may block."""

    @property
    def idle(self) -> bool:
        """Whether there is nothing behind it."""
        ...

    def flush(self, *, timeout_s: float) -> bool:
        """Pass on what is held; False when that failed."""
        ...

    def close(self, *, timeout_s: float) -> None:
        """Pass on what is held and end."""
        ...


class _Order(NamedTuple):
    outlet: Outlet
    batch: Sequence[Any]
    items: int
    size: int


class Outlet:
    """The exits of one signal besides OTLP.

    Args:
        exits: Where each batch goes.
        ledger: The books of the signal where the first exit decides about delivery; None where OTLP
            does.
        pass_on: Takes a batch to the guests' thread.
    """

    def __init__(
        self, *, exits: Sequence[Exit], ledger: Ledger | None, pass_on: Callable[[_Order], bool]
    ) -> None:
        self.exits = tuple(exits)
        self.ledger = ledger
        self._pass_on = pass_on

    def put(self, batch: Sequence[Any], items: int, size: int) -> None:
        """Hand on a batch whose items are in flight and take ``size`` bytes, about; never blocks."""
        if self._pass_on(_Order(self, batch, items, size)):
            return
        if self.ledger is not None:
            self.ledger.settle(dropped=items, reason="export_failed")
            return
        names = ", ".join(exit_.name for exit_ in self.exits)
        _guard.say(
            f"the exporter {names} does not keep up: batches are left out there, not on their way over OTLP. "
            "Make it faster, or give it a queue of its own.",
            key=f"outlet:{names}",
            every_s=_SAY_AGAIN_S,
        )

    def deliver(self, batch: Sequence[Any], items: int) -> bool:
        """Hand a batch to each exit; the first one's answer counts."""
        first, *others = self.exits
        taken = 0
        try:
            taken = items if self._send(first, batch) else 0
            for exit_ in others:
                self._send(exit_, batch)
        finally:
            if self.ledger is not None:
                self.ledger.settle(delivered=taken, dropped=items - taken, reason="export_failed")
        return bool(taken) or self.ledger is None

    def _send(self, exit_: Exit, batch: Sequence[Any]) -> bool:
        try:
            return exit_.send(batch)
        except BaseException as error:
            if not _guard.ends_here(error):
                raise
            _guard.say(
                f"the exporter {exit_.name} raised {_guard.describe(error)}; "
                "its batch is counted as lost and the others go on.",
                key=f"exit:{exit_.name}",
                every_s=_SAY_AGAIN_S,
            )
            return False


class Guests:
    """Owns the thread of the guests. There is none while there are no guests.

    Args:
        max_bytes: How much may wait for them at the most, about; what is beyond is not handed on.
        others: The user's processors and readers, flushed and closed with the runtime.
        on_loss: Called on the thread when a batch was not taken.
    """

    def __init__(
        self,
        *,
        max_bytes: int = 32 << 20,
        others: Sequence[Other] = (),
        on_loss: Callable[[], object] = bool,
    ) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._others = tuple(others)
        self._on_loss = on_loss
        self._outlets: list[Outlet] = []
        self._orders: deque[_Order] = deque()
        self._all_went_well = True
        self._worker = Worker(name="otelkit-guests", work=self._round, end=self._close)
        self._closed = False

    def outlet(self, exits: Sequence[Exit], *, ledger: Ledger | None) -> Outlet:
        """The way to the exits of one signal."""
        outlet = Outlet(exits=exits, ledger=ledger, pass_on=self._take)
        self._outlets.append(outlet)
        return outlet

    def start(self) -> None:
        """Start the thread, if there is anybody to call."""
        if self._wanted():
            self._worker.start()

    def ask(self) -> int | None:
        """Ask for everything to be passed on; a ticket for `wait`, None where nobody is to be asked."""
        if self._closed or not self._wanted():
            return None
        try:
            self.start()  # a processor may have been added meanwhile
        except RuntimeError:  # the interpreter ends and starts no thread any more
            return None
        self._all_went_well = True
        return self._worker.ask()

    def wait(self, ticket: int | None, *, deadline: float) -> bool:
        """Whether that was done by the deadline, and nothing failed."""
        return ticket is None or (self._worker.wait(ticket, deadline=deadline) and self._all_went_well)

    def close(self, *, deadline: float) -> bool:
        """End the thread: what waits is passed on, each exit and processor is closed.

        Where one hangs it is interrupted at the deadline, and what still waits is counted as lost.
        """
        if self._closed or not self._wanted():
            self._closed = True
            return self._all_went_well
        try:
            if self._ended(deadline):
                return self._all_went_well
            for exit_ in (exit_ for outlet in self._outlets for exit_ in outlet.exits):
                with _guard.guard(f"exit.interrupt.{exit_.name}"):
                    exit_.interrupt()
            return False
        finally:
            self._drop_orders()

    @property
    def alive(self) -> bool:
        """Whether the thread runs."""
        return self._worker.alive

    def _ended(self, deadline: float) -> bool:
        try:
            self._worker.start()  # it may never have had anything to do
        except RuntimeError:  # the interpreter ends: here then, however long it takes
            self._close()
            return True
        return self._worker.stop(deadline=deadline)

    def _wanted(self) -> bool:
        return bool(self._outlets) or not all(other.idle for other in self._others)

    def _take(self, order: _Order) -> bool:
        if self._closed or self._bytes >= self._max_bytes:
            return False
        self._bytes += order.size
        self._orders.append(order)
        self._worker.wake()
        return True

    def _round(self, asked: bool) -> float | None:
        while (order := self._next()) is not None:
            if not order.outlet.deliver(order.batch, order.items):
                self._all_went_well = False
                self._on_loss()
        if asked:
            for other in self._others:
                self._flush(other)
        return None

    def _next(self) -> _Order | None:
        try:
            order = self._orders.popleft()
        except IndexError:
            return None
        self._bytes -= order.size
        return order

    def _flush(self, other: Other) -> None:
        try:
            flushed = other.flush(timeout_s=_OTHERS_S)
        except BaseException as error:
            if not _guard.ends_here(error):
                raise
            flushed = False
        self._all_went_well = self._all_went_well and flushed

    def _close(self) -> None:
        self._round(asked=False)
        self._closed = True
        for other in self._others:
            if not other.idle:
                with _guard.guard("guests.close"):
                    other.close(timeout_s=_OTHERS_S)
        for exit_ in (exit_ for outlet in self._outlets for exit_ in outlet.exits):
            with _guard.guard(f"exit.close.{exit_.name}"):
                exit_.close()

    def _drop_orders(self) -> None:
        self._closed = True
        while (order := self._next()) is not None:
            if order.outlet.ledger is not None:
                order.outlet.ledger.settle(dropped=order.items, reason="shutdown")
