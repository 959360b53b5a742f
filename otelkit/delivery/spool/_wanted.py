"""Records that are to be read as one batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from otelkit.delivery.parcel import Parcel
from otelkit.delivery.spool._file import LockedFile
from otelkit.delivery.spool._handle import Handle
from otelkit.delivery.spool._index import Entry
from otelkit.delivery.spool._words import Slice

__all__ = ["Wanted", "read"]


class Wanted(NamedTuple):
    """Records of one file, by which descriptor they are read, and the number of the first."""

    file: LockedFile
    handle: Handle
    first: int
    entries: list[Entry]


def read(wanted: Sequence[Wanted]) -> tuple[list[Slice], list[Parcel]]:
    """Read up to the first record that cannot be read."""
    slices: list[Slice] = []
    parcels: list[Parcel] = []
    for file, _, first, entries in wanted:
        found = file.read(entries)
        if found:
            slices.append(Slice(file, first, len(found)))
            parcels += found
        if len(found) < len(entries):
            break
    return slices, parcels
