"""The stable semantic conventions, for every official instrumentation of the process.

The instrumentations read ``OTEL_SEMCONV_STABILITY_OPT_IN`` once, when the first of them is turned
on; without it HTTP durations are milliseconds under names of 2021.
"""

from __future__ import annotations

import os
import threading

from otelkit import _guard
from otelkit._otel import instrumentations

__all__ = ["VARIABLE", "stable_conventions"]

VARIABLE = "OTEL_SEMCONV_STABILITY_OPT_IN"
_WANTED = "http,database"

_lock = threading.Lock()


def stable_conventions() -> None:
    """See to it that the instrumentations follow the stable conventions.

    A variable that the user has set decides. If one was turned on before otelkit without it, the
    old conventions are in force for the whole process, and one line says so.
    """
    in_force = instrumentations.conventions_in_force()
    given = os.environ.get(VARIABLE)
    if in_force is not None:
        old = [signal for signal, mode in in_force.items() if mode == "default"]
        if old and not given:
            _guard.say(
                f"an OpenTelemetry instrumentation was turned on before otelkit, so the old conventions for "
                f"{' and '.join(old)} are in force in this process (durations in milliseconds, http.method). "
                f"Call otelkit.init first, or set {VARIABLE}={_WANTED}.",
                key="instrument.conventions",
            )
        return
    if given:
        instrumentations.read_conventions()
        return
    # Restored at once: child processes must not inherit a choice that the user has not made.
    with _lock:
        os.environ[VARIABLE] = _WANTED
        try:
            instrumentations.read_conventions()
        finally:
            if given is None:
                del os.environ[VARIABLE]
            else:
                os.environ[VARIABLE] = given


def _after_fork_in_child() -> None:
    global _lock
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
