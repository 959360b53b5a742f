"""What the applications under test share: how they report, how they are told to go on, their memory.

Standard output belongs to the report; what the application logs goes to /dev/null, at the cost of
a write. The tally is a file in memory: it tells what was made also after a SIGKILL.
"""

from __future__ import annotations

import atexit
import json
import mmap
import os
import select
import signal
import struct
import time
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass
from typing import Any

__all__ = ["Go", "Kit", "Tally", "count", "memory_mb", "report", "report_at_exit", "say"]

_report_fd = 1
SLOTS = 64


def quiet_stdout() -> None:
    """Keep stdout for the report; whoever else writes to it writes to nowhere."""
    global _report_fd
    _report_fd = os.dup(1)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.close(nowhere)


def say(line: str) -> None:
    """Report a line, at once and whole."""
    os.write(_report_fd, f"{line}\n".encode())


def report(**facts: Any) -> None:
    """Report facts as one line of JSON."""
    say("report " + json.dumps(facts))


def count(runtime: Any) -> dict[str, dict[str, Any]]:
    """A runtime's stats as plain data."""
    return {} if runtime is None else {name: _plain(counts) for name, counts in runtime.stats().items()}


def report_at_exit(facts: Callable[[], Mapping[str, Any]]) -> None:
    """Report when everything else has ended: call it before otelkit is started."""
    owner = os.getpid()
    atexit.register(lambda: report(**facts()) if os.getpid() == owner else None)


def memory_mb() -> dict[str, float]:
    """The memory of this process now and at its peak.

    Not ``ru_maxrss``: that begins with the size of the process that started this one.
    """
    found = {"VmRSS": 0.0, "VmHWM": 0.0}
    with open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            name, _, value = line.partition(":")
            if name in found:
                found[name] = int(value.split()[0]) / 1024
    return {"now": found["VmRSS"], "peak": found["VmHWM"]}


class Go:
    """Wait for SIGUSR1; each one is taken once. Made in the main thread."""

    def __init__(self) -> None:
        self._read, self._write = os.pipe()
        signal.signal(signal.SIGUSR1, lambda *_: os.write(self._write, b"g"))

    def wait(self, timeout_s: float | None = None) -> bool:
        """Whether it came within the time."""
        ready, _, _ = select.select([self._read], [], [], timeout_s)
        return bool(ready) and bool(os.read(self._read, 1))


class Tally:
    """How many spans and log records each thread has made, readable from outside at any moment."""

    def __init__(self, path: str) -> None:
        size = SLOTS * 16
        with open(path, "w+b") as file:
            file.truncate(size)
            self._map = mmap.mmap(file.fileno(), size)

    def made(self, thread: int, spans: int, logs: int) -> None:
        """Thread number ``thread`` has made so many."""
        struct.pack_into("qq", self._map, thread * 16, spans, logs)

    def sums(self) -> dict[str, int]:
        """The sums over the threads."""
        return read_tally(self._map[:])


def read_tally(content: bytes) -> dict[str, int]:
    """The sums over the threads, of the content of a tally file."""
    numbers = struct.unpack(f"{SLOTS * 2}q", content)
    return {"traces": sum(numbers[::2]), "logs": sum(numbers[1::2])}


class Kit:
    """Telemetry of one kind: ``otelkit``, ``plain`` (the SDK by itself) or ``none``.

    Attributes:
        runtime: otelkit's, or None.
        span: Makes a span around nothing: ``span(n, attributes)``.
        log: Makes a log record: ``log(n, attributes)``.
        add: Adds one to the counter.
    """

    def __init__(self, kind: str, run: str, **settings: Any) -> None:
        self.runtime: Any = None
        self.span: Callable[[int, Mapping[str, Any]], object] = lambda n, attributes: None
        self.log: Callable[[int, Mapping[str, Any]], object] = lambda n, attributes: None
        self.add: Callable[[], object] = lambda: None
        self.flush: Callable[[], object] = lambda: None
        if kind == "otelkit":
            self._otelkit(run, settings)
        elif kind == "plain":
            self._plain_sdk(run)

    def _otelkit(self, run: str, settings: Mapping[str, Any]) -> None:
        import otelkit

        self.runtime = otelkit.init(service_name="faults", console=False, log_format="json", **settings)
        self.flush = lambda: otelkit.flush(timeout_s=1.5)
        logger, made = otelkit.get_logger("app"), otelkit.get_meter("app").create_counter("app.made")
        name = {"run": run}

        def span(n: int, attributes: Mapping[str, Any]) -> None:
            with otelkit.span("work", {"n": n, "run": run, **attributes}):
                pass

        self.span, self.add = span, lambda: made.add(1, name)
        self.log = lambda n, attributes: logger.info("line", n=n, run=run, **attributes)

    def _plain_sdk(self, run: str) -> None:
        import logging
        import sys

        from opentelemetry import trace
        from opentelemetry._logs import set_logger_provider
        from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk._logs import LoggerProvider, LoggingHandler
        from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        traces, logs = TracerProvider(), LoggerProvider()
        traces.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        logs.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
        trace.set_tracer_provider(traces)
        set_logger_provider(logs)
        tracer, logger = trace.get_tracer("app"), logging.getLogger("app")
        logger.setLevel(logging.INFO)
        logger.addHandler(LoggingHandler(logger_provider=logs))
        lines = logging.StreamHandler(sys.stdout)
        lines.setFormatter(_json_lines())
        logger.addHandler(lines)

        def span(n: int, attributes: Mapping[str, Any]) -> None:
            with tracer.start_as_current_span("work", attributes={"n": n, "run": run, **attributes}):
                pass

        self.span = span
        self.log = lambda n, attributes: logger.info("line", extra={"n": n, "run": run, **attributes})
        self.flush = lambda: (traces.force_flush(), logs.force_flush())


def _json_lines() -> Any:
    """The plain side's lines: JSON with the ids, as otelkit writes them."""
    import logging

    from opentelemetry import trace

    class JsonLines(logging.Formatter):
        def format(self, record: logging.LogRecord) -> str:
            context = trace.get_current_span().get_span_context()
            return json.dumps(
                {
                    "timestamp": self.formatTime(record),
                    "level": record.levelname.lower(),
                    "event": record.getMessage(),
                    "logger": record.name,
                    "n": record.n,  # type: ignore[attr-defined]
                    "run": record.run,  # type: ignore[attr-defined]
                    "trace_id": f"{context.trace_id:032x}",
                    "span_id": f"{context.span_id:016x}",
                }
            )

    return JsonLines()


def wait_for_ever() -> None:
    """Until a signal ends the process."""
    while True:
        time.sleep(3600)


def _plain(counts: Any) -> dict[str, Any]:
    pairs = (
        {each.name: getattr(counts, each.name) for each in fields(counts)}
        if is_dataclass(counts)
        else dict(counts)
    )
    return {name: dict(value) if isinstance(value, Mapping) else value for name, value in pairs.items()}
