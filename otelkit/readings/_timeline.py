"""What was counted at which time: snapshots that share what did not change, thinned out with age.

Windows reach from five minutes to three days, and an edge need be no more exact than a share of the
window. So snapshots stand the further apart the older they are: every one is kept at first, later
one per 1/128 of its age. Where memory is short the share is coarser, up to a quarter, and then the
oldest go.
"""

from __future__ import annotations

import struct
from array import array
from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from operator import attrgetter
from typing import NamedTuple

__all__ = ["Snapshot", "Timeline", "Window", "pack", "unpack"]

Packed = tuple["array[float]", ...]

_FLOATS = 128  # of one array, about: what is stored again when one of its series has changed
_FINEST, _COARSEST = 1 / 128, 1 / 4
_HORIZON_S = 4 * 86_400.0
_THIN_EVERY = 16
_SLACK_S = 1e-6
_ARRAY_BYTES, _TUPLE_BYTES, _SNAPSHOT_BYTES = 88, 56, 200


class Snapshot(NamedTuple):
    """The totals of all streams at one time.

    Attributes:
        time: In seconds of the monotonic clock.
        rows: Of each stream, by its number; see `pack`. A stream that is not there yet has none.
    """

    time: float
    rows: tuple[Packed, ...]


class Window(NamedTuple):
    """A window as it can be answered.

    Attributes:
        base: The snapshot at its beginning.
        end: The snapshot at its end; None for one that ends now.
        elapsed_s: From the one to the other.
        coverage: The part of the wanted window that this is, 0 to 1.
    """

    base: Snapshot
    end: Snapshot | None
    elapsed_s: float
    coverage: float


def pack(flat: Sequence[float], width: int, before: Packed = ()) -> Packed:
    """The totals of one stream as arrays; those that equal the former ones are the former ones.

    Args:
        flat: ``width`` numbers for each series, one series after the other.
        width: How many numbers a series has.
        before: The stream in the former snapshot.
    """
    whole, step = array("d"), _step(width)
    whole.frombytes(struct.pack(f"{len(flat)}d", *flat))  # an array of a list takes half as long again
    parts = [whole[start : start + step] for start in range(0, len(whole), step)]
    packed = tuple(
        before[position] if position < len(before) and _equal(before[position], part) else part
        for position, part in enumerate(parts)
    )
    return before if len(packed) == len(before) and all(map(_is, packed, before)) else packed


def unpack(packed: Packed) -> list[float]:
    """What was given to `pack`."""
    return [number for part in packed for number in part]


def _step(width: int) -> int:
    return max(1, _FLOATS // width) * width


def _equal(one: array[float], other: array[float]) -> bool:
    return one.tobytes() == other.tobytes()  # arrays of floats compare one by one, as objects


def _is(one: object, other: object) -> bool:
    return one is other


class Timeline:
    """Snapshots in the order of time. One thread writes at a time; any thread may read meanwhile.

    Attributes:
        snapshots: Replaced as a whole, so that a reader sees one state of it.
        bytes: About how much memory they hold.

    Args:
        interval_s: How far apart the newest stand.
    """

    def __init__(self, *, interval_s: float) -> None:
        self.snapshots: tuple[Snapshot, ...] = ()
        self.bytes = 0
        self._interval_s = interval_s
        self._share = _FINEST
        self._added = 0

    def add(self, snapshot: Snapshot) -> None:
        """Take the next snapshot, and thin out the older ones."""
        last = self.snapshots[-1:]
        self.bytes += _bytes_of(snapshot, last)
        self.snapshots += (snapshot,)
        self._added += 1
        if self._added % _THIN_EVERY == 0:  # a look at all of them is not needed each time
            self._thin()

    def window(self, window_s: float, *, now: float | None = None) -> Window | None:
        """The window of ``window_s`` seconds; None where nothing is known of it.

        It begins at the newest snapshot that is old enough, so it is up to an interval (or, as older
        snapshots stand further apart, a little) longer than asked for. When that one is much too old,
        as after a pause of the process, it begins at the next one and is shorter.

        Args:
            window_s: In seconds.
            now: Its end, in seconds of the monotonic clock; default: the newest snapshot.
        """
        snapshots = self.snapshots
        if not snapshots:
            return None
        end = snapshots[-1].time if now is None else now
        begin = end - window_s
        position = bisect_right(snapshots, begin + _SLACK_S, key=attrgetter("time")) - 1
        too_much_s = max(2 * self._interval_s, 0.4 * window_s)
        if position < 0 or begin - snapshots[position].time > too_much_s:
            position += 1
        elapsed_s = end - snapshots[position].time if position < len(snapshots) else 0.0
        if elapsed_s <= 0:
            return None
        last = snapshots[-1] if now is None else None
        return Window(snapshots[position], last, elapsed_s, min(1.0, elapsed_s / window_s))

    def coarsen(self) -> bool:
        """Give memory back: resolution first, then the oldest snapshots; whether any was left to give."""
        if not self.snapshots:
            return False
        if self._share < _COARSEST:
            self._share *= 2
            self._thin()
            return True
        self._drop_oldest(max(1, len(self.snapshots) // 4))
        return True

    def _thin(self) -> None:
        snapshots = self.snapshots
        now = snapshots[-1].time
        outlived = bisect_right(snapshots, now - _HORIZON_S, key=attrgetter("time")) - 1
        if outlived > 0:
            self._drop_oldest(outlived)
            snapshots = self.snapshots
        kept = list(snapshots[:1])
        for one, following in pairwise(snapshots[1:]):
            allowed_s = max(1.5 * self._interval_s, self._share * (now - kept[-1].time))
            if following.time - kept[-1].time > allowed_s:
                kept.append(one)
            else:
                self.bytes -= _bytes_of(one, (kept[-1], following))
        if len(kept) + 1 < len(snapshots):
            self.snapshots = (*kept, snapshots[-1])

    def _drop_oldest(self, count: int) -> None:
        for one, following in zip(self.snapshots[:count], (*self.snapshots[1:], None)):
            self.bytes -= _bytes_of(one, () if following is None else (following,))
        self.snapshots = self.snapshots[count:]


def _bytes_of(snapshot: Snapshot, neighbours: Sequence[Snapshot]) -> int:
    """The memory that only this snapshot holds: equal arrays are shared with those beside it."""
    size = _SNAPSHOT_BYTES + 8 * len(snapshot.rows)
    for number, packed in enumerate(snapshot.rows):
        beside = [one.rows[number] for one in neighbours if number < len(one.rows)]
        if any(packed is other for other in beside):
            continue
        size += _TUPLE_BYTES + 8 * len(packed)
        for position, part in enumerate(packed):
            if not any(position < len(other) and part is other[position] for other in beside):
                size += _ARRAY_BYTES + 8 * len(part)
    return size
