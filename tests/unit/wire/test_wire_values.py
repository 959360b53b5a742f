from __future__ import annotations

import enum
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.proto.common.v1.common_pb2 import AnyValue
from opentelemetry.sdk.trace import TracerProvider
from otlp_samples import SCALARS, only, plain, span, told

from otelkit.processors.repair import repair
from otelkit.wire import traces, values


def sent(value):
    """What a reader of an ``AnyValue`` gets."""
    whole = values.any_value(value)
    reader = iter(whole)
    length = shift = 0
    for byte in reader:
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            break
    body = bytes(reader)
    assert length == len(body)
    return AnyValue.FromString(body)


WILD = st.recursive(
    SCALARS | st.integers(-(2**70), 2**70) | st.text("ab\ud800\udc00é", max_size=4),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text("ab\ud800", max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(WILD)
@settings(max_examples=200, deadline=None)
def test_values_are_repaired_as_elsewhere_in_otelkit(value):
    """A value that OTLP cannot carry is what `repair` makes of it."""
    assert sent(repair(value)).SerializeToString() == sent(value).SerializeToString()


class Colour(enum.IntEnum):
    RED = 7


class Name(str, enum.Enum):
    SHOP = "shop"


class Odd(list):
    def __iter__(self):
        raise AssertionError

    __len__ = __str__ = __repr__ = __iter__


class Real(float):
    def __float__(self):
        raise AssertionError

    __str__ = __repr__ = __float__


class Octets(bytes):
    def __bytes__(self):
        raise AssertionError


class Silent:
    def __str__(self):
        raise AssertionError

    __repr__ = __len__ = __iter__ = __hash__ = __str__


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (Colour.RED, 7),
        (Name.SHOP, "shop"),
        (Real(0.5), 0.5),
        (Octets(b"ab"), b"ab"),
        (Odd([1, 2]), [1, 2]),
        (Silent(), "<Silent>"),
        ([Silent(), {"k": Silent()}], ["<Silent>", {"k": "<Silent>"}]),
        ({1: 2, None: 3, b"b": 4, False: 5}, {"1": 2, "None": 3, "b": 4, "False": 5}),
        (2**63, "9223372036854775808"),
        ([2**64, 1, True, "x", None], ["18446744073709551616", "1", "True", "x", None]),
        (range(3), "<range>"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_other_values_are_plain_and_nothing_of_theirs_runs(given, expected):
    """Subclasses are taken as what they hold, other objects by their class's name."""
    assert expected == plain(sent(given))


def test_a_container_in_itself_is_a_marker():
    """A circle is cut where it closes; what merely occurs twice is no circle."""
    circle = [1]
    circle += [circle, circle]
    twice = [1]

    assert [1, "<circular reference>", "<circular reference>"] == plain(sent(circle))
    assert [[1], [1]] == plain(sent([twice, twice]))


@pytest.mark.parametrize("wrap", [lambda inner: [inner], lambda inner: {"k": inner}])
def test_what_is_nested_too_deeply_can_still_be_read(wrap):
    """Protobuf's readers refuse more than a hundred levels; such a record would cost its whole batch."""
    deep = "core"
    for _ in range(500):
        deep = wrap(deep)
    made = span()
    made._attributes = {"deep": deep, "after": 1}

    told_of = told(only("traces", traces.encode([made])).attributes)
    assert "nested too deeply" in str(told_of["deep"])
    assert 1 == told_of["after"]


def test_equal_values_of_different_types_stay_apart():
    """What is remembered of one value is not used for another that compares equal."""
    for value in (1, True, 1.0, 0, False, 0.0, "1", b"1"):
        made = span()
        made._attributes = {"k": value}
        (shown,) = told(only("traces", traces.encode([made])).attributes).values()
        assert (type(value), value) == (type(shown), shown)


def test_keys_that_compare_equal_stay_apart():
    """A key that is no text is not taken for one that was remembered."""
    for key, expected in (("1", "1"), (1, "1"), (True, "True"), (1.0, "1.0"), ("", "")):
        made = span()
        made._attributes = {key: "v"}
        assert {expected: "v"} == told(only("traces", traces.encode([made])).attributes)


def test_what_is_remembered_is_bounded():
    """Endless new keys and names are forgotten; long ones are not even remembered."""
    long = "x" * 65
    for number in range(3_000):
        made = span(f"name {number}")
        made._attributes = {f"key {number}": "v", long: "v"}
        traces.encode([made])

    assert len(values._heads) <= 1_024
    assert len(traces._name) <= 1_024
    assert long not in values._heads


def test_owners_that_are_remembered_are_bounded():
    """Endless new scopes are forgotten."""
    from otelkit.wire import resource

    provider = TracerProvider(shutdown_on_exit=False)
    for number in range(600):
        made = span()
        made._instrumentation_scope = provider.get_tracer(f"scope {number}")._instrumentation_scope
        traces.encode([made])

    assert 0 < len(resource.scope_head._known) <= 256


def test_several_threads_encode_the_same():
    """Threads that share what is remembered do not disturb each other."""
    batch = [span(f"name {number}", {f"key {number}": number}) for number in range(1_500)]
    expected = traces.encode(batch)

    with ThreadPoolExecutor(4) as pool:
        assert [expected] * 8 == list(pool.map(traces.encode, [batch] * 8))


def test_the_import_is_light():
    """The encoders bring nothing of OpenTelemetry, protobuf or the network along."""
    program = (
        "import sys, otelkit.wire.traces, otelkit.wire.logs, otelkit.wire.metrics, otelkit.wire.split\n"
        "print([m for m in sys.modules if m.split('.')[0] in {'opentelemetry', 'google', 'grpc', 'requests'}])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60
    )

    assert "[]" == answer.stdout.strip()
