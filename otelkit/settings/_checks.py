"""Making the values of a `Settings` usable, each by itself and together."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from otelkit.settings._problems import complaint, refused, shown
from otelkit.settings._row import Row, Wrong

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from otelkit.settings._settings import Settings

__all__ = ["RATIO_SAMPLERS", "make_usable"]

RATIO_SAMPLERS = ("parentbased_traceidratio", "traceidratio")
"""The samplers that take a ratio, the default one first."""


def make_usable(settings: Settings, rows: Sequence[Row]) -> None:
    """Replace what cannot be used by defaults, while ``settings`` is made; add to its ``problems``."""
    lines: list[str] = []
    origins = dict(settings.origins)
    for row in rows:
        differs = _check(settings, row, lines)
        if differs and origins.get(row.name, "default") == "default":
            origins[row.name] = "argument"
        origins.setdefault(row.name, "default")
    object.__setattr__(settings, "origins", MappingProxyType(origins))
    _agree(settings, {row.name: row for row in rows}, lines)
    if lines:
        object.__setattr__(settings, "problems", (*settings.problems, *lines))


def _check(settings: Settings, row: Row, lines: list[str]) -> bool:
    """Make one value usable; whether it differs from the default."""
    value = getattr(settings, row.name)
    default = row.default()
    if value is default:
        return False
    good = default
    try:
        if value is not None:
            good = row.read(value, lambda text: lines.append(complaint(row, "argument", text)))
    except Wrong as wrong:
        lines.append(refused(row, value, "argument", wrong, f"{shown(row, default)} (default)"))
    if good is not value:
        object.__setattr__(settings, row.name, good)
    return bool(good != default)


def _agree(settings: Settings, rows: Mapping[str, Row], lines: list[str]) -> None:
    """Settle what depends on two settings."""
    for signal in ("span", "log"):
        size, limit = f"{signal}_batch_size", f"{signal}_queue_size"
        batch, queue = getattr(settings, size), getattr(settings, limit)
        if queue is not None and batch > queue:
            lines.append(
                refused(
                    rows[size],
                    batch,
                    settings.origins[size],
                    f"must not be more than {limit}={queue}",
                    str(queue),
                )
            )
            object.__setattr__(settings, size, queue)
    if settings.sampler not in RATIO_SAMPLERS:
        object.__setattr__(settings, "sample_ratio", None)
    for name in ("span_attribute_length", "log_attribute_length"):
        if settings.origins[name] == "default":
            object.__setattr__(settings, name, settings.max_attribute_length)
