"""Turns on the official instrumentations of installed libraries, and off again.

``"auto"`` instruments asyncpg and redis where library and instrumentation are installed. FastAPI
speaks OpenTelemetry itself from 0.163 on and needs nothing; doing both would double every span.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import entry_points
from importlib.util import find_spec
from typing import Any

from otelkit import _guard

__all__ = ["SUPPORTED", "install"]

SUPPORTED = ("asyncpg", "redis")
_GROUP = "opentelemetry_instrumentor"


def install(chosen: bool | str | Sequence[str]) -> Callable[[], None]:
    """Instrument the chosen libraries.

    Args:
        chosen: True or ``"auto"`` for all supported ones that are installed, or names of
            instrumentations (their ``opentelemetry_instrumentor`` entry points).

    Returns:
        What takes the instrumentation back.
    """
    if isinstance(chosen, (bool, str)):
        names = [name for name in SUPPORTED if find_spec(name) is not None and _entry(name) is not None]
    else:
        names = list(chosen)
    installed = [done for name in names if (done := _instrument(name)) is not None]

    def uninstall() -> None:
        for instrumentor in reversed(installed):
            with _guard.guard("instrument.uninstall"):
                instrumentor.uninstrument()

    return uninstall


def _entry(name: str) -> Any:
    return next(iter(entry_points(group=_GROUP, name=name)), None)


def _instrument(name: str) -> Any:
    """The instrumentor that was turned on; None where there is none or it already was on."""
    entry = _entry(name)
    if entry is None:
        _guard.say(
            f"instrument={name!r}: no instrumentation of that name is installed. "
            f"Run: pip install opentelemetry-instrumentation-{name}",
            key=f"instrument:{name}",
        )
        return None
    try:
        instrumentor = entry.load()()
        if getattr(instrumentor, "is_instrumented_by_opentelemetry", False):
            return None
        instrumentor.instrument()
    except Exception:
        _guard.say(
            f"instrument={name!r}: {_guard.current_error()}. The library is not instrumented.",
            key=f"instrument:{name}",
        )
        return None
    return instrumentor
