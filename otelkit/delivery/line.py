"""The way of one signal to its receiver: whether it may be used now, and for how much at once.

Two things can be in the way. The receiver cannot be reached: then no signal that goes there can. Or it
does not take this signal now: it says so (429, 503), or is silent where it has just answered another
one. Then the others go on, because a limit, a full queue or a broken backend behind a collector are
often those of one signal.

Either way it is left alone for a while, longer each time (0.5 s to 5 s, with jitter, and at least as
long as it asks with Retry-After), and is then tried with one small request.

Source of what is tried again: OpenTelemetry Protocol specification, "Failures" (HTTP and gRPC).
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from otelkit import _guard

if TYPE_CHECKING:
    from otelkit.delivery.localhost import Localhost
    from otelkit.delivery.transport import Answer, Transport

__all__ = ["MAX_REQUEST_BYTES", "Breaker", "Line", "Pace"]

MAX_REQUEST_BYTES = 1 << 20  # many receivers take 4 MiB at the most; memory holds it three times

_FIRST_BYTES = 128 * 1024  # some 600 spans
_PROBE_BYTES = 64 * 1024
_PROBE_S = 5.0
_GROWTH = 4
_SILENT_S = 1.0  # a failure after so long is a silence, and may be due to the size of the request
_RECENT_S = 5.0  # so long an answer says that the receiver is there
_BACKOFF_S = (0.5, 5.0)
_MAX_RETRY_AFTER_S = 3_600.0
_SMOOTHING = 0.3
_SAY_AFTER_S = 5.0


class Breaker:
    """Whether somebody may be asked. Used by the sender's thread only.

    Attributes:
        failures: How many there were since the last success.
        closed_until: Until when nothing may be asked, in monotonic seconds.
        told_to_wait: Whether the last failure came with a wish to be left alone.
        heard_at: When the last answer came, in monotonic seconds.

    Args:
        jitter: Gives a random number from 0 to 1.
    """

    def __init__(self, jitter: Callable[[], float] = random.random) -> None:
        self.heard_at = -math.inf
        self._jitter = jitter
        self._since: float | None = None
        self._said = False
        self.succeeded()

    def allows(self, now: float) -> bool:
        """Whether a request may be made at ``now`` (monotonic seconds)."""
        return now >= self.closed_until

    def succeeded(self) -> None:
        """All is well."""
        self.failures, self.closed_until, self.told_to_wait = 0, 0.0, False

    def failed(self, *, begun: float, now: float, retry_after_s: float | None) -> None:
        """A request that began at ``begun`` has failed; the time it took counts as waiting.

        Args:
            begun: In monotonic seconds.
            now: Likewise.
            retry_after_s: How long the receiver asks to be left alone; 0 asks for nothing.
        """
        self.failures += 1
        asked_s = max(0.0, min(retry_after_s or 0.0, _MAX_RETRY_AFTER_S))
        self.told_to_wait = asked_s > 0
        least, most = _BACKOFF_S
        pause = min(most, least * 2 ** min(self.failures - 1, 10)) * (0.5 + 0.5 * self._jitter())
        self.closed_until = max(begun + pause, now + asked_s)

    def say_failing(self, now: float, line: str) -> None:
        """Say ``line`` once it has failed for a while; once for each outage."""
        if self._since is None:
            self._since = now
        elif not self._said and now - self._since >= _SAY_AFTER_S:
            self._said = True
            _guard.say(line)

    def say_well(self, line: str) -> None:
        """Say ``line`` if it was said that it fails."""
        self._since = None
        if self._said:
            self._said = False
            _guard.say(line)


class Pace:
    """How large the requests of a signal are: small at first and after a failure, larger with each answer.

    What was too large, or not answered in time, is halved, and grows again slowly. So each request is a
    step forward also where a receiver is slow and processes are short, and little is sent twice.

    Attributes:
        request_bytes: How large the next request may be.
        round_trip_s: How long an answer takes, smoothed.
    """

    def __init__(self) -> None:
        self.request_bytes = _FIRST_BYTES
        self.round_trip_s = 0.0
        self._most_bytes = MAX_REQUEST_BYTES
        self._bytes_per_s = math.inf

    def succeeded(self, seconds: float, *, size: int) -> None:
        """A request of ``size`` bytes was taken after so many seconds."""
        if 2 * size > self._most_bytes:
            self._most_bytes = min(MAX_REQUEST_BYTES, self._most_bytes * 17 // 16)
        self.request_bytes = min(self._most_bytes, max(self.request_bytes, _GROWTH * size))
        self._bytes_per_s = size / seconds if seconds > 0 else math.inf
        before = self.round_trip_s or seconds
        self.round_trip_s = before + _SMOOTHING * (seconds - before)

    def failed(self, seconds: float, *, size: int) -> None:
        """A request of ``size`` bytes has failed after so many seconds."""
        self.request_bytes = _PROBE_BYTES
        if seconds >= _SILENT_S:
            self.too_large(size)

    def too_large(self, size: int) -> None:
        """A request of ``size`` bytes was more than the receiver takes at once."""
        if size > _PROBE_BYTES:
            self._most_bytes = max(_PROBE_BYTES, min(self._most_bytes, size // 2))
            self.request_bytes = min(self.request_bytes, self._most_bytes)

    def bytes_within(self, seconds: float) -> int:
        """How large a request may be that is to be answered within so many seconds, by the last answer."""
        return int(max(_PROBE_BYTES, min(self.request_bytes, self._bytes_per_s * max(0.0, seconds))))


@dataclass(kw_only=True)
class Line:
    """The way of one signal to its receiver.

    Attributes:
        signal: ``traces``, ``logs`` or ``metrics``.
        transport: The connection.
        receiver: Whether the receiver can be reached; shared by the lines that lead there.
        own: Whether it takes this signal.
        pace: How large the requests are.
        delay_s: How long live data waits for more at the most.
        timeout_s: For one request.
        place: The receiver's address, for messages.
        guess: Where nobody has said that there is a receiver: whether somebody listens. If not, and
            if none has ever answered, what waits is given up.
    """

    signal: str
    transport: Transport
    receiver: Breaker
    delay_s: float
    timeout_s: float
    place: str = "the collector"
    guess: Localhost | None = None
    own: Breaker = field(default_factory=Breaker)
    pace: Pace = field(default_factory=Pace, init=False)
    due: float | None = field(default=None, init=False)
    fresh: bool = field(default=True, init=False)
    errors: int = field(default=0, init=False)

    def allows(self, now: float) -> bool:
        """Whether a request may be made at ``now`` (monotonic seconds)."""
        return self.receiver.allows(now) and self.own.allows(now)

    @property
    def closed_until(self) -> float:
        """Until when no request may be made, in monotonic seconds."""
        return max(self.receiver.closed_until, self.own.closed_until)

    @property
    def failures(self) -> int:
        """How many requests have failed since the last one that was taken."""
        return max(self.receiver.failures, self.own.failures)

    @property
    def told_to_wait(self) -> bool:
        """Whether the receiver has asked to be left alone with this signal."""
        return self.receiver.told_to_wait or self.own.told_to_wait

    @property
    def request_bytes(self) -> int:
        """How large the next request may be."""
        return _PROBE_BYTES if self.failures else self.pace.request_bytes

    def bytes_within(self, seconds: float) -> int:
        """How large the next request may be if it is to be answered within so many seconds."""
        return _PROBE_BYTES if self.failures else self.pace.bytes_within(seconds)

    @property
    def patience_s(self) -> float:
        """How long the next request may take."""
        return min(self.timeout_s, _PROBE_S) if self.failures else self.timeout_s

    def learn(self, answer: Answer, *, begun: float, now: float, size: int, kept: str) -> None:
        """What a request has shown.

        Args:
            answer: What became of it.
            begun: When it began, in monotonic seconds.
            now: When it ended, likewise.
            size: Of its body, in bytes.
            kept: Where its content waits, for messages.
        """
        taken = answer.kind != "retry"
        if taken or answer.answered:
            self.receiver.succeeded()
            self.receiver.heard_at = now
            self.receiver.say_well(f"telemetry reaches {self.place} again.")
        if answer.kind == "split":
            self.pace.too_large(size)
        elif taken:
            self.pace.succeeded(now - begun, size=size)
        if taken:
            self.own.succeeded()
            self.own.say_well(f"{self.place} takes {self.signal} again.")
            self.errors = 0
            if self.guess is not None:
                self.guess.known = True
            return
        self.pace.failed(now - begun, size=size)
        silent = now - begun >= _SILENT_S and self.receiver.heard_at >= begun - _RECENT_S
        of_signal = answer.answered or silent
        failed = self.own if of_signal else self.receiver
        failed.failed(begun=begun, now=now, retry_after_s=answer.retry_after_s)
        if self.guess is None or self.guess.known:
            failed.say_failing(now, self._complaint(answer.message.rstrip("."), kept, of_signal=of_signal))

    def _complaint(self, reason: str, kept: str, *, of_signal: bool) -> str:
        """The line about an outage, of this signal or of the whole receiver."""
        if of_signal:
            return (
                f"{self.place} does not take {self.signal} now: {reason}. They are kept {kept} and tried "
                "again. Look at what the receiver logs."
            )
        return (
            f"telemetry does not reach {self.place}: {reason}. It is kept {kept} and tried again. "
            "Check that the collector runs and that the endpoint is right."
        )
