"""Which libraries there are: one file of this folder each, and every other official instrumentation."""

from __future__ import annotations

from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from otelkit import _guard
from otelkit.instrument._library import Library
from otelkit.instrument._official import official

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["FILES", "chosen", "library", "missing"]

FILES = (
    "aiohttp_client",
    "asyncpg",
    "celery",
    "fastapi",
    "httpx",
    "psycopg",
    "redis",
    "requests",
    "sqlalchemy",
    "starlette",
)
"""The libraries with a file of their own, by its name without the underscore."""

_GROUP = "opentelemetry_instrumentor"


def chosen(instrument: bool | str | Sequence[str]) -> list[Library]:
    """The libraries that a setting means, without those that cannot be instrumented.

    Args:
        instrument: True or ``"auto"`` for all with a file here that are installed with what their
            instrumentation needs; False for none; or names.
    """
    if instrument is False:
        return []
    if isinstance(instrument, (bool, str)):
        ours = [_file(name) for name in FILES]
        return [one for one in ours if one is not None and not one.missing]
    named = [library(name) for name in instrument]
    return [one for one in named if one is not None and not one.missing]


def missing(instrument: bool | str | Sequence[str]) -> list[str]:
    """A line for each library that a setting names and that cannot be instrumented."""
    names = () if isinstance(instrument, (bool, str)) else instrument
    return [line for name in names if (line := _missing(name, library(name))) is not None]


def library(name: str) -> Library | None:
    """The library of that name, in any case, with ``-`` or ``_``; None where there is none."""
    ours = _file(_key(name))
    if ours is not None:
        return ours
    for entry in _entries():
        if _key(entry.name) == _key(name):
            return Library(
                name=name,
                modules=(),
                pip=f"opentelemetry-instrumentation-{name}",
                turn_on=official(entry.value),
                follows=(),
            )
    return None


def _file(key: str) -> Library | None:
    if key not in FILES:
        return None
    try:
        found: Library = import_module(f"otelkit.instrument._{key}").LIBRARY
    except Exception:
        _guard.swallowed("instrument.library")
        return None
    return found


def _missing(name: str, found: Library | None) -> str | None:
    if found is None:
        others = {entry.name for entry in _entries()} - {one.replace("_", "-") for one in FILES}
        known = sorted({*(one.replace("_", "-") for one in FILES), *others})
        plain = name.strip().lower()
        close = get_close_matches(plain, known, n=1)
        package = f"opentelemetry-instrumentation-{plain.replace('_', '-')}"
        advice = (
            f"did you mean {close[0]!r}?"
            if close
            else f"there are: {', '.join(known)}. Correct the name, or install the official instrumentation "
            f"of the library, if there is one: pip install {package}"
        )
        return f"instrument={name!r}: no instrumentation of that name is installed; {advice}"
    absent = found.missing
    if not absent:
        return None
    return (
        f"instrument={name!r} needs {' and '.join(absent)}, which {'is' if len(absent) == 1 else 'are'} not "
        f"installed. Run: pip install {found.pip}"
    )


def _entries() -> Any:
    return entry_points(group=_GROUP)


def _key(name: str) -> str:
    return name.strip().lower().replace("-", "_")
