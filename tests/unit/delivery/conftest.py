"""Rooms for the tests of delivery; at the end of each its books must add up, and did at every step."""

import time

import pytest
from rooms import Reception, Time, Watched, negative

from otelkit.delivery import sender as sender_room
from otelkit.delivery.spool import Spool


@pytest.fixture
def books():
    """Makes the ledgers of some signals."""
    made = []

    def make(*signals):
        ledgers = {signal: Watched() for signal in signals}
        made.extend(ledgers.values())
        return ledgers

    yield make
    for ledger in made:
        assert [] == ledger.unbalanced
        assert [] == negative(ledger.snapshot(queued=0))


@pytest.fixture
def disk(tmp_path):
    """Makes spools of one identity."""
    spools = []

    def make(name="spool", signals=("traces", "logs", "metrics"), **settings):
        identities = dict.fromkeys(signals, "me")
        spool = Spool(folder=tmp_path / name, identities=identities, **settings)
        spools.append(spool)
        return spool

    yield make
    for spool in spools:
        spool.close()


@pytest.fixture
def clock(monkeypatch):
    """The sender's clock."""
    clock = Time()
    monkeypatch.setattr(sender_room, "SYSTEM_CLOCK", clock)
    return clock


@pytest.fixture
def reception(books):
    """Makes receptions, and ends them."""
    made = []

    def make(*signals, **options):
        reception = Reception(books("traces", "logs", "metrics"), signals or ("traces",), **options)
        made.append(reception)
        return reception

    yield make
    for reception in made:
        for transport in reception.transports.values():
            transport.open.set()
        reception.sender.close(deadline=time.monotonic() + 5)
        reception.depot.close()
