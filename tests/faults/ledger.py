"""What arrived at the collector under test: each item once, and every request.

Thread-safe. Only what was stored counts as arrived; every request that was read is noted.
"""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from behaviours import Answer
from parcels import Parcel, Point

__all__ = ["Ledger"]


@dataclass(slots=True)
class _Run:
    """The numbers of one run of one signal."""

    seen: set[int] = field(default_factory=set)
    duplicates: int = 0
    last_s: float = 0.0


class Ledger:
    """The books of the collector; ``changed`` is notified at each request."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.version = 0
        self._runs: dict[tuple[str, str], _Run] = {}
        self._points: dict[str, Point] = {}
        self._requests: list[dict[str, Any]] = []
        self._rejected: Counter[str] = Counter()
        self._problems: list[str] = []

    def note(
        self, parcel: Parcel, answer: Answer, *, at_s: float, wire_bytes: int, body_bytes: int
    ) -> dict[str, Any]:
        """A request was read; returns its row, for `store`."""
        request = {
            "signal": parcel.signal,
            "at_s": at_s,
            "wire_bytes": wire_bytes,
            "body_bytes": body_bytes,
            "items": parcel.size,
            "answer": answer.label,
            "fresh": 0,
            "duplicates": 0,
        }
        with self.changed:
            self._requests.append(request)
            self._tell()
        return request

    def store(self, request: dict[str, Any], parcel: Parcel, *, rejected: int, at_s: float) -> None:
        """The items of that request, without the first ``rejected``, arrived."""
        fresh = duplicates = 0
        with self.changed:
            if not any(request is known for known in reversed(self._requests)):
                return  # of the time before the books were emptied
            for name, n in parcel.items[rejected:]:
                if not name:
                    continue  # not of the application: a line of a server, of a library
                run = self._runs.get((parcel.signal, name))
                if run is None:
                    run = self._runs[parcel.signal, name] = _Run()
                if n in run.seen:
                    run.duplicates += 1
                    duplicates += 1
                else:
                    run.seen.add(n)
                    run.last_s = at_s
                    fresh += 1
            for point in parcel.points[rejected:]:
                known = self._points.get(point.key)
                if known is None or known.time_ns <= point.time_ns:
                    self._points[point.key] = point
            self._rejected[parcel.signal] += rejected
            request.update(fresh=fresh, duplicates=duplicates)
            self._tell()

    def problem(self, text: str) -> None:
        """Something came that no working sender sends."""
        with self.changed:
            self._problems.append(text)
            self._tell()

    def forget(self) -> None:
        """Begin with empty books."""
        with self.changed:
            self._runs, self._points, self._requests = {}, {}, []
            self._rejected, self._problems = Counter(), []
            self._tell()

    def summary(self) -> dict[str, Any]:
        """The counts of the moment, small enough to be asked for often."""
        with self.changed:
            return {
                "version": self.version,
                "runs": [
                    [signal, name, len(run.seen), run.duplicates, run.last_s]
                    for (signal, name), run in self._runs.items()
                ],
                "requests": Counter(request["signal"] for request in self._requests),
                "rejected": dict(self._rejected),
                "metrics": self._sums(),
                "problems": self._problems[:5],
            }

    def requests(self) -> list[dict[str, Any]]:
        """Every request so far, in order."""
        with self.changed:
            return [dict(request) for request in self._requests]

    def missing(self, signal: str, run: str, made: int) -> list[int]:
        """The first hundred of the numbers below ``made`` that did not arrive."""
        with self.changed:
            seen = self._runs.get((signal, run), _Run()).seen
            return [n for n in range(made) if n not in seen][:100]

    def _sums(self) -> dict[str, float]:
        sums: dict[str, float] = {}
        for point in self._points.values():
            sums[point.name] = sums.get(point.name, 0) + point.value
        return sums

    def _tell(self) -> None:
        self.version += 1
        self.changed.notify_all()
