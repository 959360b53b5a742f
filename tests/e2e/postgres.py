"""A real PostgreSQL server of the tests' own, on a free port of the loopback address.

It is the Debian package's program (``apt-get install postgresql``), lives in a temporary folder without
waiting for the disk, and runs as an unprivileged user where the tests run as root.

::

    with PostgresServer() as server:
        connection = await asyncpg.connect(server.dsn)
        server.kill()  # in the middle of a query, say
        server.start()  # same port, same data
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil
import pytest

if TYPE_CHECKING:
    from types import TracebackType

    from typing_extensions import Self

__all__ = ["PostgresServer", "require_postgres"]

_READY_S = 30.0
_OPTIONS = {
    "listen_addresses": "127.0.0.1",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "shared_buffers": "16MB",
    "max_connections": "60",
    "max_wal_senders": "0",
    "wal_level": "minimal",
    "autovacuum": "off",
    "max_parallel_workers_per_gather": "0",
    "lc_messages": "C",
}


def require_postgres() -> None:
    """Skip the test where there is no PostgreSQL to start; in CI that is a failure."""
    if _programs() is not None:
        return
    reason = "no PostgreSQL server is installed. Run: apt-get install postgresql"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)


class PostgresServer:
    """A server that runs from `start` to `stop` and may be killed or restarted in between.

    Attributes:
        host, port: Where it listens; the same after a restart.
        user, database: Whom it lets in without a password.
    """

    host = "127.0.0.1"
    user = "postgres"
    database = "postgres"

    def __init__(self) -> None:
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        programs = _programs()
        assert programs is not None, "no PostgreSQL server is installed"
        self._programs = programs
        # Not below pytest's own folder, which only its owner may enter.
        self._folder = Path(tempfile.mkdtemp(prefix="otelkit-pg-"))
        self._log = self._folder / "log"
        self._log.touch()
        if _identity():
            owner = pwd.getpwnam(_identity()["user"])
            for path in (self._folder, self._log):
                os.chown(path, owner.pw_uid, owner.pw_gid)

    @property
    def socket_folder(self) -> str:
        """Where its Unix socket is; what `asyncpg.connect` takes as ``host``."""
        return str(self._folder)

    @property
    def dsn(self) -> str:
        """What `asyncpg.connect` takes."""
        return f"postgresql://{self.user}@{self.host}:{self.port}/{self.database}"

    def __enter__(self) -> Self:
        try:
            self._initialise()
            self.start()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc_val: BaseException | None,
        exc_tb: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop the server and remove its folder."""
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)

    def start(self) -> None:
        """Start it and wait until it takes connections; nothing if it runs."""
        if self._process is not None and self._process.poll() is None:
            return
        for _ in range(5):  # another process may take the port between looking and binding
            port = self.port or _free_port()
            with self._log.open("ab") as log:
                self._process = subprocess.Popen(
                    self._command(port),
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=self._folder,
                    **_identity(),
                )
            if self._answers(port):
                self.port = port
                return
            self.kill()
        raise AssertionError(f"PostgreSQL did not start: {self._log.read_text()[-2_000:]}")

    def stop(self) -> None:
        """Stop it in order: open transactions are rolled back, clients are told."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGINT)
        try:
            process.wait(15.0)
        except subprocess.TimeoutExpired:
            self._process = process
            self.kill()

    def kill(self) -> None:
        """Kill it and all its backends at once; clients find their connections reset."""
        process, self._process = self._process, None
        if process is None:
            return
        backends = []
        if process.poll() is None:
            backends = psutil.Process(process.pid).children(recursive=True)
        process.kill()
        for backend in backends:
            try:
                backend.kill()
            except psutil.NoSuchProcess:
                pass
        process.wait(10.0)
        psutil.wait_procs(backends, timeout=10.0)

    def restart(self) -> None:
        """Stop it, and start it again on the same port with the same data."""
        self.stop()
        self.start()

    def log(self) -> str:
        """What the server has written so far."""
        return self._log.read_text(errors="replace")

    def _initialise(self) -> None:
        command = [str(self._programs / "initdb"), "-D", str(self._folder / "data"), "-U", self.user]
        command += ["--auth=trust", "--no-sync", "--locale=C", "--encoding=UTF8"]
        subprocess.run(
            command,
            check=True,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            **_identity(),
        )

    def _command(self, port: int) -> list[str]:
        options = _OPTIONS | {"port": str(port), "unix_socket_directories": str(self._folder)}
        words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        return [str(self._programs / "postgres"), "-D", str(self._folder / "data"), *words]

    def _answers(self, port: int) -> bool:
        ask = [str(self._programs / "pg_isready"), "-q", "-h", self.host, "-p", str(port)]
        deadline = time.monotonic() + _READY_S
        while time.monotonic() < deadline:
            assert self._process is not None
            if self._process.poll() is not None:
                return False
            if subprocess.run(ask, check=False).returncode == 0:
                return True
            time.sleep(0.02)
        return False


def _programs() -> Path | None:
    """The folder of the newest installed server's programs."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=_version)
    if debian:
        return debian[-1].parent
    found = shutil.which("postgres")
    return None if found is None else Path(found).resolve().parent


def _version(program: Path) -> float:
    name = program.parent.parent.name
    return float(name) if name.replace(".", "", 1).isdigit() else 0.0


def _identity() -> dict[str, Any]:
    """The user to run it as, where this process is root: the server refuses to run as root."""
    if os.geteuid() != 0:
        return {}
    for user in ("postgres", "nobody"):
        try:
            return {"user": user, "group": pwd.getpwnam(user).pw_gid, "extra_groups": []}
        except KeyError:
            continue
    return {}


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind((PostgresServer.host, 0))
        port: int = listener.getsockname()[1]
        return port
