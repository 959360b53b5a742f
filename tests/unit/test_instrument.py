from otelkit import instrument


def test_unknown_library_is_one_line(said):
    """Naming a library without an installed instrumentation is one line with the remedy."""
    instrument.install(["no_such_library"])()

    lines = said()
    assert 1 == len(lines)
    assert "no_such_library" in lines[0]
    assert "pip install opentelemetry-instrumentation-" in lines[0]


def test_auto_without_libraries_is_silent(said, monkeypatch):
    """Nothing is said about supported libraries that are not there."""
    monkeypatch.setattr(instrument, "find_spec", lambda name: None)
    instrument.install("auto")()

    assert [] == said()


def test_named_instrumentation_is_turned_on_and_off(monkeypatch):
    """A named entry point is instrumented, and taken back by what `install` returns."""
    calls = []

    class Instrumentor:
        def instrument(self):
            calls.append("on")

        def uninstrument(self):
            calls.append("off")

    class Entry:
        def load(self):
            return Instrumentor

    monkeypatch.setattr(instrument, "_entry", lambda name: Entry())
    uninstall = instrument.install(["mine"])
    assert ["on"] == calls
    uninstall()
    assert ["on", "off"] == calls


def test_fastapi_that_speaks_itself_is_left_alone(monkeypatch):
    """FastAPI is instrumented below 0.163 only: from there on it makes its spans itself."""
    monkeypatch.setattr(instrument, "_entry", lambda name: object())
    monkeypatch.setattr(instrument, "find_spec", lambda name: object())
    answers = {}
    for version in ("0.115.2", "0.163.0", "1.0"):
        monkeypatch.setattr(instrument, "version", lambda name, version=version: version)
        answers[version] = instrument._is_wanted("fastapi")

    assert {"0.115.2": True, "0.163.0": False, "1.0": False} == answers


def test_failing_instrumentation_harms_nobody(said, monkeypatch):
    """An instrumentation that raises is named; the others go on."""

    class Entry:
        def load(self):
            raise ImportError("broken")

    monkeypatch.setattr(instrument, "_entry", lambda name: Entry())
    instrument.install(["mine"])()

    assert "broken" in said()[0]
