"""The metrics of the process, from the official instrumentation."""

from __future__ import annotations

import gc
import logging
import os
import subprocess
import sys
import time

import pytest

pytest.importorskip("psutil")

from opentelemetry import metrics

from otelkit import process
from otelkit.process import _official
from otelkit.settings import Settings
from otelkit.testing import capture

ON = Settings(service_name="test")
OFF = Settings(service_name="test", process_metrics=False)


@pytest.fixture(autouse=True)
def _anew(monkeypatch):
    """The instruments are made once per process, and the suite silences them after each test."""
    monkeypatch.setattr(_official, "_maker", None)
    monkeypatch.setattr(_official, "_questions", [])
    monkeypatch.setattr(_official, "_LEAST_S", 0.0)
    yield
    process.install(OFF)()


def names(telemetry):
    return {metric.name for metric in telemetry.metrics}


def points(telemetry, name):
    return {tuple(point.attributes.items()): point.value for point in telemetry.metric(name).points}


def test_process_is_measured_by_the_conventions():
    """The metrics have the conventions' names and attributes; nothing of the machine is measured."""
    with capture() as telemetry:
        undo = process.install(ON)
        found = names(telemetry)
        modes = points(telemetry, "process.cpu.time")
        switches = points(telemetry, "process.context_switches")
        generations = points(telemetry, "cpython.gc.collections")
        undo()

    assert {*_official.CONFIG, *_official.GC, "process.uptime"} <= found
    assert not [name for name in found if name.startswith(("system.", "process.runtime."))]
    assert {(("cpu.mode", "user"),), (("cpu.mode", "system"),)} == set(modes)
    assert {"voluntary", "involuntary"} == {key[0][1] for key in switches}
    assert {"process.context_switch.type"} == {key[0][0] for key in switches}
    assert {(("cpython.gc.generation", n),) for n in range(len(gc.get_stats()))} == set(generations)


def test_values_are_those_of_this_process():
    """Memory, descriptors, threads and uptime are this process's."""
    import psutil

    me = psutil.Process()
    with capture() as telemetry:
        process.install(ON)
        read = {name: telemetry.metric(name).value for name in names(telemetry) if name in (
            "process.memory.usage", "process.open_file_descriptor.count", "process.uptime")}  # fmt: skip

    assert read["process.memory.usage"] == pytest.approx(me.memory_info().rss, rel=0.5)
    assert read["process.open_file_descriptor.count"] == pytest.approx(me.num_fds(), abs=10)
    assert read["process.uptime"] == pytest.approx(time.time() - me.create_time(), abs=30)


def test_off_is_off_and_comes_back():
    """Turned off nothing is observed; turned on again each series is there once."""
    with capture() as telemetry:
        process.install(ON)()
        assert not names(telemetry)
        process.install(OFF)
        assert not names(telemetry)
        process.install(ON)
        assert 2 == len(telemetry.metric("process.cpu.time").points)


def test_a_later_set_up_owns_the_measuring():
    """The undoing of a set-up that was replaced does not turn off the one that replaced it."""
    with capture() as telemetry:
        first = process.install(ON)
        process.install(ON)
        first()

        assert "process.uptime" in names(telemetry)


def test_set_up_again_counts_no_series_twice():
    """After three set-ups a counter shows the process's own time, not a multiple of it."""
    for _ in range(3):
        with capture() as telemetry:
            undo = process.install(ON)
            before = os.times()
            total = sum(points(telemetry, "process.cpu.time").values())
            after = os.times()
            undo()

    assert before.user + before.system - 0.5 <= total <= after.user + after.system + 0.5


def test_utilization_is_no_noise(monkeypatch):
    """Utilization is not measured anew within a second: not after the start, nor by two exits at once."""
    with capture() as telemetry:
        monkeypatch.setattr(_official, "_LEAST_S", 1_000.0)
        process.install(ON)
        assert "process.cpu.utilization" not in names(telemetry)
        monkeypatch.setattr(_official, "_LEAST_S", 0.0)
        first = telemetry.metric("process.cpu.utilization").value
        monkeypatch.setattr(_official, "_LEAST_S", 1_000.0)

        assert 0 <= first == telemetry.metric("process.cpu.utilization").value


def test_official_one_turned_on_by_the_user_is_not_doubled():
    """Where the application turned on the official metrics itself, ours step aside."""
    from opentelemetry.instrumentation.system_metrics import SystemMetricsInstrumentor

    with capture() as telemetry:
        process.install(ON)
        theirs = SystemMetricsInstrumentor(config={"process.thread.count": None})
        theirs.instrument(skip_dep_check=True, meter_provider=metrics.NoOpMeterProvider())
        try:
            assert not names(telemetry) & set(_official.CONFIG)
        finally:
            theirs.uninstrument()
        assert "process.cpu.time" in names(telemetry)


def test_what_cannot_be_read_is_named_once(said, monkeypatch):
    """A value that the system refuses is left out and named once; the others stay."""
    with capture() as telemetry:
        process.install(ON)
        broken = next(one for one in _official._questions if one._name == "process.thread.count")

        def refused(_options):
            raise PermissionError("not here")

        monkeypatch.setattr(broken, "_callback", refused)
        for _ in range(2):
            assert "process.thread.count" not in names(telemetry)
        assert "process.cpu.time" in names(telemetry)

    (line,) = said()
    assert "process.thread.count cannot be read here: PermissionError: not here" in line


def test_nothing_is_logged(caplog):
    """Turning it on, twice, writes nothing into the application's log."""
    caplog.set_level(logging.DEBUG)
    with capture() as telemetry:
        process.install(ON)
        process.install(ON)
        names(telemetry)

    assert [] == [record for record in caplog.records if record.name.startswith("opentelemetry")]


def test_http_conventions_are_not_settled():
    """Our own use does not settle which HTTP conventions the process speaks (they are read once)."""
    code = (
        "from otelkit import process, settings\n"
        "process.install(settings.Settings())\n"
        "from opentelemetry.instrumentation._semconv import _OpenTelemetrySemanticConventionStability as s\n"
        "print(s._initialized)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)

    assert ("False\n", "") == (ran.stdout, ran.stderr)


def test_without_the_packages_nothing_happens(monkeypatch, said):
    """Without psutil or the official package there is nothing, and nothing is said."""
    monkeypatch.setitem(sys.modules, "opentelemetry.instrumentation.system_metrics", None)
    with capture() as telemetry:
        undo = process.install(ON)
        assert not names(telemetry) - {"otelkit.event_loop.lag", "otelkit.event_loop.overdue"}
        undo()

    assert [] == said()


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_fork_child_measures_itself():
    """In a fork's child the values are the child's: its uptime, its collections, its memory."""
    with capture() as telemetry:
        process.install(ON)
        gc.collect()
        names(telemetry)
        gc.disable()  # or the child may collect before it looks
        try:
            child = os.fork()
            if child == 0:
                os._exit(_child(telemetry))
        finally:
            gc.enable()
        assert 0 == os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _child(telemetry):
    try:
        assert _official._maker._proc.pid != os.getpid()
        collections = sum(points(telemetry, "cpython.gc.collections").values())
        assert _official._maker._proc.pid == os.getpid()
        assert 0 == collections, collections
        assert "process.cpu.utilization" in names(telemetry)
        assert telemetry.metric("process.uptime").value < 30
    except BaseException as error:
        print(repr(error), file=sys.__stderr__, flush=True)
        return 1
    return 0
