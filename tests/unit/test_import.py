import importlib
import pkgutil
import subprocess
import sys

import otelkit

HEAVY = (
    "opentelemetry.sdk",
    "structlog",
    "grpc",
    "requests",
    "prometheus_client",
    "fastapi",
    "google.protobuf",
)


def run(program):
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return answer.stdout.strip()


def test_import_loads_almost_nothing():
    """`import otelkit` loads at most three modules of otelkit and nothing heavy."""
    found = run(
        f"import sys, otelkit; print([n for n in sys.modules if n.startswith({HEAVY!r})]);"
        "print(sum(n.split('.')[0] == 'otelkit' for n in sys.modules))"
    ).splitlines()

    assert "[]" == found[0]
    assert int(found[1]) <= 3


def test_span_before_init_loads_no_sdk():
    """A span before `init` is a no-op that does not load the SDK."""
    program = (
        "import sys, otelkit\n"
        "with otelkit.span('a') as span: print(span.is_recording())\n"
        f"print([n for n in sys.modules if n.startswith({HEAVY!r})])"
    )

    assert ["False", "[]"] == run(program).splitlines()


def test_all_names_are_there_and_no_others():
    """`__all__` is what a user sees, and each name can be loaded."""
    for name in otelkit.__all__:
        assert getattr(otelkit, name) is not None
    assert set(otelkit.__all__) <= set(dir(otelkit))


def test_unknown_name_is_an_attribute_error():
    """A misspelt name is an AttributeError that names it."""
    try:
        otelkit.spam
    except AttributeError as error:
        assert "spam" in str(error)
    else:
        raise AssertionError


def test_every_module_lists_what_it_offers():
    """Each public module's `__all__` names exist."""
    for found in pkgutil.walk_packages(otelkit.__path__, "otelkit."):
        module = importlib.import_module(found.name)
        for name in getattr(module, "__all__", ()):
            assert hasattr(module, name), f"{found.name}.{name}"
