"""The collector under test: a process of its own, so that it takes nothing from who is tested.

It is told what to do by lines of JSON on stdin and answers each by a line on stdout; the end of
stdin is its end. `collector.Collector` is the other side.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from dataclasses import dataclass
from typing import Any

from behaviours import OK, Behaviour
from grpc_door import GrpcDoor
from http_door import HttpDoor
from ledger import Ledger
from parcels import Parcel

__all__ = ["Hub"]

_SETTLE_S = 0.01


@dataclass(frozen=True, slots=True)
class Treated:
    """How one request is treated; ``release`` is set when the behaviour changes."""

    behaviour: Behaviour
    release: threading.Event


class Hub:
    """What the doors share: the behaviour of the moment and the books."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.closing = threading.Event()
        self.http = HttpDoor(self)
        self.grpc = GrpcDoor(self)
        self._lock = threading.Lock()
        self._behaviour = OK
        self._left = 0
        self._release = threading.Event()

    def treat(self, signal: str) -> Treated:
        """How a request of this signal is treated; uses up one of the behaviour's times."""
        with self._lock:
            behaviour = self._behaviour
            if behaviour.signals and signal not in behaviour.signals:
                return Treated(OK, self._release)
            if behaviour.times:
                if not self._left:
                    return Treated(OK, self._release)
                self._left -= 1
            return Treated(behaviour, self._release)

    def store(self, noted: dict[str, Any], parcel: Parcel, *, rejected: int = 0) -> None:
        """Keep the items of a request."""
        self.ledger.store(noted, parcel, rejected=rejected, at_s=time.monotonic())

    def behave(self, behaviour: Behaviour) -> None:
        """Change the behaviour; requests that hang are let go without an answer."""
        with self._lock:
            self._behaviour, self._left = behaviour, behaviour.times
            waiting, self._release = self._release, threading.Event()
        waiting.set()
        self.http.apply(behaviour.kind)
        self.grpc.apply(behaviour.kind)

    def obey(self, told: dict[str, Any]) -> Any:
        """Do what one line says and return what is answered."""
        what = told.pop("do")
        if what == "behave":
            told["signals"] = tuple(told["signals"])
            return self.behave(Behaviour(**told))
        if what == "ports":
            return {"http": self.http.port, "grpc": self.grpc.port}
        if what == "open grpc":
            return self.grpc.open(self._behaviour.kind)
        if what == "summary":
            return self._summary(**told)
        if what == "requests":
            return self.ledger.requests()
        if what == "missing":
            return self.ledger.missing(**told)
        return self.ledger.forget()

    def _summary(self, *, after: int, within_s: float) -> dict[str, Any]:
        ledger = self.ledger
        with ledger.changed:
            if ledger.changed.wait_for(lambda: ledger.version != after, within_s):
                # A burst of requests is told at once and not one by one.
                ledger.changed.wait(_SETTLE_S)
        return ledger.summary()


def main() -> None:
    """Serve until stdin ends."""
    hub = Hub()
    hub.behave(OK)
    for line in sys.stdin:
        sys.stdout.write(json.dumps(hub.obey(json.loads(line))) + "\n")
        sys.stdout.flush()
    hub.closing.set()
    os._exit(0)


if __name__ == "__main__":
    main()
