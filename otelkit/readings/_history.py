"""What a meter provider's totals were, in bounded memory: two timelines of snapshots over one source."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING

from otelkit import _guard
from otelkit._clock import SYSTEM_CLOCK
from otelkit.readings._streams import Told
from otelkit.readings._timeline import Snapshot, Timeline, Window, pack

if TYPE_CHECKING:
    from otelkit._clock import Clock
    from otelkit.readings._source import Source
    from otelkit.readings._streams import Stream

__all__ = ["History"]

_CALLBACKS_S = 10.0


class History:
    """The snapshots of one meter provider's metrics.

    What the SDK has in its sums and what callbacks must be asked for have a timeline each: a callback
    that blocks stops no snapshot of the former. Snapshots are taken by one thread at a time; everything
    else may be called from any thread meanwhile, and waits for nobody.

    Args:
        source: The metrics.
        clock: Its monotonic side places the snapshots.
        since: When the provider began, in seconds of that clock: all its sums were 0 then. None when
            that is not known.
        interval_s: How far apart the snapshots are going to be, in seconds.
        max_bytes: How much memory they may take, about.
    """

    def __init__(
        self,
        source: Source,
        *,
        clock: Clock = SYSTEM_CLOCK,
        since: float | None = None,
        interval_s: float = 10.0,
        max_bytes: int = 16 << 20,
    ) -> None:
        self._source = source
        self._clock = clock
        self._max_bytes = max_bytes
        self._interval_s = interval_s
        self._live = Timeline(interval_s=interval_s)
        self._told = Timeline(interval_s=interval_s)
        self._writing = threading.Lock()
        self._observing = threading.Lock()
        self._observer: int | None = None
        if since is not None:
            self._live.add(Snapshot(since, ()))

    # -- writing ------------------------------------------------------------------------------

    def count(self) -> None:
        """Take a snapshot of what can be looked up; runs none of the application's code."""
        with self._writing:
            self._keep(self._live, self._source.live())

    def observe(self) -> None:
        """Take a snapshot of what must be asked for; the application's callbacks may block."""
        if not self._source.waits() or self._observer == threading.get_ident():  # inside a callback
            return
        with self._observing:
            self._observer = threading.get_ident()
            try:
                all_asked = self._source.observe(timeout_s=_CALLBACKS_S)
            finally:
                self._observer = None
            if all_asked:
                with self._writing:
                    self._keep(self._told, self._source.told())

    def _keep(self, timeline: Timeline, streams: Sequence[Stream]) -> None:
        now = self._clock.monotonic()
        before = timeline.snapshots[-1].rows if timeline.snapshots else ()
        rows = []
        for number, stream in enumerate(stream for stream in streams if stream.totals):
            stream.number = number  # the same each time, as streams are only added
            packed = before[number] if number < len(before) else ()
            rows.append(pack(stream.flat(), stream.width, packed))
        timeline.add(Snapshot(now, tuple(rows)))
        while self.bytes > self._max_bytes:
            if not max(self._live, self._told, key=lambda each: each.bytes).coarsen():
                break
        if not timeline.snapshots:
            _guard.say(
                f"readings_max_bytes={self._max_bytes} is too little for one snapshot of this process's "
                "series, so readings answer nothing. Raise it, or give attributes fewer values.",
                key="readings.bytes",
            )

    # -- reading ------------------------------------------------------------------------------

    @property
    def bytes(self) -> int:
        """How much memory the snapshots take, about."""
        return self._live.bytes + self._told.bytes

    @property
    def waits(self) -> bool:
        """Whether `observe` has anything to do."""
        return self._source.waits()

    @property
    def streams(self) -> list[Stream]:
        """All streams up to now."""
        return [*self._source.live(), *self._source.told()]

    def now(self) -> float:
        """The present time, in seconds of the monotonic clock."""
        return self._clock.monotonic()

    def window(self, stream: Stream | None, window_s: float, *, now: float) -> Window | None:
        """The window that ends now, or for a stream that is told, at its latest round.

        Args:
            stream: None for the window that any stream has.
            window_s: In seconds.
            now: In seconds of the monotonic clock.
        """
        if self._live.snapshots and not isinstance(stream, Told):
            return self._live.window(window_s, now=now)
        window = self._told.window(window_s)
        if window is None or window.end is None or self.is_fresh(stream, now=now):
            return window
        missed = (now - window.end.time) / window_s  # the rounds have stopped
        return window._replace(coverage=window.coverage * (1 - missed)) if missed < 1 else None

    def is_fresh(self, stream: Stream | None, *, now: float) -> bool:
        """Whether the present values of a stream are those of now, as far as snapshots can have them."""
        if stream is not None and not isinstance(stream, Told):
            return True
        told = self._told.snapshots[-1:]
        return bool(told) and now - told[0].time <= 2 * self._interval_s
