"""Parsers for values of several parts: names, redaction rules, user objects, registered names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from otelkit.settings import _url
from otelkit.settings._parse import FALSE, TRUE, alternatives, text
from otelkit.settings._row import Wrong

if TYPE_CHECKING:
    from otelkit.settings._row import Complain, Parser

_PATTERN = re.compile(r"/.+/", re.DOTALL)
_LIST_PARTS = re.compile(r"\s*(/(?:[^/\\]|\\.)+/|[^,]*)\s*(?:,|$)")


def split(value: str) -> list[str]:
    """The parts of comma separated text; a comma between slashes belongs to a pattern."""
    return [part for part in (m.group(1).strip() for m in _LIST_PARTS.finditer(value)) if part]


def names(raw: object, complain: Complain) -> tuple[str, ...]:
    """A tuple of texts from a list or from comma separated text; duplicates are dropped."""
    items = split(raw) if isinstance(raw, str) else _items(raw, "must be a list of texts")
    good: list[str] = []
    for place, item in enumerate(items, 1):
        try:
            good.append(text(item, complain))
        except Wrong as wrong:
            complain(f"item {place} is dropped: it {wrong}")
    return tuple(dict.fromkeys(good))


def instrument(raw: object, complain: Complain) -> bool | str | tuple[str, ...]:
    """True, False, the word auto, or the names of libraries."""
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, str):
        lower = raw.strip().lower()
        if lower == "auto":
            return "auto"
        if lower in TRUE or lower in FALSE:
            return lower in TRUE
    try:
        return names(raw, complain)
    except Wrong:
        raise Wrong("must be true, false, 'auto' or a list of library names") from None


def redact(raw: object, complain: Complain) -> object:
    """True, False, a function of key and value, or key names and patterns for values.

    In text, an entry between slashes is a pattern: ``password,/sk-[a-z0-9]{20,}/``.
    """
    if isinstance(raw, str) and raw.strip().lower() in TRUE | FALSE:
        return raw.strip().lower() in TRUE
    if isinstance(raw, bool):
        return raw
    if callable(raw) and not isinstance(raw, type):
        return raw
    remedy = "must be true, false, a function of (key, value), or a list of key names and patterns"
    items = split(raw) if isinstance(raw, str) else _items(raw, remedy)
    good = []
    for place, item in enumerate(items, 1):
        try:
            good.append(_rule(item, complain))
        except (Wrong, re.error) as error:
            complain(f"item {place} is not used: {error}; give a key name or a regular expression")
    return tuple(good)


def _rule(item: object, complain: Complain) -> object:
    if isinstance(item, re.Pattern):
        if isinstance(item.pattern, bytes):
            raise Wrong("the pattern is one for bytes")
        return item
    name = text(item, complain)
    if _PATTERN.fullmatch(name):
        return re.compile(name[1:-1])
    return name


def objects(*methods: str, what: str) -> Parser:
    """A parser for a list of objects that have all of ``methods``, such as span exporters."""
    remedy = f"must be a list of {what}s"

    def parse(raw: object, complain: Complain) -> tuple[object, ...]:
        good = []
        for place, item in enumerate(_items(raw, remedy), 1):
            kind = type(item).__name__
            if isinstance(item, type):
                complain(f"item {place} is not used: {item.__name__} is a class, give an instance of it")
            elif missing := [m for m in methods if not callable(getattr(item, m, None))]:
                complain(f"item {place} is not used: {kind} is no {what} (it has no method {missing[0]})")
            else:
                good.append(item)
        return tuple(good)

    return parse


def entry_point(group: str, *known: str) -> Parser:
    """A parser for a name that is ``known`` or registered by an installed package in ``group``."""
    remedy = f"must be {alternatives(known)}, or a name that an installed package registers in {group}"

    def parse(raw: object, complain: Complain) -> str:
        value = text(raw, complain)
        if value.lower() in known:
            return value.lower()
        if not registered(group, value):
            raise Wrong(remedy)
        return value

    return parse


def entry_points(group: str, *known: str) -> Parser:
    """A parser for a list of such names; the word none alone gives an empty tuple."""
    one = entry_point(group, *known)

    def parse(raw: object, complain: Complain) -> tuple[str, ...]:
        items = names(raw, complain)
        if [item.lower() for item in items] == ["none"]:
            return ()
        good = []
        for item in items:
            try:
                good.append(one(item, complain))
            except Wrong as wrong:
                reason = "'none' stands alone" if item.lower() == "none" else f"it {wrong}"
                complain(f"{_url.mask(item, length=60)!r} is not used: {reason}")
        if items and not good:
            raise Wrong(f"must be none, or a list of {alternatives(known)}")
        return tuple(dict.fromkeys(good))

    return parse


def registered(group: str, name: str) -> bool:
    """Whether an installed package registers ``name`` in the entry point ``group``."""
    from importlib.metadata import entry_points as installed

    return bool(installed(group=group, name=name))


def _items(raw: object, remedy: str) -> Iterable[object]:
    if isinstance(raw, (str, bytes, Mapping)) or not isinstance(raw, Iterable):
        raise Wrong(remedy)
    return tuple(raw)


def show_objects(items: Iterable[Any]) -> str:
    """The class names of ``items``."""
    return ", ".join(type(item).__name__ for item in items)


def show_redact(value: Any) -> str:
    """Key names as they are, patterns between slashes, a function by its name."""
    if callable(value):
        return f"function {getattr(value, '__qualname__', type(value).__name__)}"
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(f"/{v.pattern}/" if isinstance(v, re.Pattern) else v for v in value)
