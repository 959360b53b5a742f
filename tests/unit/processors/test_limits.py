"""Values of any kind become plain, bounded, exportable data, and nothing raises."""

from __future__ import annotations

import enum
import logging
import math
import uuid
from collections import OrderedDict, UserDict, deque
from dataclasses import dataclass, field
from datetime import date, datetime, timezone
from decimal import Decimal
from fractions import Fraction
from inspect import signature
from pathlib import PurePosixPath
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.attributes import BoundedAttributes

from otelkit.processors.limits import (
    log_value,
    metric_attributes,
    repair,
    repair_text,
    safe_str,
    snapshot,
    span_attributes,
    span_value,
)

PLAIN = (str, bool, int, float, type(None), bytes)


def is_plain(value, depth=0):
    assert depth <= 9
    if type(value) is dict:
        return all(type(key) is str and key and is_plain(item, depth + 1) for key, item in value.items())
    if type(value) is tuple:
        return all(is_plain(item, depth + 1) for item in value)
    return type(value) in PLAIN


def boom(*_args, **_kwargs):
    raise RuntimeError("boom")


class HostileMeta(type):
    __name__ = property(boom)
    __getattribute__ = boom


class NoHash(type):
    """Of a class of this one, ``type(value) in {...}`` raises."""

    __hash__ = boom


class Lying:
    __class__ = property(boom)


class HostileStr(str):
    __slots__ = ()
    __str__ = __repr__ = __len__ = __getitem__ = __iter__ = __eq__ = boom
    __hash__ = str.__hash__


class Name(str):
    __slots__ = ()


class HostileInt(int):
    __str__ = __repr__ = __int__ = __index__ = __eq__ = boom
    __hash__ = int.__hash__


class HostileFloat(float):
    __str__ = __repr__ = __float__ = boom


def hostile(*names, bases=(), **members):
    return type("Hostile", bases, dict.fromkeys(names, boom) | members)


class Colour(enum.Enum):
    RED = "red"
    MIXED = (1, "a")


class Level(enum.IntEnum):
    HIGH = 3


@dataclass
class Order:
    id: int
    password: str = field(default="hunter2", repr=False)
    items: tuple = ()


class Scalar:
    """A scalar as numpy has them."""

    shape = ()

    def item(self):
        return 5

    def __str__(self):
        return "five"


class Model:
    """An object as pydantic has them."""

    def __repr__(self):
        return "Model(name='x')"


class Plain:
    pass


def circular_list():
    items = [1]
    items.append(items)
    return items


def circular_dict():
    table = {}
    table["self"] = table
    return table


def deep(levels=3_000):
    value = "end"
    for level in range(levels):
        value = {"in": value} if level % 2 else [value]
    return value


def generator():
    yield 1


async def coroutine_function():
    pass


class Endless(UserDict):
    def items(self):
        number = 0
        while True:
            number += 1
            yield number, number


class EndlessLength(list):
    def __len__(self):
        return 1 << 62


HOSTILE = [
    hostile("__str__", "__repr__")(),
    hostile("__iter__", "__len__", bases=(list,))(),
    hostile("__len__", bases=(list,))([1]),
    hostile("items", "keys", "__iter__", bases=(dict,))(a=1),
    hostile("items", "keys", "__iter__", "__len__", bases=(UserDict,), __init__=object.__init__)(),
    hostile("__hash__", "__eq__", "__bool__", "__getattribute__")(),
    hostile("__lt__", __hash__=object.__hash__)(),
    {hostile("__str__")(): 1},
    {hostile("__lt__", __hash__=object.__hash__)() for _ in range(3)},
    hostile("isoformat", bases=(datetime,))(2024, 1, 1),
    hostile("__str__", bases=(ValueError,))(),
    HostileMeta("Odd", (), {})(),
    NoHash("Odd", (), {})(),
    [1, NoHash("Odd", (), {})()],
    NoHash("Odd", (), {}),
    HostileStr("text"),
    HostileInt(7),
    HostileFloat(7.5),
    Lying(),
    [Lying()],
    circular_list(),
    circular_dict(),
    deep(),
    Endless(),
    EndlessLength([1, 2]),
    list(range(100_000)),
    {str(i): i for i in range(100_000)},
    [[list(range(300))] * 300] * 300,
    ["x" * 40_000] * 400,
    "\ud83d",
    10**6_000,
    [10**6_000],
    {"n": 10**6_000, "f": math.nan},
    memoryview(b"abc")[::2],
    memoryview(bytes(40_000)).cast("B", (200, 200)),
    bytearray(b"\xff"),
    generator(),
    object(),
    type,
    boom,
    NotImplemented,
    deque([1]),
    Plain(),
    Model(),
]


