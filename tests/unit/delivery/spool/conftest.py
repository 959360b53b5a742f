import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from spooling import program

from otelkit._clock import FakeClock
from otelkit.delivery.spool import Spool


@pytest.fixture
def clock():
    return FakeClock()


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "spool"


@pytest.fixture
def spool_in(clock):
    """Makes spools; at the end they are closed, and their books must add up."""
    made = []

    def make(folder, *, identity="me", **settings):
        signals = ("traces", "logs", "metrics")
        spool = Spool(folder=folder, identities=dict.fromkeys(signals, identity), clock=clock, **settings)
        made.append(spool)
        return spool

    yield make
    for spool in made:
        spool.close()
        for tally in spool.tallies().values():
            parts = tally.settled + tally.evicted + tally.damaged + tally.held
            assert tally.appended + tally.adopted == parts


@pytest.fixture
def spool(spool_in, folder):
    return spool_in(folder)


@pytest.fixture
def run():
    """Starts Python programs that can be talked to; none outlives the test."""
    started = []

    def start(code, *arguments):
        process = program(code, *arguments)
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


@pytest.fixture
def small_disk():
    """A file system of 256 KiB."""
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("only root can mount")
    with tempfile.TemporaryDirectory() as place:
        mount = ["mount", "-t", "tmpfs", "-o", "size=256k,mode=700", "tmpfs", place]
        if subprocess.run(mount, check=False, capture_output=True).returncode:
            pytest.skip("this machine does not let root mount")
        try:
            yield Path(place)
        finally:
            subprocess.run(["umount", "-l", place], check=True)
