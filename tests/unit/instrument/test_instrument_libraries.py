"""What every library of the folder keeps to."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys

import pytest

import otelkit.instrument
from otelkit import instrument
from otelkit.instrument import _libraries, _library
from otelkit.instrument._library import Library
from otelkit.settings import Settings

LIBRARIES = [importlib.import_module(f"otelkit.instrument._{name}").LIBRARY for name in _libraries.FILES]
NAMES = [library.name for library in LIBRARIES]


@pytest.fixture
def absent(monkeypatch):
    """No module can be found whose name begins with one of these."""

    def hide(*names):
        found = _library.find_spec
        monkeypatch.setattr(
            _library, "find_spec", lambda name: None if name.startswith(names) else found(name)
        )

    return hide


def test_every_file_with_a_library_is_on_the_list():
    """A new file is found by `init` and by these tests when it is named in `FILES`."""
    files = [module.name for module in pkgutil.iter_modules(otelkit.instrument.__path__)]
    having = {
        name[1:]
        for name in files
        if hasattr(importlib.import_module(f"otelkit.instrument.{name}"), "LIBRARY")
    }

    assert having == set(_libraries.FILES)


@pytest.mark.parametrize("library", LIBRARIES, ids=NAMES)
def test_a_library_is_described_whole(library):
    """Its name finds it, in any spelling; it says what it needs, how to install that, what it follows."""
    assert library is _libraries.library(library.name.upper().replace("-", "_"))
    assert library.modules
    assert library.pip
    assert set(library.follows or ()) <= {field.name for field in Settings.__dataclass_fields__.values()}


@pytest.mark.parametrize("library", LIBRARIES, ids=NAMES)
def test_on_off_and_on_again(library):
    """Each time, the methods of the library's modules are those that were found."""
    for module in library.modules:
        pytest.importorskip(module)
    settings = Settings(service_name="test")
    before = patched(library)
    try:
        for _ in range(2):
            undo = library.turn_on(settings)
            undo()
            assert before == patched(library, before)
    except Exception as error:
        if type(error).__name__ != "DependencyConflictError":
            raise
        assert before == patched(library, before)
        pytest.skip(str(error))


def is_method(value):
    return callable(value) or isinstance(value, (classmethod, staticmethod))


def patched(library, known=None):
    """What an instrumentation may replace: the attributes of the library's modules and of their classes.

    Of the second look only what was there at the first: more modules may be imported since.
    """
    root = library.modules[0].partition(".")[0]
    found = {}
    for name, module in list(sys.modules.items()):
        if name == root or name.startswith(f"{root}."):
            for key, value in list(vars(module).items()):
                if callable(value):
                    found[name, key] = value
                if isinstance(value, type) and value.__module__.startswith(root):
                    found.update(
                        {
                            (name, key, inner): one
                            for inner, one in list(vars(value).items())
                            if is_method(one)
                        }
                    )
    return {key: found[key] for key in found if known is None or key in known}


@pytest.mark.parametrize("library", LIBRARIES, ids=NAMES)
def test_a_missing_module_is_one_line_with_the_remedy(library, absent, said):
    """Named without being installed: one line, with the pip command; with auto: silence."""
    absent(library.modules[-1])
    named = Settings(service_name="test", instrument=(library.name,))
    assert [line for line in instrument.missing(named) if f"pip install {library.pip}" in line]
    instrument.install(named)()
    lines = said()
    assert 1 == len(lines)
    assert library.modules[-1] in lines[0]

    instrument.install(Settings(service_name="test"))()
    assert [] == [line for line in said() if library.name in line]


@pytest.mark.parametrize("chosen", ["auto", True])
def test_auto_means_what_is_installed(chosen):
    """All with a file here whose modules are there; nothing is missing by it, and False means none."""
    there = {library.name for library in LIBRARIES if not library.missing}

    assert there == {library.name for library in _libraries.chosen(chosen)}
    assert [] == _libraries.missing(chosen)
    assert [] == _libraries.chosen(False)


