"""The service as a process of its own: started, watched and ended by the demo."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

__all__ = ["Service", "ServiceFailedError", "destination"]

_ROOT = Path(__file__).resolve().parents[2]
_START_S = 60.0
_END_S = 20.0
_KEEP = {f"OTEL_{signal}_EXPORTER": "none" for signal in ("TRACES", "METRICS", "LOGS")}


class ServiceFailedError(Exception):
    """The service did not start or end as it should: what it said of it, or else wrote to stderr."""


def destination() -> str | None:
    """Where the environment says telemetry goes; None when it says nothing."""
    base = "OTEL_EXPORTER_OTLP_ENDPOINT"
    names = [base, *(base.replace("OTLP", f"OTLP_{s}") for s in ("TRACES", "METRICS", "LOGS"))]
    return next((os.environ[name] for name in names if os.environ.get(name)), None)


@dataclass
class Service:
    """A running service; use it as a context manager.

    Attributes:
        port: Where it listens on 127.0.0.1.
        passages: How many passages it knows.
        has_database: Whether it has them, and its history, in PostgreSQL.
        has_cache: Whether it keeps answers in Redis.
        lines: Its log lines so far, each one read from JSON.
        errors: What it wrote to stderr so far.
    """

    port: int = 0
    passages: int = 0
    has_database: bool = False
    has_cache: bool = False
    lines: list[dict[str, Any]] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)
    _messages: queue.SimpleQueue[dict[str, Any] | None] = field(default_factory=queue.SimpleQueue)

    def __enter__(self) -> Self:
        sending = destination() is not None
        self._process = subprocess.Popen(
            [sys.executable, "-m", "examples.agent.service", *([] if sending else ["--keep"])],
            env={**os.environ, **({} if sending else _KEEP)},
            cwd=_ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            encoding="utf-8",
            errors="replace",
            start_new_session=True,  # Ctrl-C ends the demo, and the demo ends the service
        )
        for stream, read in ((self._process.stdout, self._read), (self._process.stderr, self._read_errors)):
            threading.Thread(target=read, args=(stream,), daemon=True).start()
        try:
            started = self._next(_START_S)
        except ServiceFailedError:
            self.__exit__(None, None, None)
            raise
        self.port, self.passages = started["port"], started["passages"]
        self.has_database, self.has_cache = started["has_database"], started["has_cache"]
        return self

    def end(self) -> dict[str, Any]:
        """Let the service finish, flush and shut down; its last words are its counts.

        Raises:
            ServiceFailedError: It ended badly or not at all.
        """
        self._close_stdin()
        last = self._next(_END_S)
        if self._process.wait(_END_S) != 0:
            raise ServiceFailedError(f"it ended with status {self._process.returncode}")
        return last

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close_stdin()
        if kind is not None or self._process.poll() is None:
            self._process.kill()
        self._process.wait()

    def _next(self, timeout_s: float) -> dict[str, Any]:
        try:
            message = self._messages.get(timeout=timeout_s)
        except queue.Empty:
            raise ServiceFailedError(f"it said nothing for {timeout_s:.0f} s") from None
        if message is None:
            raise ServiceFailedError("it ended early")
        if "failed" in message:
            raise ServiceFailedError(message["failed"])
        return message

    def _close_stdin(self) -> None:
        if self._process.stdin is not None and not self._process.stdin.closed:
            self._process.stdin.close()

    def _read(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                try:
                    read = json.loads(line)
                    about = read.get("demo")
                except (ValueError, AttributeError):
                    self.errors.append(line)
                    continue
                if about is None:
                    self.lines.append(read)
                else:
                    self._messages.put(about)
        self._messages.put(None)

    def _read_errors(self, stream: IO[str]) -> None:
        with stream:
            self.errors.extend(stream)
