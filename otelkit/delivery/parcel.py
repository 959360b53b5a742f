"""What travels: encoded items of one signal, ready for the wire."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Parcel"]


@dataclass(frozen=True, slots=True)
class Parcel:
    """One OTLP export request as bytes.

    Its body is a repeated field: the bodies of several parcels of one signal, concatenated, are a
    request too (Protocol Buffers encoding, "Last one wins" and repeated fields).

    Attributes:
        signal: ``traces``, ``logs`` or ``metrics``.
        items: How many spans, log records or metric points are in it.
        body: The serialised ``Export…ServiceRequest``, not compressed.
        time_ns: When it was made, in nanoseconds since the epoch.
    """

    signal: str
    items: int
    body: bytes
    time_ns: int
