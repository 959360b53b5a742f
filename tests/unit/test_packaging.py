"""What is installed with otelkit, and what it may depend on."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import sys
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, version
from pathlib import Path

import pytest

import otelkit

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

HOME = Path(__file__).resolve().parents[2]
PACKAGE = Path(otelkit.__file__).parent
SOURCES = sorted(PACKAGE.rglob("*.py"))
PROJECT = tomllib.loads((HOME / "pyproject.toml").read_text(encoding="utf-8"))["project"]
ROOT = (PACKAGE / "__init__.py").read_text(encoding="utf-8")
ROOMS = [
    importlib.import_module(f"otelkit.{name}") for name in re.findall(r"from otelkit import (\w+) as", ROOT)
]


def test_types_are_published():
    """The package says that it is typed."""
    assert (PACKAGE / "py.typed").is_file()


def test_version_is_one():
    """The version has one place, `otelkit.__version__`, and what is installed has the same."""
    tools = tomllib.loads((HOME / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    try:
        installed = version("otelkit")
    except PackageNotFoundError:
        pytest.skip("otelkit is not installed here, only on the path")

    assert "version" in PROJECT["dynamic"]
    assert tools["hatch"]["version"]["path"] == "otelkit/__init__.py"
    assert installed == otelkit.__version__


def test_extras_are_named_after_libraries():
    """Each extra brings the library of its name or the tools for it; `all` brings all of them."""
    extras = dict(PROJECT["optional-dependencies"])

    assert set(extras) == {"fastapi", "asyncpg", "redis", "process", "cli", "all"}
    assert re.findall(r"[a-z]+", extras.pop("all")[0])[1:] == sorted(extras)
    assert all(
        requirement.startswith(name)
        for name, (requirement, *_) in extras.items()
        if name not in {"cli", "process"}
    )


def test_bounds_are_lower_bounds_only():
    """No requirement excludes versions that are yet to come."""
    extras = PROJECT["optional-dependencies"]
    wanted = [
        *PROJECT["dependencies"],
        *(line for name, lines in extras.items() if name != "all" for line in lines),
    ]

    capped = [line for line in wanted if not re.fullmatch(r"[a-z0-9-]+>=[0-9.b]+(; .*)?", line)]
    assert capped == []


def test_licence_is_there():
    """The licence that the project names lies beside it."""
    assert PROJECT["license"] == "Apache-2.0"
    assert "Apache License" in (HOME / "LICENSE").read_text(encoding="utf-8")


def test_pytest_plugin_loads():
    """The entry point for pytest leads to the module with the fixture, and is the one installed."""
    declared = PROJECT["entry-points"]["pytest11"]
    plugin = EntryPoint("otelkit", declared["otelkit"], "pytest11")

    assert callable(plugin.load().telemetry)
    assert {found.value for found in entry_points(group="pytest11", name="otelkit")} <= {plugin.value}


def imports(tree: ast.AST):
    """What a module imports, as dotted names: ``from a.b import c`` is ``a.b.c``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_private(name: str) -> bool:
    """Whether a dotted name of OpenTelemetry is private or beta: some part begins with ``_``."""
    first, *others = name.split(".")
    return first == "opentelemetry" and any(part.startswith("_") and part[-2:] != "__" for part in others)


def test_private_parts_of_opentelemetry_have_one_door():
    """Only `otelkit._otel` imports private or beta parts of OpenTelemetry; types included."""
    users = {
        path.relative_to(PACKAGE).as_posix(): found
        for path in SOURCES
        if (
            found := [
                name for name in imports(ast.parse(path.read_text(encoding="utf-8"))) if is_private(name)
            ]
        )
    }

    assert {Path(user).parts[0] for user in users} == {"_otel"}, users


def test_private_parts_are_not_reached_through_public_modules():
    """No module but `otelkit._otel` takes a private attribute of an imported OpenTelemetry module."""
    found = []
    for path in SOURCES:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        modules = {
            alias.asname or alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("opentelemetry")
            for alias in node.names
            if alias.name.islower()
        }
        found += [
            f"{path.name}:{node.lineno} {node.value.id}.{node.attr}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
            if node.value.id in modules and node.attr.startswith("_") and path.parent.name != "_otel"
        ]

    assert found == []


def public_things():
    """Each class and function in ``__all__`` of the root and the public rooms, and classes' own methods."""
    for module in (otelkit, *ROOMS):
        for name in getattr(module, "__all__", ()):
            thing = getattr(module, name)
            if not (inspect.isclass(thing) or inspect.isfunction(thing)):
                continue
            yield f"{module.__name__}.{name}", thing
            if inspect.isclass(thing) and thing.__module__.startswith("otelkit"):
                own = {key: value for key, value in vars(thing).items() if not key.startswith("_")}
                yield from (
                    (f"{module.__name__}.{name}.{key}", value) for key, value in own.items() if is_code(value)
                )


def is_code(value: object) -> bool:
    """Whether it is a method or property, not a slot or constant."""
    return inspect.isfunction(value) or isinstance(value, (property, classmethod, staticmethod))


def opening(thing: object) -> str:
    """The first paragraph of its docstring."""
    return (inspect.getdoc(thing) or "").partition("\n\n")[0]


def test_type_checkers_see_every_room():
    """The rooms that can be reached from the root are those that are imported for type checkers."""
    assert {room.__name__ for room in ROOMS} == {f"otelkit.{name}" for name in otelkit._ROOMS}
    assert all(getattr(otelkit, room.__name__.partition(".")[2]) is room for room in ROOMS)


def test_everything_public_is_described():
    """Each public function, class, method and property has a docstring that is a sentence."""
    things = dict(public_things())

    assert len(things) > 50
    assert [name for name, thing in things.items() if not opening(thing).endswith((".", ":"))] == []
