"""The size of a result's data."""

from __future__ import annotations

import io
import json
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otelkit.monitor._size import MOST_ITEMS, data_of, size_of

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


def test_a_stream_is_not_read():
    """To read the data of a response that is still to be streamed would take it from the application."""

    class Response(io.IOBase):  # as urllib3's
        @property
        def data(self):
            raise AssertionError

    class Streamed:  # as werkzeug's
        is_streamed = True
        data = b"all"

    streamed = Streamed()
    assert (False, None) == data_of(Response())
    assert (False, None) == data_of(streamed)

    streamed.is_streamed = False
    assert (True, b"all") == data_of(streamed)


def test_where_data_is_found():
    """Data is an attribute, or a key of a mapping; None is data too, and nothing is not."""
    assert (True, None) == data_of(SimpleNamespace(data=None))
    assert (True, 1) == data_of({"data": 1})
    assert (False, None) == data_of({})
    assert (False, None) == data_of(7)
