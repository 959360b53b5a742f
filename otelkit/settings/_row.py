"""What one row of the table of settings is, and the words that parsers use."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from typing import Any

__all__ = ["Complain", "Parser", "Row", "Variable", "Wrong", "attribute", "millis", "setting"]

Complain = Callable[[str], None]
"""Called with a sentence for each part of a value that is dropped while the rest is used."""

Parser = Callable[[object, Complain], Any]
"""Makes the value of a setting from text or from an object; raises `Wrong` when it cannot.

A parser is idempotent: it returns an equal value for what it returned before.
"""


class Wrong(ValueError):
    """A value cannot be used; the message is the remedy, "must be …"."""


@dataclasses.dataclass(frozen=True, slots=True)
class Variable:
    """An environment variable that a setting is read from.

    ``key`` names an attribute inside a variable that holds ``key=value`` pairs;
    ``milliseconds`` says that the variable counts those while the setting counts seconds.
    """

    name: str
    key: str | None = None
    milliseconds: bool = False


def millis(name: str) -> Variable:
    """The variable ``name``, which holds milliseconds."""
    return Variable(name, milliseconds=True)


def attribute(key: str) -> Variable:
    """The attribute ``key`` inside OTEL_RESOURCE_ATTRIBUTES."""
    return Variable("OTEL_RESOURCE_ATTRIBUTES", key=key)


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One setting: where it is read from, how, and what it is without any source.

    ``variables`` stand in the order of precedence; the key in ``[tool.otelkit]`` is ``name``
    where ``in_file`` is set. ``show`` turns a value into text without secrets; ``secret`` means
    that a value that cannot be used is never repeated in a message. With ``merge`` the mappings
    of all sources are put together, the stronger source on top. ``unset`` is the word for None.
    """

    name: str
    parse: Parser
    default: Callable[[], Any]
    help: str
    variables: tuple[Variable, ...] = ()
    in_file: bool = True
    secret: bool = False
    merge: bool = False
    unset: str = "none"
    show: Callable[[Any], str] | None = None

    def read(self, raw: object, complain: Complain) -> Any:
        """The value that ``raw`` means.

        Raises:
            Wrong: When it cannot be used, or when a method of the object ``raw`` raises.
        """
        try:
            return self.parse(raw, complain)
        except Wrong:
            raise
        except Exception as error:
            raise Wrong(f"cannot be read ({type(error).__name__})") from error


def setting(
    parse: Parser,
    default: object = None,
    *variables: str | Variable,
    help: str,  # noqa: A002 - the word of the table
    factory: Callable[[], object] | None = None,
    **more: Any,
) -> Any:
    """A dataclass field that carries its row of the table; see `Row` for ``more``."""
    make = factory or (lambda: default)
    row = {
        "parse": parse,
        "default": make,
        "help": help,
        "variables": tuple(Variable(v) if isinstance(v, str) else v for v in variables),
        **more,
    }
    return dataclasses.field(default_factory=make, metadata={"row": row})


def rows_of(fields: Iterable[dataclasses.Field[Any]]) -> tuple[Row, ...]:
    """The rows that the fields of a dataclass carry, in their order."""
    return tuple(Row(name=f.name, **f.metadata["row"]) for f in fields if "row" in f.metadata)
