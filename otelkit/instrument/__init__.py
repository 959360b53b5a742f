"""Instruments the libraries that a program uses, and takes it back.

``otelkit.init(instrument="auto")``, the default, instruments what is installed, each library when the
program has imported it; a list of names chooses. The functions here are for single objects. ::

    otelkit.instrument.fastapi(app, request_headers=["user-agent"])
    otelkit.instrument.uninstrument()

One small file per library, over its own telemetry where it has one, else over the official
instrumentation, never both. What the application has instrumented itself stays as it is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from otelkit import _guard
from otelkit.instrument import _libraries, _registry
from otelkit.instrument._registry import handover

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from otelkit.settings import Settings

__all__ = [
    "asgi",
    "asyncpg",
    "fastapi",
    "handover",
    "install",
    "instrumented",
    "missing",
    "redis",
    "uninstrument",
]


def fastapi(
    app: Any,
    *,
    excluded_paths: Sequence[str] | None = None,
    request_headers: Sequence[str] | None = None,
    response_headers: Sequence[str] | None = None,
    operation_spans: bool | None = None,
) -> Callable[[], None]:
    """Instrument one FastAPI or Starlette application, whatever ``instrument=`` says.

    What is not given follows the settings of `otelkit.init`, before or after this call.

    Args:
        app: The application; may have served requests already.
        excluded_paths: Paths without telemetry; see the setting ``http_excluded_paths``.
        request_headers: Headers of requests that become span attributes.
        response_headers: Headers of responses that become span attributes.
        operation_spans: Whether FastAPI's spans of dependencies, endpoint and serialization are made.

    Returns:
        What takes it back.

    Raises:
        TypeError: It is no such application.
    """
    from otelkit.instrument._fastapi import instrument_app

    return _registry.keep(
        instrument_app(
            app,
            excluded_paths=excluded_paths,
            request_headers=request_headers,
            response_headers=response_headers,
            operation_spans=operation_spans,
        )
    )


def asgi(
    app: Callable[..., Any],
    *,
    excluded_paths: Sequence[str] | None = None,
    request_headers: Sequence[str] | None = None,
    response_headers: Sequence[str] | None = None,
) -> Callable[..., Any]:
    """Any ASGI application, with a server span and HTTP metrics for each request.

    ::

        app = otelkit.instrument.asgi(app)

    Args:
        app: The application; `fastapi` is for those of FastAPI and Starlette.
        excluded_paths: As in `fastapi`.
        request_headers: As in `fastapi`.
        response_headers: As in `fastapi`.

    Returns:
        The application to serve. Without ``opentelemetry-instrumentation-asgi`` it is ``app`` itself,
        and one line says so.
    """
    from otelkit.instrument._http.asgi import PACKAGE
    from otelkit.instrument._library import importable

    if not importable(PACKAGE):
        _guard.say(
            "otelkit.instrument.asgi needs opentelemetry-instrumentation-asgi, which is not installed; the "
            "application has no spans. Run: pip install opentelemetry-instrumentation-asgi",
            key="instrument.asgi",
        )
        return app
    from otelkit.instrument._http.server import WithSpans

    given = {
        "http_excluded_paths": excluded_paths,
        "http_request_headers": request_headers,
        "http_response_headers": response_headers,
    }
    return WithSpans(app, {name: value for name, value in given.items() if value is not None})


def asyncpg() -> Callable[[], None]:
    """Instrument asyncpg, whatever ``instrument=`` says: all connections and pools, of any age.

    Returns:
        What takes it back.
    """
    from otelkit.instrument._asyncpg import instrument_asyncpg

    return _registry.keep(instrument_asyncpg())


def redis(client: Any) -> Callable[[], None]:
    """Instrument one redis client, whatever ``instrument=`` says.

    Args:
        client: A `redis.Redis`, a `redis.RedisCluster` or one of `redis.asyncio`, of any age.

    Returns:
        What takes it back.

    Raises:
        TypeError: It is no such client.
    """
    from otelkit.instrument._redis import instrument_client

    return _registry.keep(instrument_client(client))


def install(settings: Settings) -> Callable[[], None]:
    """Instrument what the settings choose.

    A library is instrumented when it is imported: now, or when the program does it. A second
    installation shares what is there; see `handover`.

    Args:
        settings: ``instrument`` in it is True or ``"auto"`` for all libraries with a file here that
            are installed together with what their instrumentation needs, False for none, or names,
            also those of other installed instrumentations (their ``opentelemetry_instrumentor``
            entry points). Each library reads its own settings. A library that cannot be
            instrumented is one line.

    Returns:
        What takes back this installation's part.
    """
    for line in _libraries.missing(settings.instrument):
        _guard.say(line, key=f"instrument:{line}")
    given_up = []
    for library in _libraries.chosen(settings.instrument):
        with _guard.guard("instrument.install"):
            given_up.append(_registry.claim(library, settings))

    def uninstall() -> None:
        while given_up:
            with _guard.guard("instrument.uninstall"):
                given_up.pop()()

    return uninstall


def missing(settings: Settings) -> list[str]:
    """A line for each library that the settings name and that cannot be instrumented; none for auto."""
    return _libraries.missing(settings.instrument)


def instrumented() -> tuple[str, ...]:
    """The libraries that are instrumented now, by name."""
    return _registry.names()


def uninstrument() -> None:
    """Take everything back, whoever asked for it: libraries, applications and clients.

    The runtime goes on. A later `otelkit.init` instruments again.
    """
    _registry.undo_all()
