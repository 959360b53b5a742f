"""The time of an event as text, with the part that changes once a second made once a second."""

from __future__ import annotations

import time

__all__ = ["iso_utc", "local_clock"]

_NS = 1_000_000_000
# One tuple each, replaced as a whole: threads need no lock.
_utc: tuple[int, str] = (-1, "")
_local: tuple[int, str] = (-1, "")


def iso_utc(time_ns: int) -> str:
    """ISO 8601 in UTC with microseconds: ``2026-11-23T05:50:01.000123Z``.

    Args:
        time_ns: Nanoseconds since the Unix epoch.
    """
    global _utc
    seconds, rest = divmod(time_ns, _NS)
    cached = _utc
    if cached[0] != seconds:
        cached = _utc = (seconds, time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)))
    return f"{cached[1]}.{rest // 1_000:06d}Z"


def local_clock(time_ns: int) -> str:
    """The local time of day with milliseconds: ``05:50:01.000``.

    Args:
        time_ns: Nanoseconds since the Unix epoch.
    """
    global _local
    seconds, rest = divmod(time_ns, _NS)
    cached = _local
    if cached[0] != seconds:
        cached = _local = (seconds, time.strftime("%H:%M:%S", time.localtime(seconds)))
    return f"{cached[1]}.{rest // 1_000_000:03d}"
