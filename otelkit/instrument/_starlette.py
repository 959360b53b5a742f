"""Plain Starlette applications, by the official ASGI instrumentation."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from otelkit.instrument._http import asgi
from otelkit.instrument._http.rules import FOLLOWS
from otelkit.instrument._library import Library

if TYPE_CHECKING:
    from otelkit.settings import Settings

__all__ = ["LIBRARY"]


def _turn_on(settings: Settings) -> Callable[[], object]:
    from otelkit.instrument._http.server import instrument_all

    return instrument_all("starlette", settings)


LIBRARY = Library(
    name="starlette",
    modules=("starlette.applications", asgi.PACKAGE),
    pip="starlette opentelemetry-instrumentation-asgi",
    turn_on=_turn_on,
    follows=FOLLOWS,
)
