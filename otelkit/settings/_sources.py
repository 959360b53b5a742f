"""Where values come from: arguments, environment, and pyproject.toml of the working folder."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from otelkit.settings import _parse

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otelkit.settings._row import Row, Variable

__all__ = ["FILE_NAME", "Found", "Sources"]

FILE_NAME = "pyproject.toml"

_MAX_CACHED = 8

_cache: dict[tuple[str, int, int], tuple[Mapping[str, Any], str | None]] = {}


class Found(NamedTuple):
    """A value as one source has it. The smaller ``rank``, the stronger the source."""

    rank: int
    origin: str
    raw: object
    milliseconds: bool = False

    @property
    def value(self) -> object:
        """The value in the unit of the setting.

        Raises:
            Wrong: When the variable holds no number of milliseconds.
        """
        return _parse.from_milliseconds(str(self.raw)) if self.milliseconds else self.raw


@dataclass(frozen=True, slots=True)
class Sources:
    """Everything that a resolution reads, taken once at its beginning.

    ``file_problem`` is the sentence about a pyproject.toml that cannot be read.
    """

    arguments: Mapping[str, Any]
    variables: Mapping[str, str]
    file: Mapping[str, Any]
    file_problem: str | None

    @classmethod
    def read(cls, arguments: Mapping[str, Any]) -> Sources:
        """Take arguments that are not None, variables that are not empty, and the file."""
        file, problem = _read_file()
        return cls(
            {name: value for name, value in arguments.items() if value is not None},
            {name: value for name, value in os.environ.items() if value.strip()},
            file,
            problem,
        )

    def of(self, row: Row) -> Iterator[Found]:
        """The values for ``row``, the strongest first."""
        if row.name in self.arguments:
            yield Found(0, "argument", self.arguments[row.name])
        yield from self._attributes_of(row, self.arguments, Found(0, "argument", None))
        for variable in row.variables:
            text = self._variable(variable)
            if text is not None:
                rank = 1 if variable.name.startswith("OTEL_") else 2
                yield Found(rank, f"variable {variable.name}", text, variable.milliseconds)
        if row.in_file and row.name in self.file:
            yield Found(3, "file", self.file[row.name])
        yield from self._attributes_of(row, self.file, Found(3, "file", None))

    def _variable(self, variable: Variable) -> str | None:
        text = self.variables.get(variable.name)
        if text is None or variable.key is None:
            return text
        found = None
        for part in text.split(","):
            key, equals, value = part.partition("=")
            if equals and key.strip() == variable.key and value.strip():
                found = _parse.unquoted(value)
        return found

    @staticmethod
    def _attributes_of(row: Row, source: Mapping[str, Any], found: Found) -> Iterator[Found]:
        """``service.name`` and its like inside the resource attributes of the same source."""
        attributes = source.get("resource_attributes")
        if isinstance(attributes, Mapping):
            for variable in row.variables:
                if variable.key is not None and variable.key in attributes:
                    yield found._replace(raw=attributes[variable.key])


def _read_file() -> tuple[Mapping[str, Any], str | None]:
    """The table ``[tool.otelkit]`` with ``_`` for ``-`` in its keys, and what is wrong with the file."""
    try:
        status = os.stat(FILE_NAME)  # noqa: PTH116 - runs at each init; Path triples its cost
        if not stat.S_ISREG(status.st_mode):
            return {}, None
        key = (os.path.abspath(FILE_NAME), status.st_mtime_ns, status.st_size)  # noqa: PTH100 - as above
    except OSError:
        return {}, None
    if key not in _cache:
        if len(_cache) >= _MAX_CACHED:
            _cache.clear()
        _cache[key] = _parse_file(key[0])
    return _cache[key]


def _parse_file(path: str) -> tuple[Mapping[str, Any], str | None]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib

    try:
        with open(path, "rb") as stream:  # noqa: PTH123 - as above
            tool = tomllib.load(stream).get("tool", {})
    except (OSError, ValueError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        return {}, (
            f"{FILE_NAME} in the working folder cannot be read ({type(error).__name__}: {reason}): "
            "correct it; its [tool.otelkit] is not used."
        )
    table = tool.get("otelkit", {}) if isinstance(tool, dict) else {}
    if not isinstance(table, dict):
        return {}, f"tool.otelkit in {FILE_NAME} must be a table, [tool.otelkit]; it is not used."
    return {key.replace("-", "_"): value for key, value in table.items()}, None
