"""What every encoder gives back."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Encoded"]


@dataclass(frozen=True, slots=True)
class Encoded:
    """One export request as bytes.

    Attributes:
        body: A serialised ``Export{Trace,Logs,Metrics}ServiceRequest``; empty when there is nothing.
        items: How many spans, log records or data points are in ``body``.
        failed: How many could not be encoded. A span or a log record leaves a stub, which is in
            ``body`` and counted in ``items``. A data point leaves nothing: it is neither in
            ``body`` nor in ``items``.
    """

    body: bytes
    items: int
    failed: int = 0