@pytest.mark.parametrize("index", range(len(HOSTILE)))  # pytest itself cannot bear these values
def test_no_value_makes_it_raise(index):
    """Whatever is given, each function returns plain data, bounded in length and number."""
    value = HOSTILE[index]
    taken = snapshot(value)

    assert is_plain(taken)
    assert is_plain(log_value(value))
    assert type(span_value(value)) in (str, bool, int, float, tuple)
    assert type(safe_str(value)) is str
    hash(tuple(metric_attributes({"a": value}).items()))
    assert is_plain(span_attributes(value))
    assert is_plain(repair(taken))


def test_exact_scalars_are_returned_untouched():
    """Exact scalars and short strings come back as the same objects, NaN and infinity included."""
    for value in ("text", 7, 2**70, 7.5, True, None, math.nan, math.inf, "\ud83d"):
        assert snapshot(value) is value
        assert span_value(value) is value or value is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (Colour.RED, "red"),
        (Colour.MIXED, "Colour.MIXED"),
        (Level.HIGH, 3),
        (datetime(2024, 1, 2, 3, 4, 5, tzinfo=timezone.utc), "2024-01-02T03:04:05+00:00"),
        (date(2024, 1, 2), "2024-01-02"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Decimal("1.50"), "1.50"),
        (Fraction(1, 3), "1/3"),
        (PurePosixPath("/tmp/x"), "/tmp/x"),
        (Order(7, items=(1,)), {"id": 7, "items": (1,)}),
        (Model(), "Model(name='x')"),
        (Plain(), "<Plain>"),
        (Scalar(), 5),
        (ValueError("no"), "ValueError: no"),
        (ValueError(), "ValueError"),
        (generator(), "<generator>"),
        (HostileInt(7), 7),
        (HostileFloat(7.5), 7.5),
        (HostileStr("x"), "<unprintable HostileStr>"),
        (Name("bob"), "bob"),
        (b"\xff", b"\xff"),
        (bytearray(b"ab"), b"ab"),
        ({3, 1, 2}, (1, 2, 3)),
        (range(3), (0, 1, 2)),
        (deque([1, "a"]), (1, "a")),
        (OrderedDict(a=1), {"a": 1}),
        (MappingProxyType({"a": [1, {"b": None}]}), {"a": (1, {"b": None})}),
        ({"a": 1}.values(), (1,)),
        (
            {1: "a", None: "b", b"k": "c", (1, 2): "d", "": "e"},
            {"1": "a", "None": "b", "k": "c", "[1,2]": "d", "_": "e"},
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_objects_become_what_a_reader_expects(value, expected):
    """Common objects have their usual plain form."""
    taken = snapshot(value)

    assert taken == expected
    assert type(taken) is type(expected)


def test_what_was_cut_is_named():
    """A container over the limit says how many items are missing, a text is cut to its length."""
    assert snapshot(list(range(300)))[-1] == "... 44 more"
    assert snapshot({str(i): i for i in range(300)})["..."] == "44 more"
    assert snapshot("x" * 50, max_length=8) == "x" * 8
    assert snapshot(["x" * 50], max_length=8) == ("x" * 8,)
    assert snapshot(b"x" * 50, max_length=8) == b"x" * 8


def test_depth_and_circles_are_named():
    """The ninth level and a container within itself are shown by a marker."""
    assert "<circular reference>" in repr(snapshot(circular_dict()))
    assert "nested too deeply" in repr(snapshot(deep(20)))


def test_work_is_bounded():
    """All items of one snapshot together stay under the total, however wide each level is."""

    def count(value):
        if type(value) is dict:
            return sum(map(count, value.values()))
        return sum(map(count, value)) if type(value) is tuple else 1

    assert count(snapshot([[list(range(300))] * 300] * 300)) < 5_000
    assert len("".join(snapshot(["x" * 40_000] * 400)[:-1])) <= 4 * 32_768


def test_a_generator_is_not_consumed():
    """The application still gets every item of a generator that was set as an attribute."""
    items = generator()
    snapshot({"items": items})

    assert list(items) == [1]


def test_an_interrupt_passes():
    """Only failures are swallowed: KeyboardInterrupt reaches the application."""

    class Interrupting:
        def __str__(self):
            raise KeyboardInterrupt

    for function in (snapshot, span_value, safe_str):
        with pytest.raises(KeyboardInterrupt):
            function(Interrupting())


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "None"),
        (b"a\xff", "a\\xff"),
        ([1, 2], (1, 2)),
        (["a", "b"], ("a", "b")),
        ([], ()),
        ([1, 2.5], "[1,2.5]"),
        ([True, 1], "[true,1]"),
        (["a", None], '["a",null]'),
        ([b"a", b"b"], ("a", "b")),
        ([[1], [2]], "[[1],[2]]"),
        ([{"a": 1}], '[{"a":1}]'),
        ({"a": [1, {"b": "\u00e9"}]}, '{"a":[1,{"b":"\u00e9"}]}'),
        ({"n": math.nan, "b": b"x", "i": 2**64}, '{"n":"NaN","b":"x","i":"18446744073709551616"}'),
        (list(range(300)), tuple(range(256))),
        (Order(7), '{"id":7,"items":[]}'),
    ],
    ids=str,
)
def test_span_values_have_one_scalar_type(value, expected):
    """Scalars and lists of one type stay; everything else is compact JSON text."""
    assert span_value(value) == expected


