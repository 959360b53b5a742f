"""Lines stay short where records may be long.

A line is written in the caller's thread, and what reads stdout cuts it (a container's log driver at
16 KiB): ``log_attribute_length`` is about the record, and a line has at most what it has by default.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from otelkit.logs.failure import cut_failure
from otelkit.processors.limits import MAX_LENGTH, cut

if TYPE_CHECKING:
    from collections.abc import Callable

    from otelkit.logs.event import Event

__all__ = ["short"]


def short(render: Callable[[Event], str]) -> Callable[[Event], str]:
    """``render`` for events with long texts: it gets 32,768 characters of each one.

    Args:
        render: Makes a line of an event.
    """

    def shortened(event: Event) -> str:
        return render(
            replace(
                event,
                body=event.body[:MAX_LENGTH],
                fields={name: cut(value) for name, value in event.fields.items()},
                failure=None if event.failure is None else cut_failure(event.failure),
            )
        )

    return shortened