def test_any_installed_instrumentation_can_be_named():
    """One without a file here is turned on by its entry point, and off again."""
    from opentelemetry.instrumentation.urllib3 import URLLib3Instrumentor

    undo = instrument.install(Settings(service_name="test", instrument=("urllib3",)))
    assert URLLib3Instrumentor().is_instrumented_by_opentelemetry
    assert ("urllib3",) == instrument.instrumented()
    undo()

    assert not URLLib3Instrumentor().is_instrumented_by_opentelemetry


def test_what_the_user_has_turned_on_stays():
    """An official instrumentation that was on before is not touched, not even at the end."""
    from opentelemetry.instrumentation.requests import RequestsInstrumentor

    RequestsInstrumentor().instrument()
    try:
        instrument.install(Settings(service_name="test", instrument=("requests",)))()
        assert RequestsInstrumentor().is_instrumented_by_opentelemetry
    finally:
        RequestsInstrumentor().uninstrument()


def test_an_unknown_name_is_one_line(said):
    """It says what was given, what there is, and what to do."""
    settings = Settings(service_name="test", instrument=("fastapy",))
    instrument.install(settings)()

    assert 1 == len(lines := said())
    assert "'fastapy'" in lines[0]
    assert "fastapi" in lines[0]
    assert "did you mean 'fastapi'?" in lines[0]
    assert 1 == len(instrument.missing(settings))


def test_a_name_like_no_other_has_its_package():
    """The command for a library that otelkit does not know has the library's name in it."""
    (line,) = instrument.missing(Settings(service_name="test", instrument=("Nosuch_Framework",)))

    assert line.endswith("pip install opentelemetry-instrumentation-nosuch-framework")


def test_an_official_one_that_fails_half_way_is_taken_back():
    """Its error is the one line; nothing of what it has replaced stays."""
    from otelkit.instrument import _official

    done = []

    class Half:
        is_instrumented_by_opentelemetry = False

        def instrument(self, **options):
            done.append("half")
            raise ImportError("no greenlet")

        def _uninstrument(self):
            done.append("back")

    module = type(sys)("half_way")
    module.Half = Half
    sys.modules["half_way"] = module
    try:
        with pytest.raises(ImportError):
            _official.official("half_way:Half")(Settings(service_name="test"))
    finally:
        del sys.modules["half_way"]

    assert ["half", "back"] == done


def test_an_official_one_that_fails_to_go_off_can_be_turned_on_again():
    """It is not taken for one that the user has turned on, which would be left alone."""
    from opentelemetry.instrumentation.instrumentor import BaseInstrumentor

    from otelkit.instrument import _official

    class Stuck(BaseInstrumentor):
        def instrumentation_dependencies(self):
            return ()

        def _instrument(self, **options):
            """Done."""

        def _uninstrument(self, **options):
            raise LookupError("no listener")

    module = type(sys)("stuck")
    module.Stuck = Stuck
    turn_on = _official.official("stuck:Stuck")
    sys.modules["stuck"] = module
    try:
        with pytest.raises(LookupError):
            turn_on(Settings(service_name="test"))()
        assert turn_on(Settings(service_name="test")) is not _official.nothing
    finally:
        del sys.modules["stuck"]


def test_importing_the_room_imports_no_library():
    """Neither the room nor the installation of all imports a library for the program."""
    code = (
        "import sys, otelkit.instrument as i; from otelkit.settings import Settings; "
        "i.install(Settings(service_name='t')); "
        "print([m for m in ('fastapi', 'starlette.applications', 'asyncpg', 'redis', 'httpx', 'requests', "
        "'aiohttp', 'sqlalchemy', 'psycopg', 'celery', 'structlog') if m in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "[]" == ended.stdout.strip()


def test_a_library_without_modules_is_always_there():
    """An entry point's own import says what is missing."""
    library = Library(name="x", modules=(), pip="x", turn_on=lambda settings: lambda: None)

    assert () == library.missing
    assert library.installed
