import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from spooling import drain, files, numbered, parcel

from otelkit._clock import FakeClock
from otelkit.delivery.spool import Damage, Spool
from otelkit.delivery.spool._format import FILE_HEADER, RECORD_HEADER

RECORD = RECORD_HEADER + 100


def wound(folder, at, data=None):
    path = folder / files(folder)[0]
    with path.open("r+b") as file:
        file.seek(at)
        old = file.read(1)
        file.seek(at)
        file.write(bytes([old[0] ^ 16]) if data is None else data)


@pytest.mark.parametrize("at", [0, 4, 9, 30, 31, 32, 80, 131])
def test_damage_of_an_own_record_costs_that_record(spool, folder, at):
    """Wherever a record of this process is hit, it alone is lost, and its items are known."""
    spool.append([parcel(number, items=number) for number in (1, 2, 3)])
    wound(folder, FILE_HEADER + RECORD + at)

    assert [1, 3] == numbered(drain(spool))
    assert Damage(2, RECORD) == spool.damage()["traces"]
    assert (0, 0) == spool.held()["traces"]


def test_record_in_the_place_of_another_is_damage(spool, folder):
    """A whole record where another one was written is not given as that one: the sums would be wrong."""
    spool.append([parcel(number, items=number) for number in (1, 2, 3)])
    path = folder / files(folder)[0]
    second = path.read_bytes()[FILE_HEADER + RECORD :][:RECORD]
    wound(folder, FILE_HEADER, second)

    assert [2, 3] == numbered(drain(spool))
    assert Damage(1, RECORD) == spool.damage()["traces"]


def test_truncated_own_file_is_counted(spool, folder):
    """When somebody empties our file, all that was in it is damaged; later records are stored."""
    spool.append([parcel(number, items=2) for number in range(5)])
    (folder / files(folder)[0]).write_bytes(b"")
    spool.append([parcel(6)])

    assert [6] == numbered(drain(spool))
    assert 10 == spool.damage()["traces"].items


@pytest.mark.parametrize("at, known", [(5, 0), (RECORD_HEADER + 5, 2)])
def test_damage_in_an_adopted_file(spool_in, folder, at, known):
    """The items of a broken body are adopted and damaged; without a header only bytes are known."""
    left = spool_in(folder)
    left.append([parcel(number, items=number) for number in (1, 2, 3)])
    left.close()
    wound(folder, FILE_HEADER + RECORD + at)
    spool = spool_in(folder)

    assert {"traces": 4 + known} == spool.adopt()
    assert Damage(known, RECORD) == spool.damage()["traces"]
    assert [1, 3] == numbered(drain(spool))
    assert [] == files(folder)


@pytest.mark.parametrize("cut", [1, 100, 101, 131])
def test_torn_tail_costs_the_last_record(spool_in, folder, cut):
    """A process that died while it was writing costs what it was writing."""
    left = spool_in(folder)
    left.append([parcel(1), parcel(2, items=9)])
    left.close()
    path = folder / files(folder)[0]
    path.write_bytes(path.read_bytes()[:-cut])
    spool = spool_in(folder)
    known = 9 if cut <= 100 else 0

    assert {"traces": 1 + known} == spool.adopt()
    assert Damage(known, RECORD - cut) == spool.damage()["traces"]
    assert [1] == numbered(drain(spool))


def test_torn_cursor_gives_the_last_batch_again(spool_in, folder):
    """A crash while the cursor is written means that one batch is sent twice, and nothing is lost."""
    left = spool_in(folder)
    left.append([parcel(number) for number in range(4)])
    for _ in range(2):
        left.settle(left.read("traces", backlog=False, max_bytes=1))
    left.close()
    wound(folder, 16 + 8)  # the second position

    spool = spool_in(folder)
    assert {"traces": 3} == spool.adopt()
    assert [1, 2, 3] == numbered(drain(spool))


