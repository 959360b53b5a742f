import pytest
from spooling import JumpingClock, drain, files, numbered, parcel

from otelkit.delivery.spool import Evicted

DAY = 86_400
HALF_A_CENTURY = 50 * 365 * DAY


@pytest.fixture
def clock():
    return JumpingClock(start_ns=5 * 10**9)  # a board without a battery starts in 1970


def left_behind(spool_in, folder, *parcels, identity="me"):
    other = spool_in(folder, identity=identity)
    other.append(parcels)
    other.close()


@pytest.mark.parametrize("jump_s", [2 * DAY, HALF_A_CENTURY])
def test_own_data_is_not_older_when_the_clock_is_set(spool_in, folder, clock, jump_s):
    """A clock that is put forward evicts nothing that this process has just written."""
    spool = spool_in(folder)
    spool.append([parcel(1)])
    clock.jumped_s = jump_s

    assert {} == spool.enforce()
    spool.append([parcel(2)])
    assert ({}, 1) == (spool.enforce(), len(files(folder)))
    assert [1, 2] == numbered(drain(spool))


def test_data_of_the_dead_is_not_older_when_the_clock_is_set(spool_in, folder, clock):
    """Neither is what was adopted, nor what waits in the folder for another, if we saw it before."""
    left_behind(spool_in, folder, parcel(1))
    left_behind(spool_in, folder, parcel(2), identity="other")
    spool = spool_in(folder)
    assert ({"traces": 1}, {}) == (spool.adopt(), spool.enforce())
    clock.jumped_s = HALF_A_CENTURY

    assert {} == spool.enforce()
    assert {"traces": 1} == spool_in(folder, identity="other").adopt()


@pytest.mark.parametrize("jump_s", [-2 * DAY, 0, 2 * DAY])
def test_data_gets_old_whatever_the_clock_says(spool_in, folder, clock, jump_s):
    """After the greatest age by the monotonic clock everything goes, whichever way the other was set."""
    clock.advance(10 * DAY)
    left_behind(spool_in, folder, parcel(1), identity="other")
    spool = spool_in(folder)
    spool.append([parcel(2)])
    assert {} == spool.enforce()
    clock.jumped_s = jump_s
    clock.advance(DAY - 60)
    assert {} == spool.enforce()
    clock.advance(60)

    assert {"traces": Evicted(own=1, others=1)} == spool.enforce()


def test_age_of_what_was_left_counts_from_its_name(spool_in, folder, clock):
    """What a process finds is as old as its name says, and gets older from there."""
    left_behind(spool_in, folder, parcel(1))
    clock.advance(DAY - 60)
    spool = spool_in(folder)
    assert ({"traces": 1}, {}) == (spool.adopt(), spool.enforce())
    clock.jumped_s = -2 * DAY
    clock.advance(61)

    assert {"traces": Evicted(own=1)} == spool.enforce()


def test_file_from_the_future_is_new(spool_in, folder, clock):
    """A file whose maker's clock was ahead of ours is no older than our first look at it."""
    clock.jumped_s = 5 * DAY
    left_behind(spool_in, folder, parcel(1))
    clock.jumped_s = 0
    spool = spool_in(folder)
    assert ({"traces": 1}, {}) == (spool.adopt(), spool.enforce())
    clock.advance(DAY + 1)

    assert {"traces": Evicted(own=1)} == spool.enforce()


def test_old_files_go_though_older_names_stay(spool_in, folder, clock):
    """A file that is too old goes, also when one of an older name is not: names are no ages."""
    spool = spool_in(folder)
    spool.append([parcel(1)])
    clock.jumped_s = HALF_A_CENTURY
    left_behind(spool_in, folder, parcel(2), identity="other")
    clock.jumped_s += 2 * DAY

    assert {"traces": Evicted(others=1)} == spool.enforce()
    assert [1] == numbered(drain(spool))


def test_ages_of_files_that_are_gone_are_forgotten(spool_in, folder):
    """What is remembered of files does not grow for ever."""
    spool = spool_in(folder, max_file_bytes=200)
    for number in range(10):
        spool.append([parcel(number)])
    drain(spool)
    spool.enforce()

    assert 1 >= len(spool._ages._first)
