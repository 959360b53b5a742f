"""Encoded telemetry on disk, until it has been delivered: bounded, checksummed, for its owner only.

The format and the rules of ownership are described in docs/spool.md.
"""

from __future__ import annotations

from otelkit.delivery.spool._spool import Spool
from otelkit.delivery.spool._words import Batch, Damage, Evicted, Held, SpoolError, Tally

__all__ = ["Batch", "Damage", "Evicted", "Held", "Spool", "SpoolError", "Tally"]
