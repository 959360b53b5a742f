"""Which settings run now; for what asks without having a runtime at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otelkit.settings._settings import Settings

__all__ = ["running", "set_running"]

_running: Settings | None = None


def running() -> Settings | None:
    """The settings that run now, if any."""
    return _running


def set_running(settings: Settings | None) -> Settings | None:
    """Say which settings run now; `describe` shows them. Returns those that ran before."""
    global _running
    before, _running = _running, settings
    return before
