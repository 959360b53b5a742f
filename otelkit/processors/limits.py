"""Any value becomes plain, bounded data at the moment it is given, and stays exportable.

`snapshot` is the one place where application code (``__str__``, iteration, properties) runs: in
the caller, guarded, within fixed bounds. What it returns holds no application object, so that our
threads never call into the application. What plain data can still hold and OTLP cannot is mended at
export, by `repair`.

Bounds: 8 levels, 256 items per level, 2,048 items and four times ``max_length`` characters in all.
"""

from __future__ import annotations

import dataclasses
import json
import math
from collections import deque
from collections.abc import (
    AsyncIterator,
    Callable,
    Coroutine,
    Iterable,
    Iterator,
    Mapping,
    Sequence,
    ValuesView,
)
from collections.abc import Set as AbstractSet
from datetime import date, datetime, time
from enum import Enum
from itertools import islice
from numbers import Integral, Rational, Real
from typing import Any

from otelkit.processors.exceptions import message
from otelkit.processors.plain import NUMBERS, PLAIN, class_name, is_wide, safe_str, scalar_text
from otelkit.processors.repair import repair, repair_text

__all__ = [
    "MAX_LENGTH",
    "cut",
    "for_json",
    "log_attributes",
    "log_value",
    "metric_attributes",
    "repair",
    "repair_text",
    "safe_str",
    "snapshot",
    "span_attributes",
    "span_value",
    "uniform",
]

MAX_LENGTH = 32_768

_MAX_DEPTH = 8
_MAX_ITEMS = 256
_MAX_TOTAL_ITEMS = 2_048
_MAX_ATTRIBUTES = 4_096  # the SDK's own limit (128) is applied later, and counted, there
_MAX_KEY_LENGTH = 256
_MAX_LABEL_LENGTH = 1_024

_LABELS = frozenset((bool, int))
_LISTS = frozenset((tuple, list))
_INVALID = "otelkit.invalid"


def snapshot(
    value: object, *, max_length: int = MAX_LENGTH, failures: list[BaseException] | None = None
) -> Any:
    """A bounded copy of ``value`` that holds no application object.

    Args:
        value: Anything. Exact ``bool``, ``int``, ``float``, ``None`` and short ``str`` come back as
            they are. Generators are not consumed, but shown by their type.
        max_length: How many characters (or bytes) one text keeps, at least 0.
        failures: Takes up the exceptions that were met.

    Returns:
        ``str``, ``bool``, ``int``, ``float``, ``None``, ``bytes``, or a tuple or ``dict[str, ...]``
        of these. What was cut from a container is named in a last item. Never raises;
        ``KeyboardInterrupt`` and its like pass.
    """
    kind = type(value)
    if kind is str:
        return value if len(value) <= max_length else value[:max_length]  # type: ignore[arg-type, index]
    try:
        if kind in PLAIN:
            return value
    except Exception:  # a class whose own class makes no hash of it
        return f"<unprintable {class_name(kind)}>"
    return _Walk(max_length, failures).take(value, 0)


