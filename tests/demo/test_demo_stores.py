"""A database that the environment names and that cannot be used is one line that says what to do."""

from __future__ import annotations

import socket
import sys

import pytest

from examples.agent.corpus import load
from examples.agent.stores import StoreError, open_stores


@pytest.fixture(autouse=True)
def _no_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)


async def refusal() -> str:
    with pytest.raises(StoreError) as raised:
        async with open_stores(load()):
            raise AssertionError("it opened")
    return str(raised.value)


async def test_without_variables_all_is_in_memory() -> None:
    """Passages come from the corpus; there is no cache and no history."""
    async with open_stores(load()) as stores:
        assert (stores.cache, stores.history) == (None, None)
        assert await stores.passages.read([3, 1]) == [load().passages[3], load().passages[1]]


@pytest.mark.parametrize(
    ("variable", "package", "ours"),
    [("DATABASE_URL", "asyncpg", "database"), ("REDIS_URL", "redis", "cache")],
)
async def test_a_missing_package(
    variable: str, package: str, ours: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line gives the command that installs it."""
    monkeypatch.delitem(sys.modules, f"examples.agent.{ours}", raising=False)
    monkeypatch.delitem(sys.modules, f"{package}.asyncio", raising=False)
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setenv(variable, "anything://127.0.0.1:1/x")

    assert await refusal() == (
        f"{variable} is set, but {package} is not installed. Run: pip install '.[{package}]', "
        f"or unset {variable}."
    )


@pytest.mark.parametrize(
    ("variable", "scheme", "package"),
    [("DATABASE_URL", "postgresql", "asyncpg"), ("REDIS_URL", "redis", "redis")],
)
async def test_a_server_that_is_not_there(
    variable: str, scheme: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The line names host and port, but neither user nor password."""
    pytest.importorskip(package)
    with socket.socket() as listener:  # bound, never listening: connections are refused
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
        monkeypatch.setenv(variable, f"{scheme}://somebody:hidden@127.0.0.1:{port}/0")
        line = await refusal()

    assert line.startswith(f"{variable} (127.0.0.1:{port}) cannot be used: ")
    assert line.endswith(f"Start that server, or correct or unset {variable}.")
    assert "\n" not in line
    assert not {"somebody", "hidden"} & set(line.replace(":", " ").replace("@", " ").split())


@pytest.mark.parametrize(("variable", "package"), [("DATABASE_URL", "asyncpg"), ("REDIS_URL", "redis")])
async def test_a_variable_that_is_no_url(
    variable: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A wrong value is refused in the same way."""
    pytest.importorskip(package)
    monkeypatch.setenv(variable, "nonsense://[")

    assert (await refusal()).startswith(f"{variable} (not a URL) cannot be used: ")
