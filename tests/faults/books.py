"""What must add up: otelkit's own counts, and those of the collector beside what was made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from collector import Request

__all__ = ["assert_balanced", "assert_empty", "assert_inherited", "duplicated_requests", "lost"]

Stats = Mapping[str, Mapping[str, Any]]
_WAITING = ("queued", "in_flight", "spooled")


def assert_balanced(stats: Stats) -> None:
    """Each signal's counts add up: what came in is what went out, is lost, or waits."""
    for signal, counts in stats.items():
        came = _sum(counts, "created", "adopted")
        went = _sum(counts, "delivered", "rejected", "sampled_out", *_WAITING) + _dropped(counts)
        assert came == went, f"{signal}: {came} came, {went} went: {counts}"


def assert_empty(stats: Stats) -> None:
    """Nothing waits any more."""
    for signal, counts in stats.items():
        assert _sum(counts, *_WAITING) == 0, f"{signal}: {counts}"


def assert_inherited(former: Sequence[Stats], heir: Stats) -> None:
    """What the former processes left in the spool was adopted, by one another or by the heir, item by item."""
    for signal, counts in heir.items():
        left = sum(_sum(stats.get(signal, {}), "spooled") for stats in former)
        adopted = sum(_sum(stats.get(signal, {}), "adopted") for stats in former) + _sum(counts, "adopted")
        assert left == adopted, f"{signal}: {left} were left, {adopted} adopted: {former}, {heir}"


def lost(stats: Stats, signal: str) -> int:
    """How many items otelkit says are lost: rejected by the collector, or dropped."""
    counts = stats.get(signal, {})
    return _sum(counts, "rejected") + _dropped(counts)


def duplicated_requests(requests: Sequence[Request], signal: str) -> int:
    """How many requests of a signal brought an item that had arrived before."""
    return sum(1 for request in requests if request.signal == signal and request.duplicates)


def _sum(counts: Mapping[str, Any], *names: str) -> int:
    return sum(counts.get(name, 0) for name in names)


def _dropped(counts: Mapping[str, Any]) -> int:
    return sum(counts.get("dropped", {}).values())
