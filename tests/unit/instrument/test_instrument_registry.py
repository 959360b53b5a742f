"""Who wants which library: claims, handover, waiting for an import."""

from __future__ import annotations

import gc
import importlib
import sys
import threading
from contextlib import ExitStack

import pytest

from otelkit import _guard, instrument
from otelkit.instrument import _registry
from otelkit.instrument._library import Library
from otelkit.settings import Settings


class Diary:
    """A library that writes down what is done to it."""

    def __init__(self, name="diary", *, modules=(), follows=None):
        self.events = []
        self.fail = False
        self.library = Library(name=name, modules=modules, pip=name, turn_on=self.turn_on, follows=follows)

    def turn_on(self, settings):
        if self.fail:
            raise ImportError("broken")
        self.events.append(("on", settings.service_name))
        return lambda: self.events.append("off")

    @property
    def words(self):
        return [event if isinstance(event, str) else event[0] for event in self.events]


@pytest.fixture
def diary():
    made = Diary()
    yield made
    instrument.uninstrument()


def settings(name="a", **more):
    return Settings(service_name=name, **more)


def test_on_with_the_first_wish_and_off_with_the_last(diary):
    """Two that want it make one instrumentation; giving up twice counts once."""
    one, other = _registry.claim(diary.library, settings()), _registry.claim(diary.library, settings())
    one()
    one()
    assert ["on"] == diary.words
    assert ("diary",) == instrument.instrumented()
    other()

    assert ["on", "off"] == diary.words
    assert () == instrument.instrumented()


def test_a_handover_leaves_no_gap(diary):
    """What the old runtime gives up and the new one wants stays on all the while."""
    first = settings()
    old = _registry.claim(diary.library, first)
    with instrument.handover():
        old()
        new = _registry.claim(diary.library, first)
    assert ["on"] == diary.words
    new()

    assert ["on", "off"] == diary.words


def test_a_handover_ends_what_nobody_wants(diary):
    """Also when the new runtime could not start."""
    old = _registry.claim(diary.library, settings())
    with pytest.raises(KeyError), instrument.handover():
        old()
        raise KeyError

    assert ["on", "off"] == diary.words


def test_a_handover_holds_for_whoever_is_at_it(diary):
    """A library that is being turned on when the old runtime gives it up stays on as well."""
    with ExitStack() as stack:

        def turn_on(settings):
            stack.enter_context(instrument.handover())
            instrument.uninstrument()
            return diary.turn_on(settings)

        _registry.claim(Library(name="diary", modules=(), pip="", turn_on=turn_on), settings())
        assert ["on"] == diary.words

    assert ["on", "off"] == diary.words


def test_a_wish_during_a_turn_is_carried_out_after_it():
    """One at a time: the second settings are followed when the first turn is done."""
    library = Diary(follows=None)
    first = library.turn_on

    def turn_on(given):
        if not library.events:
            assert _registry.claim(again, settings("b"))
        return first(given)

    again = Library(name="again", modules=(), pip="", turn_on=turn_on)
    _registry.claim(again, settings("a"))

    assert [("on", "a"), "off", ("on", "b")] == library.events
    instrument.uninstrument()


def test_other_settings_are_followed():
    """A library that follows a setting is turned on anew when that has changed, and only then."""
    library = Diary(follows=("http_excluded_paths",))
    old = _registry.claim(library.library, settings("a"))
    with instrument.handover():
        old()
        old = _registry.claim(library.library, settings("b"))
    assert [("on", "a")] == library.events
    with instrument.handover():
        old()
        new = _registry.claim(library.library, settings("c", http_excluded_paths=("/x",)))

    assert [("on", "a"), "off", ("on", "c")] == library.events
    new()


def test_a_library_that_does_not_say_follows_all(diary):
    """Without `follows` any other setting turns it off and on."""
    old = _registry.claim(diary.library, settings("a"))
    with instrument.handover():
        old()
        new = _registry.claim(diary.library, settings("b"))
    new()

    assert [("on", "a"), "off", ("on", "b"), "off"] == diary.events


def test_uninstrument_takes_everything_back(diary):
    """Whoever wants it; what is given up afterwards does nothing, a new wish turns it on again."""
    undone = []
    once = _registry.keep(lambda: undone.append(1))
    give_up = _registry.claim(diary.library, settings())
    instrument.uninstrument()
    give_up()
    once()
    again = _registry.claim(diary.library, settings())
    again()

    assert ["on", "off", "on", "off"] == diary.words
    assert [1] == undone


def test_a_failure_is_one_line_and_tried_again_later(diary, said):
    """The library works on without telemetry; the next init tries once more."""
    diary.fail = True
    _registry.claim(diary.library, settings())
    _registry.claim(diary.library, settings())
    lines = said()
    assert 1 == len(lines)
    assert "instrument='diary'" in lines[0]
    assert "broken" in lines[0]
    diary.fail = False
    _registry.claim(diary.library, settings("b"))

    assert [("on", "b")] == diary.events


def test_a_failing_undo_is_ours(diary, monkeypatch):
    """It is counted, and ends there."""
    monkeypatch.setattr(diary, "turn_on", None)
    broken = Library(name="broken", modules=(), pip="", turn_on=lambda settings: lambda: 1 / 0)
    with _guard.reraise(False):
        _registry.claim(broken, settings())()

    assert {"instrument.undo": 1} == _guard.failures()


def test_it_waits_for_the_import(tmp_path, monkeypatch):
    """Nothing is imported for the program; the library is on when the import returns, by any thread."""
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "arriving.py").write_text("x = 1")
    library = Diary("arriving", modules=("arriving",))
    give_up = _registry.claim(library.library, settings())
    assert "arriving" not in sys.modules
    assert [] == library.events
    thread = threading.Thread(target=lambda: importlib.import_module("arriving"))
    thread.start()
    thread.join()

    assert ["on"] == library.words
    give_up()
    monkeypatch.delitem(sys.modules, "arriving")


def test_many_threads_make_one_instrumentation(diary):
    """Wishes and ends of many threads at once leave it off, and on and off always alternate."""
    start = threading.Barrier(8)

    def work():
        start.wait()
        for number in range(50):
            _registry.claim(diary.library, settings(str(number % 3)))()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    gc.collect()

    words = diary.words
    assert words[::2].count("on") == words[1::2].count("off") == len(words) / 2
    assert () == instrument.instrumented()
