"""The size of a result's data."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from types import SimpleNamespace
from unittest.mock import MagicMock, Mock
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otelkit.monitor._size import MOST_ITEMS, size_of

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=30,
)


@given(JSON)
def test_nested_data_is_its_compact_json(data):
    """What JSON can say counts as compact JSON in UTF-8; text by itself without quotes."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    expected = (
        data.encode("utf-8", "surrogatepass")
        if isinstance(data, str)
        else text.encode("utf-8", "surrogatepass")
    )

    assert len(expected) == size_of(data)


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (b"abc", 3),
        (bytearray(5), 5),
        (memoryview(bytes(16)).cast("i"), 16),
        ("é", 2),
        ("\ud83d", 3),
        ({1: 2}, 7),
    ],
)
def test_plain_data(data, size):
    """Bytes count as they are and text as UTF-8; keys of dicts are text in JSON."""
    assert size == size_of(data)


def test_large_data_is_looked_at_in_part():
    """Of a million items only the first ones are looked at; the same of a list that holds itself."""
    looped: list = [1]
    looped.append(looped)

    assert 2 * MOST_ITEMS >= size_of([7] * 1_000_000)
    assert 6 == size_of(looped)


def test_long_texts_cost_no_search():
    """What JSON escapes is looked for in the first 64 Ki characters only."""
    assert 80_002 + 40_002 + 3 == size_of(["\n" * 40_000] * 2)


def test_sets_are_looked_at_in_part():
    """A set counts as a list, within the same bound."""
    assert 7 == size_of({1, 2, 3})
    assert 100_000 > size_of(frozenset(range(1_000_000)))


def test_collections_are_looked_at_past_their_own_code():
    """What a subclass of a collection, a number or a text does when it is looked at does not happen."""

    def raises(*_):
        raise AssertionError

    lazy = dict.fromkeys(
        ("__iter__", "__getitem__", "__len__", "__bool__", "__str__", "__repr__", "items"), raises
    )
    for kind, data, size in (
        (list, [1], 3),
        (dict, {"a": 1}, 7),
        (tuple, (1,), 3),
        (int, 12, 2),
        (float, 1.5, 3),
        (bytes, b"a", 1),
        (str, "a", 1),
    ):
        assert size == size_of(type("Lazy", (kind,), lazy)(data)), kind


@pytest.mark.parametrize(
    ("data", "size"),
    [
        (Decimal("1.50"), 4),
        (date(2024, 2, 29), 10),
        (UUID(int=0), 36),
        (Fraction(1, 3), 3),
        (IntEnum("Level", "LOW").LOW, 1),
        ([b"abc"], 5),
    ],
)
def test_what_python_prints_itself(data, size):
    """Values of Python's own classes count as their text."""
    assert size == size_of(data)


def test_long_numbers_are_not_printed():
    """The length of a number that Python refuses to print is told from its bits, to a thousandth."""
    assert 100_001 == pytest.approx(size_of(10**100_000), rel=0.002)


@dataclass
class Fields:
    name: str
    _private: int = 0


@dataclass(slots=True)
class Slotted:
    name: str


@pytest.mark.parametrize("data", [Fields("é"), Slotted("é"), SimpleNamespace(name="é")])
def test_fields_are_looked_at(data):
    """A dataclass counts as its public fields, also inside a list."""
    assert len('{"name":"é"}'.encode()) == size_of(data)
    assert len('[{"name":"é"}]'.encode()) == size_of([data])


class Speaking:
    def __str__(self):
        raise AssertionError


class Query:
    def __iter__(self):
        raise AssertionError


@pytest.mark.parametrize("data", [Speaking(), Query(), object(), MagicMock(), Mock(spec=dict)])
def test_what_only_its_own_code_could_tell_has_no_size(data):
    """An object of the application, a query, a mock is not asked; inside a list it counts as `{}`."""
    assert size_of(data) is None
    assert 4 == size_of([data])
    assert not getattr(data, "mock_calls", ())
