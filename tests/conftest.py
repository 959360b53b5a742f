"""What every test stands on: our own failures are raised, nothing leaks from one test to the next."""

from __future__ import annotations

import os
import sys
import threading

import pytest

os.environ["OTELKIT_RERAISE"] = "1"
for _name in [
    name
    for name in os.environ
    if name.startswith(("OTEL_", "OTELKIT_")) and name not in {"OTELKIT_RERAISE", "OTELKIT_FAULTS"}
]:
    del os.environ[_name]
os.environ["OTELKIT_PROCESS_METRICS"] = "false"  # each test that wants them says so
os.environ.pop("PYTHONUNBUFFERED", None)  # it makes several writes of a line, between which others write

from otelkit import _guard  # noqa: E402 - after the environment is clean

_guard._reraise = True


def pytest_make_parametrize_id(val):
    """The parallel runner needs names of tests that are the same in every process."""
    return None if isinstance(val, (str, int, float, bytes, type(None))) else type(val).__name__


@pytest.fixture(autouse=True)
def _own_state_folder(tmp_path_factory, monkeypatch):
    """What a runtime of this process keeps on disk is this test's, and nobody's afterwards."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))


@pytest.fixture(autouse=True)
def _nothing_monitored(monkeypatch):
    """The functions that other modules monitor have no series in this test before they are called."""
    registry = sys.modules.get("otelkit.monitor._registry")
    if registry is not None:
        monkeypatch.setattr(registry, "_rows", {})


@pytest.fixture(autouse=True)
def _conventions_unread(monkeypatch):
    """No instrumentation has asked yet which conventions to follow: the first one settles it for the process."""
    module = sys.modules.get("opentelemetry.instrumentation._semconv")
    if module is not None:
        stability = module._OpenTelemetrySemanticConventionStability
        monkeypatch.setattr(stability, "_initialized", False)
        monkeypatch.setattr(stability, "_OTEL_SEMCONV_STABILITY_SIGNAL_MAPPING", {})


@pytest.fixture(autouse=True)
def _nothing_leaks():
    """After each test: no runtime runs, no capture is open, no thread of ours is left."""
    _guard.forget()
    yield
    _silence_observed_instruments()
    runtime = sys.modules.get("otelkit.runtime")
    if runtime is not None and runtime.current() is not None:
        runtime.current().shutdown(1.0)
    ours = [thread for thread in threading.enumerate() if thread.name.startswith("otelkit")]
    for thread in ours:
        thread.join(3.0)
    leaked = [thread.name for thread in ours if thread.is_alive()]
    assert not leaked, f"threads left behind: {leaked}"


def _silence_observed_instruments():
    """An instrument lives as long as the process; its callbacks shall not answer in other tests."""
    switch = sys.modules.get("otelkit._switch")
    for meter in list(switch.METRICS._proxies.values()) if switch is not None else ():
        if meter.name != "before init":  # made by a test module, as an application does
            for instrument in meter._instruments.values():
                if hasattr(instrument, "_sources"):
                    instrument._sources = ()


@pytest.fixture
def said(capsys):
    """The lines otelkit has said on stderr so far."""

    def lines():
        return [line for line in capsys.readouterr().err.splitlines() if line.startswith("otelkit: ")]

    return lines