def test_text_of_a_span_value_is_bounded():
    """Long texts are cut in strings, in lists and in JSON."""
    assert span_value("x" * 50, max_length=8) == "x" * 8
    assert span_value(["x" * 50, "y"], max_length=8) == ("x" * 8, "y")
    assert len(span_value({"k": "x" * 50}, max_length=8)) == 8


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(exclude_categories=()))
    | st.binary()
    | st.datetimes()
    | st.uuids()
    | st.decimals()
    | st.sampled_from((0, 1, 2, 3, 7, 9, 10, 13, 14)).map(lambda index: HOSTILE[index]),
    lambda inner: (
        st.lists(inner)
        | st.tuples(inner, inner)
        | st.dictionaries(st.text() | st.integers() | st.none(), inner)
    ),
    max_leaves=12,
)


@settings(max_examples=150, deadline=None)
@given(anything)
def test_the_sdk_takes_every_span_value_silently(value):
    """BoundedAttributes keeps every span value, unchanged in kind, and logs nothing."""
    records = []
    logger = logging.getLogger("opentelemetry.attributes")
    handler = logging.Handler()
    handler.emit = records.append
    logger.addHandler(handler)
    try:
        kept = BoundedAttributes(attributes=span_attributes({"k": value, "l": [value], "m": {"k": value}}))
    finally:
        logger.removeHandler(handler)

    assert not [record.getMessage() for record in records]
    assert set(kept) == {"k", "l", "m"}


