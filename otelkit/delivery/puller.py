"""Metrics are pulled: collected at each interval, and at a flush, on a thread of their own.

The callbacks of observed instruments are the application's code and may block; no other signal waits
for them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from otelkit import _guard
from otelkit._clock import SYSTEM_CLOCK
from otelkit.delivery.parcel import Parcel
from otelkit.delivery.worker import Room, Worker

if TYPE_CHECKING:
    from otelkit.delivery.accounting import Ledger
    from otelkit.delivery.guests import Outlet
    from otelkit.wire import Encoded

__all__ = ["Puller"]

_POINT_BYTES = 500  # of the SDK's objects, about


class Puller(Room):
    """Collects on a thread of its own.

    Args:
        collect: Collects now; the data and how many points are in it.
        encode: Makes one OTLP request of the data; None when metrics do not leave over OTLP.
        outlet: Where the data goes besides; None for nowhere.
        ledger: The books; their unit is the collected point.
        add: Takes the packed request.
        interval_s: How often, in seconds.
    """

    def __init__(
        self,
        *,
        collect: Callable[[], tuple[Any, int]],
        encode: Callable[[Any], Encoded] | None,
        outlet: Outlet | None,
        ledger: Ledger,
        add: Callable[[Parcel], object],
        interval_s: float,
    ) -> None:
        self._collect = collect
        self._encode = encode
        self._outlet = outlet
        self._ledger = ledger
        self._add = add
        self._interval_s = interval_s
        self._due = SYSTEM_CLOCK.monotonic() + interval_s
        super().__init__(Worker(name="otelkit-metrics", work=self._round))

    def start(self) -> None:
        """Start the thread."""
        self._due = SYSTEM_CLOCK.monotonic() + self._interval_s
        super().start()

    def _round(self, asked: bool) -> float | None:
        if asked or SYSTEM_CLOCK.monotonic() >= self._due:
            self._due = SYSTEM_CLOCK.monotonic() + self._interval_s
            self._pull()
        return max(0.0, self._due - SYSTEM_CLOCK.monotonic())

    def _pull(self) -> None:
        data, points = self._collect()
        if not points:
            return
        self._ledger.take(points)
        if self._outlet is not None:
            self._outlet.put([data], points, points * _POINT_BYTES)
        if self._encode is None:
            return
        try:
            encoded = self._encode(data)
        except BaseException:
            self._ledger.settle(dropped=points, reason="processing_failed")
            _guard.swallowed("puller.encode")
            return
        failed = points - encoded.items
        if failed:
            self._ledger.settle(dropped=failed, reason="processing_failed")
        if encoded.items:
            self._add(Parcel("metrics", encoded.items, encoded.body, SYSTEM_CLOCK.time_ns()))
