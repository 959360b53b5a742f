"""How the collector under test behaves: one value per fault, and the answer it gives to a request.

::

    collector.behave(behaviours.status(503, retry_after_s=3))
    collector.behave(behaviours.answer_lost(times=1))  # and good again after one request
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

__all__ = [
    "OK",
    "Answer",
    "Behaviour",
    "answer_lost",
    "bad_record",
    "drip",
    "hang",
    "ok",
    "partial",
    "redirect",
    "refuse",
    "reset",
    "slow",
    "stall",
    "status",
    "throttled",
    "too_large",
]

Kind = Literal[
    "ok",
    "refuse",
    "hang",
    "stall",
    "drip",
    "reset",
    "slow",
    "status",
    "bad_record",
    "too_large",
    "partial",
    "lost",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What becomes of one request: ``way`` is how it is answered, ``code`` in HTTP terms.

    What is stored: everything but the first ``rejected`` items when the code is 200, else nothing.
    """

    way: Literal["answer", "hang", "drip", "lost"] = "answer"
    code: int = 200
    retry_after_s: float = 0.0
    location: str = ""
    rejected: int = 0
    delay_s: float = 0.0

    @property
    def label(self) -> str:
        """The word for it in the list of requests."""
        return str(self.code) if self.way == "answer" else self.way


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """One way to behave; made by the functions of this module.

    ``times`` requests are treated so, and then all is well (0: until it is changed); requests of
    other signals than ``signals`` (empty: all) are treated well.
    """

    kind: Kind
    code: int = 200
    seconds: float = 0.0
    limit_bytes: int = 0
    bytes_per_s: float = math.inf
    reject: int = 0
    location: str = ""
    times: int = 0
    signals: tuple[str, ...] = ()

    def answer(self, *, items: int, body_bytes: int, bad: bool) -> Answer:
        """The answer to a request with so many items, of which one is ``bad`` or none."""
        if self.kind in {"hang", "drip", "lost"}:
            return Answer(way=self.kind)
        if self.kind == "slow":
            return Answer(delay_s=self.seconds + body_bytes / self.bytes_per_s)
        if self.kind == "status":
            return Answer(code=self.code, retry_after_s=self.seconds, location=self.location)
        if self.kind == "partial":
            return Answer(rejected=min(self.reject, items))
        refused = {"bad_record": bad, "too_large": body_bytes > self.limit_bytes}.get(self.kind, False)
        return Answer(code={"bad_record": 400, "too_large": 413}[self.kind]) if refused else Answer()


def ok() -> Behaviour:
    """Stores and answers 200."""
    return Behaviour(kind="ok")


OK = ok()


def refuse() -> Behaviour:
    """The port is closed, and so is every connection."""
    return Behaviour(kind="refuse")


def hang() -> Behaviour:
    """Reads the request and never answers."""
    return Behaviour(kind="hang")


def stall() -> Behaviour:
    """Accepts the connection and never reads: a big request cannot even be written."""
    return Behaviour(kind="stall")


def drip() -> Behaviour:
    """Answers one byte a second; what it was sent is stored with the last one."""
    return Behaviour(kind="drip")


def reset(*, times: int = 0) -> Behaviour:
    """Reads half of the body, then resets the connection."""
    return Behaviour(kind="reset", times=times)


def slow(seconds: float) -> Behaviour:
    """Stores and answers after so many seconds, whether somebody still waits or not."""
    return Behaviour(kind="slow", seconds=seconds)


def throttled(bytes_per_s: float) -> Behaviour:
    """Stores and answers after the time that so large a body takes, whether somebody still waits or not."""
    return Behaviour(kind="slow", bytes_per_s=bytes_per_s)


def status(
    code: int, *, retry_after_s: float = 0.0, times: int = 0, signals: Iterable[str] = ()
) -> Behaviour:
    """Answers with this code; over gRPC with the one that it maps to, and a RetryInfo."""
    return Behaviour(kind="status", code=code, seconds=retry_after_s, times=times, signals=tuple(signals))


def redirect(location: str, *, times: int = 0, signals: Iterable[str] = ()) -> Behaviour:
    """Answers 307 and names another place."""
    return Behaviour(kind="status", code=307, location=location, times=times, signals=tuple(signals))


def bad_record() -> Behaviour:
    """Answers 400 to a request with an item that has the attribute ``bad``, 200 to any other."""
    return Behaviour(kind="bad_record", signals=("traces", "logs"))


def too_large(limit_bytes: int) -> Behaviour:
    """Answers 413 to a body of more bytes, uncompressed; 200 to any other."""
    return Behaviour(kind="too_large", limit_bytes=limit_bytes, signals=("traces", "logs"))


def partial(reject: int, *, times: int = 0, signals: Iterable[str] = ("traces",)) -> Behaviour:
    """Answers 200 and rejects, in the answer, the first ``reject`` items of each request."""
    return Behaviour(kind="partial", reject=reject, times=times, signals=tuple(signals))


def answer_lost(*, times: int = 1, signals: Iterable[str] = ()) -> Behaviour:
    """Stores everything, then closes the connection without an answer."""
    return Behaviour(kind="lost", times=times, signals=tuple(signals))