WOUNDS = st.lists(st.tuples(st.integers(0, 3000), st.binary(min_size=1, max_size=300)), max_size=4)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 400), min_size=1, max_size=8), WOUNDS, st.booleans())
def test_whole_records_are_delivered_whatever_the_file_holds(sizes, wounds, adopted):
    """Own or adopted, every record that is whole is given exactly once, and the books add up."""
    parcels = [parcel(number, items=number, size=size) for number, size in enumerate(sizes, 1)]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        spool = Spool(folder=folder, identities={"traces": "me"})
        spool.append(parcels)
        path = folder / files(folder)[0]
        offsets = [FILE_HEADER + sum(sizes[:n]) + n * RECORD_HEADER for n in range(len(sizes))]
        before = path.read_bytes()
        for at, data in wounds:
            wound(folder, at, data)
        after = path.read_bytes()
        whole = [
            item
            for item, at in zip(parcels, offsets)
            if after[at : at + RECORD_HEADER + len(item.body)]
            == before[at : at + RECORD_HEADER + len(item.body)]
        ]
        if adopted:
            spool.close()
            spool = Spool(folder=folder, identities={"traces": "me"})
            spool.adopt()

        assert whole == drain(spool)
        tally = spool.tallies()["traces"]
        assert tally.appended + tally.adopted == tally.settled + tally.damaged
        assert adopted or tally.appended == sum(item.items for item in parcels)
        assert (0, 0) == (tally.held, tally.held_bytes)
        spool.close()


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("append"), st.integers(0, 900)),
        st.tuples(st.just("settle"), st.integers(1, 2000)),
        st.tuples(st.just("wound"), st.integers(0, 2000)),
        st.tuples(st.just("restart"), st.booleans()),
        st.tuples(st.just("enforce"), st.integers(0, 30)),
        st.tuples(st.just("adopt"), st.none()),
        st.tuples(st.just("lose"), st.integers(0, 3)),
    ),
    max_size=40,
)


class Life:
    """Does steps with a spool and the siblings that were killed on the way."""

    def __init__(self, folder):
        self.folder = folder
        self.clock = FakeClock()
        self.spool = self.make()
        self.number = 0
        self.evicted = 0

    def make(self):
        return Spool(
            folder=self.folder,
            identities={"traces": "me"},
            max_bytes=6000,
            max_file_bytes=800,
            max_age_s=60,
            clock=self.clock,
        )

    def append(self, size):
        self.number += 1
        evicted = self.spool.append([parcel(self.number, items=self.number % 7, size=size)])
        self.evicted += sum(own + others for own, others in evicted.values())

    def settle(self, max_bytes):
        for backlog in (True, False):
            batch = self.spool.read("traces", backlog=backlog, max_bytes=max_bytes)
            if batch is not None:
                assert self.spool.settle(batch) == batch.items

    def wound(self, at):
        for path in list(self.folder.iterdir())[:1]:
            if at < path.stat().st_size:
                with path.open("r+b") as file:
                    file.seek(at)
                    file.write(b"\xf5\xd7\x0b\xa6" * 9)

    def restart(self, killed):
        if killed:
            self.spool._shelf.abandon()
        else:
            self.spool.close()
        self.spool = self.make()
        self.evicted = 0

    def enforce(self, seconds):
        self.clock.advance(seconds)
        self.evicted += sum(own + others for own, others in self.spool.enforce().values())

    def adopt(self, _):
        self.spool.adopt()

    def lose(self, number):
        """The application closes a descriptor, of the folder or of a file, or all of them."""
        shelf = self.spool._shelf
        handles = [shelf._folder._handle] if shelf._folder else []
        handles += [file.handle for file in shelf.files]
        for handle in handles[number : number + 1] or handles:
            if handle.held:
                os.close(handle.unasked)

    def check(self):
        tally = self.spool.tallies()["traces"]
        held = self.spool._shelf.files
        assert tally.held == sum(file.index.items for file in held)
        assert tally.held_bytes == sum(file.index.bytes for file in held)
        assert tally.evicted == self.evicted
        assert self.spool._shelf.bytes <= 6000 or tally.adopted


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_books_add_up_after_every_step(steps):
    """Whatever the order of appends, settlements, damage, deaths and caps: held is what is held."""
    with tempfile.TemporaryDirectory() as place:
        life = Life(Path(place))
        for step, how in steps:
            getattr(life, step)(how)
            life.check()
        life.spool.adopt()
        drain(life.spool)
        life.check()
        assert 0 == life.spool.held()["traces"].items
        life.spool.close()
        assert [] == files(life.folder)
