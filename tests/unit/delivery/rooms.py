"""What the tests of delivery's rooms share: books under watch, a scripted receiver, a clock, requests."""

from __future__ import annotations

import functools
import threading
from collections import deque
from dataclasses import astuple

from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from otelkit.delivery.accounting import Ledger
from otelkit.delivery.depot import Depot
from otelkit.delivery.line import Breaker, Line
from otelkit.delivery.parcel import Parcel
from otelkit.delivery.queue import Memory
from otelkit.delivery.sender import Sender
from otelkit.delivery.transport import Answer

__all__ = [
    "BAD",
    "OK",
    "RETRY",
    "Exit",
    "Reception",
    "Scripted",
    "Time",
    "Watched",
    "balanced",
    "names",
    "negative",
    "parcel",
]

OK, RETRY, BAD = Answer(kind="ok"), Answer(kind="retry", message="not now"), Answer(kind="bad")
_STEPS = [
    name for name, step in vars(Ledger).items() if callable(step) and name[0] != "_" and name != "snapshot"
]


def balanced(counts):
    """Whether a signal's counts add up."""
    parts = counts.delivered + counts.rejected + sum(counts.dropped.values()) + counts.sampled_out
    return counts.created + counts.adopted == parts + counts.queued + counts.in_flight + counts.spooled


def negative(counts):
    """The numbers below zero."""
    fields = [value for value in astuple(counts) if isinstance(value, int)]
    return [value for value in (*fields, *counts.dropped.values()) if value < 0]


class Watched(Ledger):
    """A ledger that looks at its balance after each step, whoever makes it.

    A signal handler's step in the middle of another one, or of the look, is looked at with the next.
    """

    def __init__(self):
        super().__init__()
        self.unbalanced = []
        self._depth = 0
        self._steps = 0
        for name in _STEPS:
            setattr(self, name, functools.partial(self._step, name, getattr(self, name)))

    def _step(self, name, method, *args, **kwargs):
        with self._lock:
            self._depth += 1
            method(*args, **kwargs)
            self._steps += 1
            steps, counts = self._steps, self.snapshot(queued=0)
            if self._depth == 1 and steps == self._steps and not balanced(counts):
                self.unbalanced.append((name, args, kwargs, counts))
            self._depth -= 1


# -- requests ----------------------------------------------------------------------------------


def _field(signal, request):
    if signal == "traces":
        return [
            span for owner in request.resource_spans for scope in owner.scope_spans for span in scope.spans
        ]
    return [log for owner in request.resource_logs for scope in owner.scope_logs for log in scope.log_records]


def parcel(*texts, signal="traces", size=0):
    """A request with items that are known by their text; ``size`` bytes are added to each."""
    if signal == "traces":
        request = ExportTraceServiceRequest()
        spans = request.resource_spans.add().scope_spans.add().spans
        for text in texts:
            spans.add(name=text, trace_state="x" * size)
    else:
        request = ExportLogsServiceRequest()
        records = request.resource_logs.add().scope_logs.add().log_records
        for text in texts:
            records.add(severity_text=text, event_name="x" * size)
    return Parcel(signal, len(texts), request.SerializeToString(), 0)


def names(body, signal="traces"):
    """The texts of the items in a request."""
    request = (ExportTraceServiceRequest if signal == "traces" else ExportLogsServiceRequest)()
    request.ParseFromString(body)
    return [item.name if signal == "traces" else item.severity_text for item in _field(signal, request)]


# -- doubles that keep the contracts -----------------------------------------------------------


class Scripted:
    """A `Transport` that gives its answers one after the other, the last one for ever.

    An answer may be a function of the body, or raise. `held` makes every `send` wait, as a peer that
    is silent does; `interrupt` ends that (unless the transport is ``deaf``).
    """

    def __init__(self, *answers, deaf=False):
        self.answers = deque(answers or [OK])
        self.bodies = []
        self.timeouts = []
        self.entered = threading.Event()
        self.open = threading.Event()
        self.open.set()
        self.interrupted = False
        self.closed = 0
        self._deaf = deaf

    def send(self, body, *, timeout_s):
        self.bodies.append(body)
        self.timeouts.append(timeout_s)
        self.entered.set()
        self.open.wait(10)
        if self.interrupted:
            return Answer(kind="retry", message="interrupted")
        answer = self.answers[0] if len(self.answers) == 1 else self.answers.popleft()
        return answer(body) if callable(answer) else answer

    def interrupt(self):
        if not self._deaf:
            self.interrupted = True
            self.open.set()

    def close(self):
        self.closed += 1


class Exit:
    """A way out whose `send` can be held, refused, or made to raise."""

    name = "exit"

    def __init__(self, answer=True):
        self.batches = []
        self.answer = answer
        self.entered = threading.Event()
        self.open = threading.Event()
        self.open.set()
        self.interrupted = threading.Event()
        self.closed = 0

    def send(self, batch):
        self.entered.set()
        self.open.wait(10)
        if isinstance(self.answer, Exception):
            raise self.answer
        self.batches.append(list(batch))
        return self.answer

    def interrupt(self):
        self.interrupted.set()

    def close(self):
        self.closed += 1


class Time:
    """The clock of one module, which a test moves."""

    def __init__(self):
        self.now = 1_000.0

    def monotonic(self):
        return self.now

    def time_ns(self):
        return round(self.now * 1e9)


class Reception:
    """A depot, a sender and a scripted receiver for each signal; the sender's rounds are made by hand.

    Started, the sender works on its own thread instead.
    """

    def __init__(
        self, ledgers, signals, *, answers=None, spool=None, always=True, limit=1 << 20, fresh=False, **line
    ):
        self.ledgers = ledgers
        self.memory = Memory(limit)
        self.losses = []
        self.depot = Depot(ledgers=ledgers, memory=self.memory, spool=spool, always=always)
        self.transports = {s: Scripted(*(answers or {}).get(s, ())) for s in signals}
        shared = Breaker(jitter=lambda: 1.0)
        options = {"delay_s": 0.0, "timeout_s": 10.0, "receiver": shared, **line}
        self.lines = {
            s: Line(signal=s, transport=self.transports[s], own=Breaker(jitter=lambda: 1.0), **options)
            for s in signals
        }
        for made in self.lines.values():
            made.fresh = fresh
        self.sender = Sender(lines=tuple(self.lines.values()), depot=self.depot, on_loss=self._lost)
        self.depot.failing = lambda: self.sender.failing

    def _lost(self):
        """Note how much was lost when it was told, if that is news."""
        lost = sum(ledger.snapshot(queued=0).lost for ledger in self.ledgers.values())
        if lost > sum(self.losses):
            self.losses.append(lost - sum(self.losses))

    def put(self, *parcels):
        """As the courier does it."""
        for one in parcels:
            self.ledgers[one.signal].take(one.items)
        self.depot.put(parcels)
        self.sender.stored({one.signal for one in parcels})

    def sent(self, signal="traces"):
        """The texts of each request so far."""
        return [names(body, signal) for body in self.transports[signal].bodies]

    def counts(self, signal="traces"):
        return self.ledgers[signal].snapshot(queued=0)

    def run(self, clock, seconds):
        """Let the sender work for so long on ``clock``; it may not be busy without doing anything."""
        until = clock.now + seconds
        idle = 0
        while True:
            before = sum(len(transport.bodies) for transport in self.transports.values())
            delay = self.sender._round(False)
            after = sum(len(transport.bodies) for transport in self.transports.values())
            idle = idle + 1 if not delay and before == after else 0
            assert idle < 20, "the sender spins"
            if clock.now + delay > until:
                clock.now = until
                return
            clock.now += delay
