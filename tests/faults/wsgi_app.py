"""A WSGI service under test: ``/<n>`` makes one span, one log record and one count.

``FAULTS_HOOKS`` leaves `init` to the hooks of gunicorn_hooks.py.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

import otelkit

if not os.environ.get("FAULTS_HOOKS"):
    otelkit.init(service_name="faults", console=False, log_format="json")
MADE = otelkit.get_meter("app").create_counter("app.made")


def application(environ: dict[str, Any], start_response: Callable[..., object]) -> Iterable[bytes]:
    """Answers with the process id of the worker."""
    n = int(environ["PATH_INFO"].strip("/"))
    with otelkit.span("work", {"n": n, "run": "wsgi"}):
        otelkit.get_logger("app").info("line", n=n, run="wsgi")
        MADE.add(1)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(os.getpid()).encode()]
