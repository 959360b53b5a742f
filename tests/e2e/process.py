"""A Python program in a process of its own: its lines, its end, and how long its end took.

When it is over, the books of every runtime in it are looked at: see `audited`.

::

    with Program("import time; print('ready', flush=True); time.sleep(60)") as program:
        program.wait_for_line("ready")
        ended = program.stop(signal.SIGTERM)
        assert ended.seconds < 2
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING

from audited import assert_audited

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

__all__ = ["Ended", "Program", "run"]


@dataclass(frozen=True, slots=True)
class Ended:
    """How a program ended: ``seconds`` since the signal of `Program.stop`, else since its start."""

    code: int
    seconds: float
    stdout: str
    stderr: str


def run(
    program: str | Path | Sequence[str],
    *,
    env: Mapping[str, str | None] | None = None,
    cwd: Path | None = None,
    timeout_s: float = 30.0,
) -> Ended:
    """Run a program to its end; see `Program`.

    Raises:
        AssertionError: It did not end within ``timeout_s`` seconds; it is killed then.
    """
    with Program(program, env=env, cwd=cwd) as running:
        return running.wait(timeout_s=timeout_s)


class Program:
    """A running Python program; leaving the context kills it and whatever it started.

    Args:
        program: The source text, a file, or the arguments of the interpreter
            (``["-m", "uvicorn", ...]``).
        env: Variables to set; None removes one. The ``OTEL_*`` and ``OTELKIT_*`` variables of
            the test run are not inherited, except the one that raises otelkit's own failures.
        cwd: Its working folder; by default a new empty one.
    """

    def __init__(
        self,
        program: str | Path | Sequence[str],
        *,
        env: Mapping[str, str | None] | None = None,
        cwd: Path | None = None,
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="program-")
        # A spool that the test gives may be shared with others, who take from it; it is looked at by the test.
        shared = {"XDG_STATE_HOME", "OTELKIT_SPOOL_DIR"} & (env or {}).keys()
        self._spool = None if shared else Path(self._folder.name, "state/otelkit/spool")
        self._audit = Path(self._folder.name, "audit")
        self._audit.mkdir()
        self._changed = threading.Condition()
        self._lines: dict[str, list[str]] = {"stdout": [], "stderr": []}
        self._code: int | None = None
        self._ended_at = 0.0
        self._started_at = time.monotonic()
        self._process = subprocess.Popen(
            [sys.executable, *self._arguments(program)],
            env=_environment(
                {
                    "XDG_STATE_HOME": f"{self._folder.name}/state",
                    "AUDIT_FOLDER": str(self._audit),
                    **(env or {}),
                }
            ),
            cwd=cwd or self._folder.name,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,  # so that its children can be killed with it
        )
        readers = [
            threading.Thread(target=self._read, args=(name, getattr(self._process, name)), daemon=True)
            for name in self._lines
        ]
        self._threads = [*readers, threading.Thread(target=self._watch, daemon=True)]
        for thread in self._threads:
            thread.start()

    @property
    def pid(self) -> int:
        """The process id."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it has not ended yet."""
        return self._code is None

    @property
    def stdout(self) -> str:
        """What it wrote to stdout so far, in whole lines."""
        return self._text("stdout")

    @property
    def stderr(self) -> str:
        """What it wrote to stderr so far, in whole lines."""
        return self._text("stderr")

    def wait_for_line(self, text: str, *, timeout_s: float = 20.0) -> str:
        """The first line of stdout or stderr that holds ``text``, as soon as it is there.

        Raises:
            AssertionError: There is none within ``timeout_s`` seconds, or the program has ended.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._find(text) or not self.running, timeout_s)
            over = not self.running
        if over:
            self._drain()
        found = self._find(text)
        if not found:
            raise AssertionError(f"no line with {text!r} within {timeout_s} s; {self._story()}")
        return found

    def send_signal(self, number: int) -> None:
        """Send a signal to the program alone, not to its children."""
        self._process.send_signal(number)

    def stop(self, number: int = signal.SIGTERM, *, timeout_s: float = 15.0) -> Ended:
        """Send a signal and wait for the end; `Ended.seconds` counts from the signal.

        Raises:
            AssertionError: It has not ended ``timeout_s`` seconds after the signal.
        """
        sent_at = time.monotonic()
        self.send_signal(number)
        return self._end(since=sent_at, timeout_s=timeout_s)

    def wait(self, *, timeout_s: float = 30.0) -> Ended:
        """Wait for the end; `Ended.seconds` counts from the start.

        Raises:
            AssertionError: It has not ended within ``timeout_s`` seconds from now.
        """
        return self._end(since=self._started_at, timeout_s=timeout_s)

    def kill(self) -> None:
        """Kill the program and everything it started, now."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        for thread in self._threads:
            thread.join(timeout=10)
        try:
            if kind is None:
                assert_audited(self._audit, self._spool)
        finally:
            self._folder.cleanup()

    def _arguments(self, program: str | Path | Sequence[str]) -> Iterable[str]:
        if isinstance(program, str):
            # A file and not `-c`: tracebacks show the lines, and multiprocessing can import it.
            path = Path(self._folder.name, "program.py")
            path.write_text(program, encoding="utf-8")
            return [str(path)]
        return [str(program)] if isinstance(program, Path) else program

    def _read(self, name: str, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                with self._changed:
                    self._lines[name].append(line)
                    self._changed.notify_all()

    def _watch(self) -> None:
        # A blocking wait in a thread: the end is timed exactly, without polling.
        code = self._process.wait()
        with self._changed:
            self._ended_at = time.monotonic()
            self._code = code
            self._changed.notify_all()

    def _end(self, *, since: float, timeout_s: float) -> Ended:
        with self._changed:
            self._changed.wait_for(lambda: not self.running, timeout_s)
            code = self._code
        if code is None:
            story = self._story()
            self.kill()
            raise AssertionError(f"still running after {timeout_s} s; {story}")
        self._drain()
        return Ended(code, self._ended_at - since, self.stdout, self.stderr)

    def _drain(self) -> None:
        # A child of the program may keep the pipes open; what it writes later is not waited for.
        for thread in self._threads:
            thread.join(timeout=1)

    def _find(self, text: str) -> str:
        with self._changed:
            for lines in self._lines.values():
                for line in lines:
                    if text in line:
                        return line.rstrip("\n")
        return ""

    def _text(self, name: str) -> str:
        with self._changed:
            return "".join(self._lines[name])

    def _story(self) -> str:
        state = "it runs" if self.running else f"it ended with {self._code}"
        return f"{state}\n--- stdout\n{self.stdout}--- stderr\n{self.stderr}"


def _environment(changes: Mapping[str, str | None]) -> dict[str, str]:
    env = {
        key: value
        for key, value in os.environ.items()
        if not key.startswith(("OTEL_", "OTELKIT_")) or key == "OTELKIT_RERAISE"
    }
    env["PYTHONUNBUFFERED"] = "1"
    here = str(Path(__file__).parent / "audit")
    env["PYTHONPATH"] = os.pathsep.join(filter(None, [here, _checkout(), env.get("PYTHONPATH", "")]))
    for key, value in changes.items():
        if value is None:
            env.pop(key, None)
        else:
            env[key] = value
    return env


def _checkout() -> str | None:
    """Where the otelkit under test lies, unless it is installed and found by itself."""
    spec = importlib.util.find_spec("otelkit")
    if spec is None or spec.origin is None:
        return None
    home = Path(spec.origin).parent.parent
    return None if home.name in {"site-packages", "dist-packages"} else str(home)
