"""Plain Starlette applications, by the official ASGI instrumentation."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from otelkit.instrument import _asgi
from otelkit.instrument._library import Library
from otelkit.instrument._rules import FOLLOWS

if TYPE_CHECKING:
    from otelkit.settings import Settings

__all__ = ["LIBRARY"]


def _turn_on(settings: Settings) -> Callable[[], object]:
    from otelkit.instrument._http_server import instrument_all

    return instrument_all("starlette", settings)


LIBRARY = Library(
    name="starlette",
    modules=("starlette.applications", _asgi.PACKAGE),
    pip="starlette opentelemetry-instrumentation-asgi",
    turn_on=_turn_on,
    follows=FOLLOWS,
)
