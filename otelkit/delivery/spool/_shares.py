"""Dividing parcels among files."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from otelkit.delivery.parcel import Parcel
from otelkit.delivery.spool._format import FILE_HEADER, RECORD_HEADER

__all__ = ["shares", "size_of"]


def size_of(parcels: Sequence[Parcel]) -> int:
    """How many bytes the records of ``parcels`` take."""
    return sum(RECORD_HEADER + len(parcel.body) for parcel in parcels)


def shares(parcels: Sequence[Parcel], *, max_bytes: int) -> Iterator[list[Parcel]]:
    """Parcels that go into one file: of one signal, in their order, and not larger than a file."""
    for signal in dict.fromkeys(parcel.signal for parcel in parcels):
        share: list[Parcel] = []
        size = FILE_HEADER
        for parcel in parcels:
            if parcel.signal != signal:
                continue
            more = size_of((parcel,))
            if share and size + more > max_bytes:
                yield share
                share, size = [], FILE_HEADER
            share.append(parcel)
            size += more
        yield share