class _Walk:
    """One snapshot under way: what is still allowed, and the containers it stands in."""

    __slots__ = ("_failures", "_items_left", "_max_length", "_path", "_text_left")

    def __init__(self, max_length: int, failures: list[BaseException] | None = None) -> None:
        self._failures = failures
        self._max_length = max_length
        self._text_left = 4 * max_length
        self._items_left = _MAX_TOTAL_ITEMS
        self._path: set[int] = set()

    def take(self, value: Any, depth: int) -> Any:
        kind = type(value)
        if kind is str:
            return self.text(value)
        try:
            if kind in PLAIN:
                return value
            if kind in _CONTAINERS:
                return _CONTAINERS[kind](self, value, depth)
            for bases, convert in _CONVERSIONS:
                if issubclass(kind, bases):
                    return convert(self, value, depth)
            return self._other(value, kind, depth)
        except Exception:
            return f"<unprintable {class_name(kind)}>"

    def text(self, value: str) -> str:
        allowed = min(self._max_length, self._text_left)
        if len(value) > allowed:
            value = value[:allowed]
        self._text_left -= len(value)
        return value

    def octets(self, value: Any, _depth: int) -> bytes:
        return bytes(memoryview(value)[: self._max_length])

    def mapping(self, value: Mapping[Any, Any], depth: int) -> Any:
        return self._inside(value, depth, self._mapping_items)

    def sequence(self, value: Iterable[Any], depth: int) -> Any:
        return self._inside(value, depth, self._sequence_items)

    def _inside(self, value: Any, depth: int, fill: Callable[[Any, int], Any]) -> Any:
        if id(value) in self._path:
            return "<circular reference>"
        if depth >= _MAX_DEPTH:
            return f"<{class_name(type(value))}: nested too deeply>"
        self._path.add(id(value))
        try:
            return fill(value, depth + 1)
        finally:
            self._path.discard(id(value))

    def _mapping_items(self, value: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        # Taking the pairs first, in C, keeps another thread's change of the dict from raising.
        pairs = list(islice(value.items(), self._allowed()))
        self._items_left -= len(pairs)
        taken = {self.key(key): self.take(item, depth) for key, item in pairs}
        if len(value) > len(pairs):
            taken["..."] = f"{len(value) - len(pairs)} more"
        return taken

    def _sequence_items(self, value: Iterable[Any], depth: int) -> tuple[Any, ...]:
        items = list(islice(value, self._allowed()))
        self._items_left -= len(items)
        if issubclass(type(value), AbstractSet):
            items = _in_order(items)
        taken = tuple([self.take(item, depth) for item in items])
        left_out = len(value) - len(items)  # type: ignore[arg-type]
        return (*taken, f"... {left_out} more") if left_out > 0 else taken

    def _allowed(self) -> int:
        return max(0, min(_MAX_ITEMS, self._items_left))

    def key(self, key: Any) -> str:
        if type(key) is not str:
            plain = key if type(key) in PLAIN else self.take(key, _MAX_DEPTH - 1)
            key = _json(plain) if type(plain) in (tuple, dict) else scalar_text(plain)
        return key[:_MAX_KEY_LENGTH] or "_"

    def enum(self, value: Enum, depth: int) -> Any:
        inner = value.value
        if type(inner) in NUMBERS or type(inner) is str:
            return self.take(inner, depth)
        return f"{class_name(type(value))}.{value.name}"

    def string(self, value: Any, _depth: int) -> str:
        return self.text(safe_str(value))

    def moment(self, value: date, _depth: int) -> str:
        return self.text(safe_str(value.isoformat()))

    def failure(self, value: BaseException, _depth: int) -> str:
        if self._failures is not None:
            self._failures.append(value)
        return self.text(f"{class_name(type(value))}: {message(value)}".removesuffix(": "))

    def by_type(self, value: object, _depth: int) -> str:
        return f"<{class_name(type(value))}>"

    def integer(self, value: Any, _depth: int) -> int:
        return int.__int__(value if isinstance(value, int) else int(value))

    def real(self, value: Any, _depth: int) -> float:
        return float.__float__(value if isinstance(value, float) else float(value))

    def _other(self, value: Any, kind: Any, depth: int) -> Any:
        fields = kind.__dict__.get("__dataclass_fields__")
        if fields is not None and _has_generated_repr(kind):
            # By name instead of by repr: bounded, and a field called `password` is redacted.
            shown = {f.name: getattr(value, f.name, None) for f in dataclasses.fields(value) if f.repr}
            return self.mapping(shown, depth)
        if kind.__str__ is object.__str__ and kind.__repr__ is object.__repr__:
            return self.by_type(value, depth)  # the default text differs at each run: an address
        if getattr(value, "shape", None) == () and hasattr(kind, "item"):
            return self.take(value.item(), _MAX_DEPTH)  # a numpy-like scalar
        return self.text(safe_str(value))


# The order matters: an IntEnum is an int, a datetime is a date, a str is a Sequence.
_CONVERSIONS: tuple[tuple[Any, Callable[[_Walk, Any, int], Any]], ...] = (
    (Enum, _Walk.enum),
    (str, _Walk.string),
    (Mapping, _Walk.mapping),
    ((bytes, bytearray, memoryview), _Walk.octets),
    (range, _Walk.sequence),
    ((Sequence, AbstractSet, ValuesView, deque), _Walk.sequence),
    (Integral, _Walk.integer),
    (Rational, _Walk.string),
    (Real, _Walk.real),
    ((date, datetime, time), _Walk.moment),
    (BaseException, _Walk.failure),
    ((Iterator, AsyncIterator, Coroutine), _Walk.by_type),
)


_CONTAINERS: dict[type, Callable[[_Walk, Any, int], Any]] = {
    dict: _Walk.mapping,
    list: _Walk.sequence,
    tuple: _Walk.sequence,
}


def _has_generated_repr(kind: Any) -> bool:
    return kind.__str__ is object.__str__ and bool(kind.__dataclass_params__.repr)


def _in_order(items: list[Any]) -> list[Any]:
    try:
        return sorted(items)
    except Exception:
        return items


def span_value(value: object, *, max_length: int = MAX_LENGTH) -> Any:
    """``value`` as an attribute value that every OTel SDK takes without a word.

    Args:
        value: Anything; see `snapshot`.
        max_length: How many characters one text keeps, at least 0.

    Returns:
        ``str``, ``bool``, ``int``, ``float``, or a tuple of one of these types (its first 256
        items). Mappings, nested and mixed sequences become compact JSON text, ``None`` becomes
        ``"None"``, bytes become text. Never raises.
    """
    kind = type(value)
    if kind is str:
        return value if len(value) <= max_length else value[:max_length]  # type: ignore[arg-type, index]
    try:
        if kind in NUMBERS:
            return value
        if kind is list or kind is tuple:
            items = tuple(islice(value, _MAX_ITEMS))  # type: ignore[call-overload]
            kinds = set(map(type, items))
            if len(kinds) == 1 and kinds <= NUMBERS:
                return items
            if kinds == {str}:
                longest = max(map(len, items))
                return items if longest <= max_length else tuple([item[:max_length] for item in items])
    except Exception:  # a class whose own class makes no hash of it
        return _flat(snapshot(value, max_length=max_length), max_length)
    return _flat(snapshot(value, max_length=max_length), max_length)


def _flat(plain: Any, max_length: int) -> Any:
    kind = type(plain)
    if kind is tuple:
        kinds = set(map(type, plain))
        if len(kinds) <= 1 and kinds <= _ONE_KIND:
            return plain if bytes not in kinds else tuple([scalar_text(item) for item in plain])
    if kind is tuple or kind is dict:
        return _json(plain)[:max_length]
    return plain if kind in NUMBERS else scalar_text(plain)[:max_length]


_ONE_KIND = frozenset((str, bool, int, float, bytes))


def for_json(plain: Any) -> Any:
    """A `snapshot` as what JSON has: text for bytes, for NaN and infinity, for integers beyond 64 bits."""
    kind = type(plain)
    if kind is tuple:
        return [for_json(item) for item in plain]
    if kind is dict:
        return {key: for_json(item) for key, item in plain.items()}
    if kind is bytes or (kind is float and not math.isfinite(plain)) or (kind is int and is_wide(plain)):
        return scalar_text(plain)
    return plain


def log_value(value: object, *, max_length: int = MAX_LENGTH) -> Any:
    """A `snapshot` in which each sequence holds one type, as the logs SDK before 1.40 demands.

    Args:
        value: Anything; see `snapshot`.
        max_length: How many characters one text keeps, at least 0.

    Returns:
        A snapshot; a sequence of mixed types (``None`` apart) is compact JSON text. Never raises.
    """
    return uniform(snapshot(value, max_length=max_length), max_length=max_length)


def uniform(plain: Any, *, max_length: int = MAX_LENGTH) -> Any:
    """What `log_value` makes of a snapshot: each sequence holds one type, or is JSON text.

    Args:
        plain: A `snapshot`.
        max_length: How many characters such a text keeps, at least 0.
    """
    kind = type(plain)
    if kind is dict:
        return {key: uniform(item, max_length=max_length) for key, item in plain.items()}
    if kind not in _LISTS:
        return plain
    items = tuple([uniform(item, max_length=max_length) for item in plain])
    if len({type(item) for item in items if item is not None}) <= 1:
        return items
    return _json(plain)[:max_length]


def cut(plain: Any, *, max_length: int = MAX_LENGTH) -> Any:
    """A snapshot with shorter texts.

    Args:
        plain: A `snapshot`.
        max_length: How many characters (or bytes) one text keeps; four times that in a container.
    """
    return _cut(plain, max_length, [4 * max_length])


def _cut(plain: Any, max_length: int, left: list[int]) -> Any:
    kind = type(plain)
    if kind is str or kind is bytes:
        part = plain[: min(max_length, left[0])]
        left[0] -= len(part)
        return part
    if kind is dict:
        return {key: _cut(item, max_length, left) for key, item in plain.items()}
    return tuple([_cut(item, max_length, left) for item in plain]) if kind in _LISTS else plain


def _json(plain: Any) -> str:
    return json.dumps(for_json(plain), ensure_ascii=False, separators=(",", ":"))


def span_attributes(attributes: Any, *, max_length: int = MAX_LENGTH) -> dict[str, Any]:
    """A copy of ``attributes`` in which every key and value suits every OTel SDK.

    Args:
        attributes: A mapping or ``None``. Keys that are no strings become text, an empty one ``"_"``.
        max_length: How many characters one text keeps, at least 0.

    Returns:
        A new dict, each value as `span_value` makes it. A mapping that raises, or no mapping at all,
        leaves the one entry ``otelkit.invalid`` that names its class. Never raises.
    """
    if attributes is None:
        return {}
    copy = _copied(attributes, NUMBERS, max_length)
    return _attributes(attributes, max_length, span_value) if copy is None else copy


def _copied(attributes: Any, kinds: frozenset[type], max_length: int) -> dict[str, Any] | None:
    """A copy where every key and value can stay as it is, as most do; else None.

    Args:
        attributes: A mapping, or anything else.
        kinds: The types of values that can stay.
        max_length: How long a text may be, too.
    """
    if type(attributes) is not dict:
        return None
    try:
        copy = attributes.copy()  # one step, so that another thread's change cannot raise
        for key, value in copy.items():
            if type(key) is not str or not key or type(value) not in kinds:
                if type(value) is str and len(value) <= max_length and type(key) is str and key:
                    continue
                return None
    except Exception:  # a class whose own class makes no hash of it
        return None
    return copy


def log_attributes(attributes: Any, *, max_length: int = MAX_LENGTH) -> dict[str, Any]:
    """A copy of ``attributes`` for a log record; see `span_attributes`.

    Args:
        attributes: A mapping or ``None``.
        max_length: How many characters one text keeps, at least 0.

    Returns:
        A new dict, each value as `log_value` makes it. Never raises.
    """
    return {} if attributes is None else _attributes(attributes, max_length, log_value)


def _attributes(attributes: Any, max_length: int, shape: Callable[..., Any]) -> dict[str, Any]:
    try:
        if not issubclass(type(attributes), Mapping):
            return {_INVALID: f"<no mapping: {class_name(type(attributes))}>"}
        pairs = list(islice(attributes.items(), _MAX_ATTRIBUTES))
        key_of = _Walk(_MAX_KEY_LENGTH).key
        return {key_of(key): shape(value, max_length=max_length) for key, value in pairs}
    except Exception:
        return {_INVALID: f"<unprintable {class_name(type(attributes))}>"}


def metric_attributes(attributes: Any) -> dict[str, Any]:
    """A copy of ``attributes`` that can name a metric series: hashable, and equal to itself.

    Args:
        attributes: A mapping or ``None``; see `span_attributes`. A text keeps 1,024 characters.

    Returns:
        A new dict of ``str``, ``bool``, ``int``, ``float`` or a tuple of one of these; a NaN, which
        would start a new series at each measurement, is the text ``"NaN"``. Never raises.
    """
    copy = _copied(attributes, _LABELS, _MAX_LABEL_LENGTH)
    if copy is not None:
        return copy
    shaped = span_attributes(attributes, max_length=_MAX_LABEL_LENGTH)
    return {key: _equal_to_itself(value) for key, value in shaped.items()}


def _equal_to_itself(value: Any) -> Any:
    if type(value) is tuple:
        return tuple([scalar_text(item) for item in value]) if any(map(_is_nan, value)) else value
    return scalar_text(value) if _is_nan(value) else value


def _is_nan(value: object) -> bool:
    return type(value) is float and math.isnan(value)
