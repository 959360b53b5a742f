"""How old spool files are, whatever becomes of the wall clock meanwhile."""

from __future__ import annotations

from collections.abc import Collection

from otelkit._clock import Clock
from otelkit.delivery.spool._name import Name

__all__ = ["Ages"]


class Ages:
    """Remembers when each file was first seen, and how old its name said it was then.

    From then on it ages by the monotonic clock: a board that boots in 1970 and learns the date an
    hour later has no file that is older than an hour.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._first: dict[Name, int] = {}

    def of(self, name: Name) -> int:
        """The age of a file in nanoseconds; the first time, what its name and the wall clock say."""
        now = round(self._clock.monotonic() * 1e9)
        began = self._first.get(name)
        if began is None:
            began = self._first[name] = now - max(0, self._clock.time_ns() - name.created_ns)
        return now - began

    def keep(self, names: Collection[Name]) -> None:
        """Forget all files but these."""
        self._first = {name: began for name, began in self._first.items() if name in names}
