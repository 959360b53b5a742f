"""Turns on the official instrumentations of installed libraries, and off again.

``"auto"`` instruments asyncpg, redis and FastAPI where library and instrumentation are installed.
FastAPI speaks OpenTelemetry itself from 0.163 on and is left alone then: both would double every span.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import entry_points, version
from importlib.util import find_spec
from typing import Any

from otelkit import _guard

__all__ = ["SUPPORTED", "install", "missing"]

SUPPORTED = ("asyncpg", "fastapi", "redis")
_GROUP = "opentelemetry_instrumentor"
_FASTAPI_SPEAKS_ITSELF = (0, 163)


def install(chosen: bool | str | Sequence[str]) -> Callable[[], None]:
    """Instrument the chosen libraries.

    Args:
        chosen: True or ``"auto"`` for all supported ones that are installed, or names of
            instrumentations (their ``opentelemetry_instrumentor`` entry points).

    Returns:
        What takes the instrumentation back.
    """
    if isinstance(chosen, (bool, str)):
        names = [name for name in SUPPORTED if _is_wanted(name)]
    else:
        names = list(chosen)
    installed = [done for name in names if (done := _instrument(name)) is not None]

    def uninstall() -> None:
        for instrumentor in reversed(installed):
            with _guard.guard("instrument.uninstall"):
                instrumentor.uninstrument()

    return uninstall


def missing(chosen: bool | str | Sequence[str]) -> list[str]:
    """A line for each library named in ``chosen`` that has no installed instrumentation."""
    names = () if isinstance(chosen, (bool, str)) else chosen
    return [_missing(name) for name in names if _entry(name) is None]


def _missing(name: str) -> str:
    return (
        f"instrument={name!r}: no instrumentation of that name is installed; there are: {_known()}. "
        "Correct the name, or install its package: pip install opentelemetry-instrumentation-<library>"
    )


def _is_wanted(name: str) -> bool:
    if find_spec(name) is None or (name == "fastapi" and _version(name) >= _FASTAPI_SPEAKS_ITSELF):
        return False
    return _entry(name) is not None  # asked last, as it reads what every installed package says


def _version(name: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version(name).split(".")[:2] if part.isdigit())


def _entry(name: str) -> Any:
    return next(iter(entry_points(group=_GROUP, name=name)), None)


def _known() -> str:
    return ", ".join(sorted(entry.name for entry in entry_points(group=_GROUP))) or "none"


def _instrument(name: str) -> Any:
    """The instrumentor that was turned on; None where there is none or it already was on."""
    entry = _entry(name)
    if entry is None:
        _guard.say(_missing(name), key=f"instrument:{name}")
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
