"""What the spool's tests share: parcels, reading it empty, programs that hold a spool."""

from __future__ import annotations

import subprocess
import sys

from otelkit._clock import FakeClock
from otelkit.delivery.parcel import Parcel

__all__ = ["JumpingClock", "drain", "files", "numbered", "parcel", "program"]

_PRELUDE = """
import os, sys
from pathlib import Path
from otelkit.delivery.parcel import Parcel
from otelkit.delivery.spool import Spool, SpoolError
folder = Path(sys.argv[1])
def make(identity="me", **settings):
    return Spool(folder=folder, identities={"traces": identity, "logs": identity}, **settings)
def parcel(number, items=1, size=100):
    return Parcel("traces", items, bytes([number % 256]) * size, number)
def tell(text):
    print(text, flush=True)
def wait():
    return sys.stdin.readline()
"""


class JumpingClock(FakeClock):
    """A fake clock whose wall time can be set, as NTP does it; the monotonic one knows nothing of it."""

    jumped_s = 0.0

    def time_ns(self):
        return super().time_ns() + round(self.jumped_s * 1e9)


def parcel(number, *, items=1, size=100, signal="traces"):
    """A parcel that is known by its time."""
    return Parcel(signal, items, bytes([number % 256]) * size, number)


def numbered(parcels):
    return [parcel.time_ns for parcel in parcels]


def drain(spool, signal="traces", *, max_bytes=10**6):
    """Settle all that can be read, the backlog first."""
    found = []
    for backlog in (True, False):
        while batch := spool.read(signal, backlog=backlog, max_bytes=max_bytes):
            found += batch.parcels
            assert spool.settle(batch) == batch.items
    return found


def files(folder):
    return sorted(path.name for path in folder.iterdir())


def program(code, *arguments):
    """A Python program that has ``make``, ``parcel``, ``tell`` and ``wait``."""
    return subprocess.Popen(
        [sys.executable, "-c", _PRELUDE + code, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
