"""The process's OpenTelemetry metrics as a Prometheus page.

`otelkit.init` keeps the page current; show it with one of these::

    app.mount("/metrics", otelkit.prometheus.asgi_app())    # in an ASGI application
    otelkit.prometheus.serve(port=9464)                     # on a port of its own
    body, content_type = otelkit.prometheus.render(accept)  # in any other framework

The page is a bridge from the OpenTelemetry meters, through the official exporter: names, units and
escaping as the compatibility specification says, always cumulative, always explicit buckets. The
metrics that the application keeps in prometheus_client appear on the same page.
"""

from __future__ import annotations

from otelkit.prometheus._asgi import asgi_app
from otelkit.prometheus._current import Handle, activate, current, render
from otelkit.prometheus._page import Page
from otelkit.prometheus._server import Server, serve

__all__ = ["Handle", "Page", "Server", "activate", "asgi_app", "current", "render", "serve"]
