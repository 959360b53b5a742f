"""Requests to an application in this process, and what was told of them."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager

import httpx

from otelkit import instrument
from otelkit.settings import Settings
from otelkit.testing import capture

SERVERS = ("fastapi", "starlette")


def ask(app, *paths, headers=None, root_path=""):
    """The status of the answer to a GET of each path, one after the other."""

    async def run():
        transport = httpx.ASGITransport(app, raise_app_exceptions=False, root_path=root_path)
        async with httpx.AsyncClient(transport=transport, base_url="http://shop:80") as client:
            return [(await client.get(path, headers=headers)).status_code for path in paths]

    return asyncio.run(run())


@contextmanager
def instrumented(*names, **settings):
    """Telemetry of a process in which these libraries (default: both servers) are instrumented."""
    chosen = Settings(service_name="test", instrument=names or SERVERS, **settings)
    with capture(settings=chosen) as telemetry:
        undo = instrument.install(chosen)
        try:
            yield telemetry
        finally:
            undo()


def served(telemetry):
    """The names of the server spans."""
    return [span.name for span in telemetry.spans if span.kind == "SERVER"]


def counted(telemetry):
    """How many requests the HTTP metrics saw, by route."""
    try:
        metric = telemetry.metric("http.server.request.duration")
    except LookupError:
        return {}
    counts = {}
    for point in metric.points:
        route = point.attributes.get("http.route")
        counts[route] = counts.get(route, 0) + point.count
    return counts
