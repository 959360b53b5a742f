"""The template of the route that a request will take: ``/items/{id}``, never ``/items/17``.

Looked up before the request runs, as samplers and the official instrumentation's metrics see only
what a span has at its start. FastAPI's own telemetry does not need this.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import Any

from otelkit import _guard

__all__ = ["span_details"]

_FULL, _PARTIAL = 2, 1  # the values of starlette.routing.Match
_METHODS = frozenset(
    ("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "QUERY", "TRACE")
)
_MAX_DEPTH = 8


def span_details(scope: Mapping[str, Any], app: object) -> tuple[str, dict[str, str]]:
    """The name of a request's span, and its route as an attribute.

    Args:
        scope: The ASGI scope.
        app: The application; its ``routes`` are looked at where it has them.

    Returns:
        Method and template, the method alone where no route is known.

    Source: semantic conventions, "HTTP server spans", "Name".
    """
    method = "WS" if scope["type"] == "websocket" else scope.get("method", "")
    if scope["type"] == "http" and method not in _METHODS:
        method = "HTTP"
    template = None
    with _guard.guard("instrument.route"):  # `matches` is the application's own code
        template = _template(getattr(app, "routes", None) or (), dict(scope), _MAX_DEPTH)
    if template is None:
        return method, {}
    template = scope.get("app_root_path", scope.get("root_path", "")).rstrip("/") + template
    return f"{method} {template}", {"http.route": template}


def _template(routes: Iterable[Any], scope: Mapping[str, Any], depth: int) -> str | None:
    partial = None
    for route in _flat(routes):
        match, child_scope = route.matches(scope)
        if match.value == _FULL:
            return _full(route, {**scope, **child_scope}, depth)
        if match.value == _PARTIAL and partial is None:
            partial = _path_of(route)
    return partial


def _full(route: Any, scope: Mapping[str, Any], depth: int) -> str | None:
    mount = getattr(route, "original_route", route)  # FastAPI wraps the routes that it flattens
    if hasattr(mount, "endpoint") or not hasattr(mount, "app"):
        return _path_of(route)
    inner = getattr(mount.app, "routes", None)
    found = _template(inner, scope, depth - 1) if inner and depth else None
    prefix = getattr(mount, "path", "")
    return prefix + (found or "/{path}") if prefix or found else None


def _path_of(route: Any) -> str | None:
    path: str | None = getattr(route, "path_format", None) or getattr(route, "path", None)
    return path


def _flat(routes: Iterable[Any]) -> Iterable[Any]:
    """The routes themselves, where FastAPI (0.137 and later) nests those of an included router."""
    routing = sys.modules.get("fastapi.routing")
    flatten = getattr(routing, "iter_route_contexts", None)
    return routes if flatten is None else flatten(routes)
