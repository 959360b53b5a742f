"""What goes in and out of the spool, as plain data."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from otelkit.delivery.parcel import Parcel
from otelkit.errors import OtelkitError

if TYPE_CHECKING:
    from otelkit.delivery.spool._file import LockedFile

__all__ = ["Batch", "Damage", "Evicted", "Held", "Slice", "SpoolError", "Tally"]


class SpoolError(OtelkitError):
    """Parcels could not be stored; the message says why and what helps.

    Attributes:
        parcels: Those that were not stored, in their order. The others were.
        evicted: What had to go for the others, by signal, as `Spool.append` returns it.
    """

    def __init__(
        self, message: str, *, parcels: Sequence[Parcel] = (), evicted: Mapping[str, Evicted] | None = None
    ) -> None:
        super().__init__(message)
        self.parcels = tuple(parcels)
        self.evicted: Mapping[str, Evicted] = evicted or {}


class Evicted(NamedTuple):
    """How many unsettled items of one signal a cap has cost."""

    own: int = 0
    """Items that this process held, appended or adopted."""
    others: int = 0
    """Items of dead processes that nobody had adopted yet; this process has never counted them."""


class Held(NamedTuple):
    """What waits in the spool, of one signal."""

    items: int = 0
    bytes: int = 0
    """Their records on disk, headers included."""


class Damage(NamedTuple):
    """What could not be read again, of one signal."""

    items: int = 0
    """Items known to be lost: they were held, or a whole header tells their number."""
    bytes: int = 0
    """Bytes that were no whole record."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """One signal's items in the spool, in one snapshot, since the process began.

    Always ``appended + adopted = settled + evicted + damaged + held``. Items of dead others that a
    cap has cost count as adopted and evicted.
    """

    appended: int = 0
    adopted: int = 0
    settled: int = 0
    evicted: int = 0
    damaged: int = 0
    held: int = 0
    held_bytes: int = 0
    damaged_bytes: int = 0


class Slice(NamedTuple):
    """Consecutive records of one file, from the ``first``-th of the file's index on."""

    file: LockedFile
    first: int
    records: int


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """The oldest unsettled parcels of one signal and lane; they stay in the spool until `settle`.

    Attributes:
        signal: ``traces``, ``logs`` or ``metrics``.
        parcels: At least one, the oldest first.
        backlog: Which lane they are of.
    """

    signal: str
    parcels: tuple[Parcel, ...]
    backlog: bool
    slices: tuple[Slice, ...] = field(repr=False)

    @property
    def items(self) -> int:
        """The items of all its parcels."""
        return sum(parcel.items for parcel in self.parcels)

    @property
    def gone(self) -> int:
        """The items whose records were settled, evicted or given up as unreadable after they were read."""
        gone = at = 0
        for file, first, records in self.slices:
            passed = min(records, max(0, file.index.first - first))
            gone += sum(parcel.items for parcel in self.parcels[at : at + passed])
            at += records
        return gone
