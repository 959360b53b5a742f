"""The collector under test, seen from the test: started, told how to behave, asked what arrived.

::

    with Collector() as collector:
        collector.behave(behaviours.refuse())
        ...
        collector.behave(behaviours.OK)
        collector.wait_until(lambda arrived: arrived.distinct("traces") == 500, timeout_s=15)
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from behaviours import OK, Behaviour

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

__all__ = ["Arrived", "Collector", "Request"]

_POLL_S = 0.5


@dataclass(frozen=True, slots=True)
class Request:
    """One request that was read; times are monotonic seconds, comparable across processes."""

    signal: str
    at_s: float
    wire_bytes: int
    body_bytes: int
    items: int
    answer: str
    fresh: int
    duplicates: int


@dataclass(frozen=True, slots=True)
class Arrived:
    """What had arrived at one moment."""

    version: int
    runs: tuple[tuple[str, str, int, int, float], ...]
    requests: Mapping[str, int]
    rejected: Mapping[str, int]
    metrics: Mapping[str, float]
    problems: tuple[str, ...]

    def distinct(self, signal: str, run: str | None = None) -> int:
        """How many different items of a signal arrived, of one run or of all."""
        return sum(row[2] for row in self._rows(signal, run))

    def duplicates(self, signal: str, run: str | None = None) -> int:
        """How many items arrived once more."""
        return sum(row[3] for row in self._rows(signal, run))

    def last_s(self, signal: str) -> float:
        """When the last new item of a signal arrived, in monotonic seconds; 0.0 for none."""
        return max((row[4] for row in self._rows(signal, None)), default=0.0)

    def _rows(self, signal: str, run: str | None) -> list[tuple[str, str, int, int, float]]:
        return [row for row in self.runs if row[0] == signal and row[1] and run in {None, row[1]}]


class Collector:
    """A collector process on two ports of 127.0.0.1; use it as a context manager."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name("collector_main.py"))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self._ports = self._ask("ports")

    def endpoint(self, protocol: str = "http/protobuf") -> str:
        """The base address for ``http/protobuf`` or ``grpc``."""
        if protocol == "grpc":
            self._ask("open grpc")
            return f"http://127.0.0.1:{self._ports['grpc']}"
        return f"http://127.0.0.1:{self._ports['http']}"

    def behave(self, behaviour: Behaviour) -> float:
        """Behave so from now on; returns the moment, in monotonic seconds."""
        self._ask("behave", **dataclasses.asdict(behaviour))
        return time.monotonic()

    def reset(self) -> None:
        """Behave well, with empty books and no connection from before."""
        self._ask("behave", **dataclasses.asdict(Behaviour(kind="refuse")))
        self._ask("forget")
        self.behave(OK)

    def arrived(self) -> Arrived:
        """What has arrived so far."""
        return self._summary(after=-1, within_s=0.0)

    def wait_until(self, condition: Callable[[Arrived], object], *, timeout_s: float) -> Arrived:
        """Return as soon as ``condition`` is true; it is asked after each request.

        Raises:
            AssertionError: It was not true within ``timeout_s`` seconds; tells what had arrived.
        """
        arrived, met = self.watch(condition, timeout_s=timeout_s)
        if not met:
            raise AssertionError(f"not within {timeout_s} s; {arrived}")
        return arrived

    def watch(self, condition: Callable[[Arrived], object], *, timeout_s: float) -> tuple[Arrived, bool]:
        """`wait_until` that does not raise: what arrived, and whether the condition was met."""
        deadline, version = time.monotonic() + timeout_s, -1
        while True:
            left = deadline - time.monotonic()
            arrived = self._summary(after=version, within_s=max(0.0, min(left, _POLL_S)))
            if condition(arrived):
                return arrived, True
            if left <= 0:
                return arrived, False
            version = arrived.version

    def requests(self, signal: str | None = None) -> tuple[Request, ...]:
        """Every request that was read, in order, of one signal or of all."""
        found = tuple(Request(**request) for request in self._ask("requests"))
        return tuple(request for request in found if signal in {None, request.signal})

    def missing(self, signal: str, run: str, made: int) -> list[int]:
        """The first of the numbers below ``made`` that have not arrived."""
        return self._ask("missing", signal=signal, run=run, made=made)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()

    def _summary(self, *, after: int, within_s: float) -> Arrived:
        answer = self._ask("summary", after=after, within_s=within_s)
        answer["runs"] = tuple(tuple(row) for row in answer["runs"])
        answer["problems"] = tuple(answer["problems"])
        return Arrived(**answer)

    def _ask(self, what: str, **more: Any) -> Any:
        process = self._process
        assert process.stdin is not None
        assert process.stdout is not None
        with self._lock:
            process.stdin.write(json.dumps({"do": what, **more}) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        assert line, f"the collector under test ended with {process.poll()}"
        return json.loads(line)
