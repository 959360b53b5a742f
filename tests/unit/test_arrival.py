"""What is told of the import of a module: once, after it, and never to the harm of the import."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import threading

import pytest

from otelkit import _guard
from otelkit._arrival import _FINDER, when_imported

NAME = "arriving_module"


@pytest.fixture
def module(tmp_path, monkeypatch):
    """The file of a module that nobody has imported."""
    monkeypatch.syspath_prepend(str(tmp_path))
    path = tmp_path / f"{NAME}.py"
    path.write_text("x = 1")
    importlib.invalidate_caches()
    yield path
    sys.modules.pop(NAME, None)
    assert NAME not in _FINDER.waiting
    assert _FINDER not in sys.meta_path or _FINDER.waiting


def arrive():
    return importlib.import_module(NAME)


def test_called_when_the_import_is_done(module):
    """The callback sees the whole module, in the thread that imports; afterwards no trace is left of us."""
    seen = []
    when_imported(NAME, lambda: seen.append((sys.modules[NAME].x, threading.current_thread().name)))
    assert NAME not in sys.modules
    assert [] == seen
    thread = threading.Thread(target=arrive, name="importer")
    thread.start()
    thread.join()

    assert [(1, "importer")] == seen
    assert "SourceFileLoader" == type(arrive().__spec__.loader).__name__
    assert arrive().__loader__ is arrive().__spec__.loader


def test_called_at_once_for_what_is_imported(module):
    """There is nothing to wait for."""
    arrive()
    seen = []
    when_imported(NAME, lambda: seen.append(1))

    assert [1] == seen


def test_cancelled(module):
    """Whoever waits no longer is not called; another one is."""
    seen = []
    cancel = when_imported(NAME, lambda: seen.append("cancelled"))
    when_imported(NAME, lambda: seen.append("waiting"))
    cancel()
    arrive()

    assert ["waiting"] == seen


def test_looking_for_a_module_is_not_importing_it(module):
    """Who only asks whether it is installed does not use up the callback."""
    seen = []
    when_imported(NAME, lambda: seen.append(1))
    assert NAME == importlib.util.find_spec(NAME).name
    assert [] == seen
    arrive()

    assert [1] == seen


def test_an_import_that_fails_may_be_tried_again(module):
    """The error is the module's own; the second import counts."""
    module.write_text("raise ValueError('not yet')")
    seen = []
    when_imported(NAME, lambda: seen.append(1))
    with pytest.raises(ValueError, match="not yet"):
        arrive()
    assert [] == seen
    module.write_text("x = 1  # longer than before, so that the cached one is old")
    arrive()

    assert [1] == seen


def test_a_failing_callback_is_not_the_imports(module):
    """The program's import returns its module, and the next callback is called; the failure is ours."""
    seen = []
    with _guard.reraise(False):
        when_imported(NAME, lambda: 1 / 0)
        when_imported(NAME, lambda: seen.append(1))
        assert 1 == arrive().x

    assert [1] == seen
    assert {"arrival": 1} == _guard.failures()
