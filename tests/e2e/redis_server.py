"""A real Redis server of the tests' own, on a free port of the loopback address.

It is the Debian package's program (``apt-get install redis-server``), keeps nothing on disk, lives in a
temporary folder, and runs as an unprivileged user where the tests run as root.

::

    with RedisServer() as server:
        redis.Redis(host=server.host, port=server.port).ping()
        server.restart()  # same port, empty
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

__all__ = ["RedisServer", "require_redis_server"]

_PROGRAM = "redis-server"
_READY_S = 15.0
_SLOTS = 16_384


def require_redis_server() -> None:
    """Skip the test where there is no Redis server to start; in CI that is a failure."""
    if shutil.which(_PROGRAM) is not None:
        return
    reason = "no redis-server on the PATH. Run: apt-get install redis-server"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


class RedisServer:
    """A server that runs from `start` to `stop` and may be killed or restarted in between.

    Args:
        cluster: A cluster of one node, which serves all slots.
        password: What clients must authenticate with.

    Attributes:
        host, port: Where it listens; the same after a restart.
    """

    host = "127.0.0.1"

    def __init__(self, *, cluster: bool = False, password: str | None = None) -> None:
        self.port = 0
        self._cluster = cluster
        self._password = password
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = Path(tempfile.mkdtemp(prefix="otelkit-redis-"))
        self._folder.chmod(0o777)  # the server may run as another user

    @property
    def url(self) -> str:
        """What `redis.from_url` takes."""
        return f"redis://{self.host}:{self.port}/0"

    @property
    def pid(self) -> int:
        """The process of the running server."""
        assert self._process is not None, "the server does not run"
        return self._process.pid

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Start it and wait until it answers."""
        for _ in range(5):  # another process may take the port between looking and binding
            port = self.port or _free_port()
            self._process = subprocess.Popen(
                self._command(port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **_unprivileged()
            )
            if self._answers(port):
                self.port = port
                if self._cluster:
                    self._serve_all_slots()
                return
            self.kill()
        log = (self._folder / "log").read_text() if (self._folder / "log").exists() else ""
        raise AssertionError(f"redis-server did not start: {log[-2_000:]}")

    def stop(self) -> None:
        """Stop it in order (SIGTERM); nothing if it does not run."""
        self._end(signal.SIGTERM)

    def kill(self) -> None:
        """Kill it at once; its clients find their connections reset."""
        self._end(signal.SIGKILL)

    def restart(self) -> None:
        """Kill it, and start it again on the same port."""
        self.kill()
        self.start()

    def ask(self, *words: str) -> bytes:
        """The raw answer to one command, on a connection of its own, with no client library."""
        return _ask(self.port, self._authenticated([words]))

    def _end(self, number: signal.Signals) -> None:
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(number)
        try:
            process.wait(10.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10.0)

    def _command(self, port: int) -> list[str]:
        options = {
            "bind": self.host,
            "port": str(port),
            "dir": str(self._folder),
            "logfile": str(self._folder / "log"),
            "save": "",
            "appendonly": "no",
            "daemonize": "no",
            "databases": "16",
        }
        if self._password is not None:
            options["requirepass"] = self._password
        if self._cluster:
            options |= {"cluster-enabled": "yes", "cluster-port": str(_free_port())}
            options["cluster-announce-ip"] = self.host
        return [_PROGRAM, *(part for key, value in options.items() for part in (f"--{key}", value))]

    def _answers(self, port: int) -> bool:
        deadline = time.monotonic() + _READY_S
        while time.monotonic() < deadline:
            assert self._process is not None
            if self._process.poll() is not None:
                return False
            try:
                if b"+PONG" in _ask(port, self._authenticated([("PING",)])):
                    return True
            except OSError:
                pass
            time.sleep(0.02)
        return False

    def _serve_all_slots(self) -> None:
        self.ask("CLUSTER", "ADDSLOTSRANGE", "0", str(_SLOTS - 1))
        deadline = time.monotonic() + _READY_S
        while b"cluster_state:ok" not in self.ask("CLUSTER", "INFO"):
            assert time.monotonic() < deadline, "the cluster of one node does not become ready"
            time.sleep(0.02)

    def _authenticated(self, commands: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
        return commands if self._password is None else [("AUTH", self._password), *commands]


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((RedisServer.host, 0))
        port: int = listener.getsockname()[1]
        return port


def _unprivileged() -> dict[str, object]:
    """The user to run it as, where this process is root."""
    if not hasattr(os, "geteuid") or os.geteuid() != 0:
        return {}
    return {"user": "nobody", "group": "nogroup", "extra_groups": []}


def _ask(port: int, commands: list[tuple[str, ...]]) -> bytes:
    """Send commands and read until the answer to the last one is complete."""
    with socket.create_connection((RedisServer.host, port), timeout=5.0) as connection:
        for words in commands:
            parts = [f"*{len(words)}\r\n", *(f"${len(word.encode())}\r\n{word}\r\n" for word in words)]
            connection.sendall("".join(parts).encode())
        connection.shutdown(socket.SHUT_WR)  # it answers what it has got, then closes
        answer = b""
        while chunk := connection.recv(65_536):
            answer += chunk
        return answer
