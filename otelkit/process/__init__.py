"""How the process itself fares: CPU, memory, threads, garbage collection, and its event loops.

`otelkit.init` turns it on unless ``process_metrics`` is off. The metrics of the process come from the
official system-metrics instrumentation (``pip install 'otelkit[process]'``; without it there are
none), those of the event loops from here. Of the machine nothing is measured.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from otelkit import _guard
from otelkit.process import _loop, _official
from otelkit.process._loop import watch_loop

if TYPE_CHECKING:
    from otelkit.settings import Settings

__all__ = ["install", "watch_loop"]

_owner: object | None = None


def install(settings: Settings) -> Callable[[], None]:
    """Measure the process, by the settings, until what is returned is called.

    Args:
        settings: ``process_metrics`` turns all of it off.

    Returns:
        What ends the measuring; nothing where a later `install` has taken over.
    """
    global _owner
    owner = _owner = object()
    wanted = settings.process_metrics and not settings.sdk_disabled
    _turn(on=wanted)

    def undo() -> None:
        global _owner
        if _owner is owner:
            _owner = None
            _turn(on=False)

    return undo


def _turn(*, on: bool) -> None:
    for part in (_official, _loop):
        with _guard.guard("process.turn"):
            part.turn(on=on)
