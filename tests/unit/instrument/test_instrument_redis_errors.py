import asyncio

import pytest

redis = pytest.importorskip("redis")

from otelkit.instrument._redis.errors import failure  # noqa: E402 - after the library is known to be there

SECRET = "s3cr3t"


def _coded(kind, message, code):
    """An error as redis-py 8 makes it; older ones have no such argument."""
    try:
        return kind(message, status_code=code)
    except TypeError:
        return kind(message)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (redis.ResponseError(f"WRONGTYPE Operation against a key {SECRET}"), "WRONGTYPE"),
        (
            _coded(redis.ResponseError, f"unknown command '{SECRET}', with args beginning with: ", "ERR"),
            "ERR",
        ),
        (redis.ResponseError(f"unknown command '{SECRET}'"), "ERR"),
        (redis.exceptions.NoScriptError("No matching script."), "NOSCRIPT"),
        (redis.ReadOnlyError("You can't write against a read only replica."), "READONLY"),
        (
            redis.ResponseError(f"Command # 2 (SET {SECRET} {SECRET}) of pipeline caused error: OOM no room"),
            "OOM",
        ),
        (redis.ResponseError(f"{SECRET.upper()} a script's own words"), "ERR"),
        (redis.DataError(f"Invalid input of type: {SECRET}"), None),
        (redis.exceptions.InvalidResponse(f"Protocol Error: {SECRET}"), None),
        (redis.AuthenticationError(f"invalid {SECRET}"), None),
        (ValueError(SECRET), None),
    ],
    ids=str,
)
def test_an_error_is_its_class_and_code(error, code):
    """The class and the server's code are told, and nothing of the message."""
    failed = failure(error)

    assert (code, code or "", True) == (failed.code, failed.message, failed.is_error)
    assert SECRET not in repr(failed).lower()
    assert failed.labels["error.type"].endswith(type(error).__name__)


def test_own_words_of_the_client_library_are_kept():
    """Where no server answered, redis-py's own words say what happened, without the command."""
    error = redis.ConnectionError(
        f"Command # 1 (GET {SECRET}) of pipeline caused error: Error 111 connecting to db:6379."
    )

    assert "ConnectionError: Error 111 connecting to db:6379." == failure(error).text


@pytest.mark.parametrize(
    "error",
    [redis.WatchError("Watched variable changed."), asyncio.CancelledError(), KeyboardInterrupt()],
    ids=lambda value: type(value).__name__,
)
def test_what_is_no_error(error):
    """A changed WATCH is an answer and a cancellation is a wish: neither is an error of the service."""
    failed = failure(error)

    assert (False, {}) == (failed.is_error, failed.labels)


def test_an_error_that_cannot_be_shown():
    """An exception whose text raises is told by its class."""

    class Broken(redis.ResponseError):
        def __str__(self):
            raise RuntimeError(SECRET)

    assert failure(Broken("x")).kind.endswith("Broken")
