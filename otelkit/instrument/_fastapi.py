"""FastAPI: its own telemetry where it has one (0.163 and later), else the official ASGI instrumentation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from otelkit.instrument._http import asgi, native
from otelkit.instrument._http.rules import FOLLOWS
from otelkit.instrument._library import Library

if TYPE_CHECKING:
    from otelkit.settings import Settings

__all__ = ["LIBRARY", "instrument_app"]


def _turn_on(settings: Settings) -> Callable[[], object]:
    from otelkit.instrument._http.server import instrument_all

    return instrument_all("fastapi", settings)


LIBRARY = Library(
    name="fastapi",
    modules=("fastapi",) if native.is_there() else ("fastapi", asgi.PACKAGE),
    pip="'otelkit[fastapi]'",
    turn_on=_turn_on,
    follows=FOLLOWS,
)


def instrument_app(
    app: Any,
    *,
    excluded_paths: Sequence[str] | None = None,
    request_headers: Sequence[str] | None = None,
    response_headers: Sequence[str] | None = None,
    operation_spans: bool | None = None,
) -> Callable[[], None]:
    """Instrument one application; see `otelkit.instrument.fastapi`."""
    from otelkit.instrument._http.server import instrument_one, kind_of

    if kind_of(app) is None:
        raise TypeError(
            f"otelkit.instrument.fastapi was given a {type(app).__name__}, which is no FastAPI or Starlette "
            "application. Give the application itself, or wrap any other: app = otelkit.instrument.asgi(app)."
        )
    given = {
        "http_excluded_paths": excluded_paths,
        "http_request_headers": request_headers,
        "http_response_headers": response_headers,
        "http_operation_spans": operation_spans,
    }
    return instrument_one(app, {name: value for name, value in given.items() if value is not None})
