import time

from otelkit import _clock
from otelkit._clock import SYSTEM_CLOCK, FakeClock


def test_fake_clock_moves_by_its_step():
    """Each reading of the wall time moves a fake clock by its step."""
    clock = FakeClock(start_ns=10, step_ns=5)

    assert [10, 15, 20] == [clock.time_ns() for _ in range(3)]


def test_fake_clock_advances_both_clocks():
    """`advance` moves wall and monotonic time alike."""
    clock = FakeClock(start_ns=0, step_ns=0)
    clock.advance(1.5)

    assert (1_500_000_000, 1.5) == (clock.time_ns(), clock.monotonic())


def test_system_clock_is_the_machines():
    """The system clock reads the machine's clocks."""
    assert SYSTEM_CLOCK.time_ns() > 1_700_000_000_000_000_000
    assert SYSTEM_CLOCK.monotonic() <= SYSTEM_CLOCK.monotonic()


def test_system_clock_goes_on_while_a_test_has_frozen_time(monkeypatch):
    """It cannot be replaced as freezegun does: in `time`, and wherever a module holds the function."""
    frozen = {id(time.monotonic): lambda: -1.0, id(time.time_ns): lambda: -1}
    for module in (time, _clock):
        for name, value in list(vars(module).items()):
            if id(value) in frozen:
                monkeypatch.setattr(module, name, frozen[id(value)])

    assert (-1.0, -1) == (time.monotonic(), time.time_ns())
    assert SYSTEM_CLOCK.monotonic() > 0
    assert SYSTEM_CLOCK.time_ns() > 1_700_000_000_000_000_000