@settings(max_examples=150, deadline=None)
@given(anything)
def test_every_log_value_holds_one_type_per_sequence(value):
    """The logs SDK before 1.40 drops sequences of mixed types: a log value has none."""

    def check(plain):
        if type(plain) is dict:
            return all(map(check, plain.values()))
        if type(plain) is tuple:
            return len({type(item) for item in plain} - {type(None)}) <= 1 and all(map(check, plain))
        return type(plain) in PLAIN

    assert check(log_value(value))


@settings(max_examples=150, deadline=None)
@given(anything)
def test_everything_repaired_can_be_encoded(value):
    """After repair the OTLP encoder takes every snapshot; a fine value comes back as it is."""
    from opentelemetry.exporter.otlp.proto.common._internal import _encode_value

    may_be_null = {"allow_null": True} if "allow_null" in signature(_encode_value).parameters else {}
    repaired = repair(snapshot(value))

    _encode_value({"key": repaired}, **may_be_null).SerializeToString()
    assert repair(repaired) == repaired or "nan" in repr(repaired)


def test_attributes_of_scalars_are_copied():
    """A mapping that is fine comes back equal, as a copy that the application cannot change."""
    given = {"a": 1, "b": "x", "c": 2.5, "d": True}

    for taken in (span_attributes(given), metric_attributes(given)):
        assert taken == given
        assert taken is not given


def test_attributes_that_are_no_mapping_leave_a_marker():
    """None is empty; what raises or is no mapping is named by its class."""
    assert span_attributes(None) == metric_attributes(None) == {}
    assert span_attributes([("a", 1)]) == {"otelkit.invalid": "<no mapping: list>"}
    broken = hostile("items", bases=(dict,))(a=1)
    assert span_attributes(broken) == {"otelkit.invalid": "<unprintable Hostile>"}
    assert len(span_attributes(Endless())) == 4_096


def test_attribute_keys_are_strings():
    """Other keys become text and an empty one an underscore, so that the SDK drops none."""
    assert span_attributes({1: "a", "": "b", None: "c"}) == {"1": "a", "_": "b", "None": "c"}


def test_metric_attributes_are_equal_to_themselves():
    """NaN would make a new series at each measurement; lists and mappings can be hashed."""
    labels = metric_attributes(
        {"a": math.nan, "b": [1, 2], "c": {"x": [1]}, "d": [math.nan], "e": "x" * 5_000}
    )

    assert labels == {"a": "NaN", "b": (1, 2), "c": '{"x":[1]}', "d": ("NaN",), "e": "x" * 1_024}


@settings(max_examples=200, deadline=None)
@given(st.text(st.characters(exclude_categories=()) | st.characters(categories=["Cs"])))
def test_repaired_text_is_utf8(text):
    """Lone surrogates become U+FFFD, pairs their character; everything else stays."""
    repaired = repair_text(text)
    repaired.encode()

    assert repaired.replace("\ufffd", "") == "".join(
        char for char in text.encode("utf-16", "surrogatepass").decode("utf-16", "ignore") if char != "\ufffd"
    )


def test_fine_text_is_not_copied():
    """The common case costs nothing: the same object comes back."""
    for text in ("plain", "gr\u00fcn", "\U0001f600"):
        assert repair_text(text) is text
    assert repair_text("a\ud83db") == "a\ufffdb"
    assert repair_text("\ud83d\ude00") == "\U0001f600"


def test_repair_reaches_into_nested_values():
    """Keys, values and integers at any depth are mended; a fine value is the same object."""
    fine = {"a": (1, "x", {"b": None}), "c": 2.5}
    assert repair(fine) is fine
    assert repair({"\ud83d": [1, 2**63], "b": ({"c": "\ud83d"},)}) == {
        "\ufffd": ("1", str(2**63)),
        "b": ({"c": "\ufffd"},),
    }
    assert repair(-(2**63)) == -(2**63)
    assert repair(2**63) == str(2**63)


def test_repair_runs_no_application_code():
    """An object that should not be there is replaced by its class's name."""
    assert repair(hostile("__str__", "__repr__", "__getattribute__")()) == "<Hostile>"
    assert repair([Plain()]) == ("<Plain>",)
