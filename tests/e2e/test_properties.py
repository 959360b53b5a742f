"""Whatever an application tells, nothing is raised, it arrives, and so does what stands beside it.

Each example runs a runtime with the official OTLP exporters against a receiver that decodes with
opentelemetry-proto: an item that cannot be encoded would cost its whole batch, its neighbours
included.
"""

from __future__ import annotations

import contextlib
import dataclasses
import enum
import logging
import re

import pytest
import structlog
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry import metrics, trace
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_classic

import otelkit
from otelkit import _guard, _otel, _switch, prometheus
from otelkit.processors.limits import metric_attributes, repair
from otelkit.processors.redact import Redactor
from sink import Sink

# -- what may be told --------------------------------------------------------------------------


class Shown:
    """Gives hypothesis something to print, as what is below has no usable repr."""

    __slots__ = ()

    def _repr_pretty_(self, printer, cycle):
        printer.text(f"{type(self).__name__}()")


class Unprintable(Shown):
    """Neither text nor equality nor hash can be had of it."""

    def __str__(self):
        raise RuntimeError("no text")

    __repr__ = __str__

    def __eq__(self, other):
        raise RuntimeError("no equality")

    def __hash__(self):
        raise RuntimeError("no hash")


class Closed(Shown, dict):
    """A mapping that cannot be read."""

    def items(self):
        raise RuntimeError("no items")

    __iter__ = keys = values = items


class Grudging(Shown):
    """Every attribute raises; it is no sequence although it says so."""

    def __getattr__(self, name):
        raise RuntimeError(name)

    def __len__(self):
        raise RuntimeError("no length")

    def __iter__(self):
        raise RuntimeError("no items")


class Text(Shown, str):
    """A str whose text is not its own."""

    __slots__ = ()

    def __str__(self):
        raise RuntimeError("no text")

    def encode(self, *args, **kwargs):
        raise RuntimeError("no bytes")


class Number(Shown, int):
    """An int that cannot be read."""

    __slots__ = ()

    def __int__(self):
        raise RuntimeError("no number")

    __index__ = __int__

    def __str__(self):
        raise RuntimeError("no text")


class Colour(enum.Enum):
    RED = "\ud83d"


@dataclasses.dataclass
class Order:
    item: object


class UnprintableError(Shown, Exception):
    def __str__(self):
        raise RuntimeError("no text")


def circular():
    found = {}
    found["self"] = [found]
    return found


def deep():
    found = []
    for _ in range(3_000):
        found = {"inner": found}
    return found


hostile = st.sampled_from([
    Unprintable, Grudging, object, lambda: Closed(a=1), lambda: Text("x"), lambda: Number(7), lambda: Colour.RED,
    lambda: Order(Unprintable()), circular, deep, lambda: (n for n in range(3)), lambda: UnprintableError("x"),
    lambda: {Text("k"): Number(1)}, lambda: [Unprintable()], lambda: range(10**6),
    lambda: 10**5000, lambda: "x" * 100_000,
]).flatmap(lambda make: st.builds(make))  # fmt: skip
texts = st.text(st.characters(), max_size=12) | st.sampled_from([
    "", "\ud83d", "\x00", "\x1b[2J", "a\r\nb", "# EOF", '"', "\\", "\u2028", "%s", "{", "le", "\ud83d\ude00",
])  # fmt: skip
scalars = st.one_of(
    texts, st.none(), st.booleans(), st.integers(), st.floats(), st.binary(max_size=8),
    st.complex_numbers(), st.dates(), st.decimals(), st.sampled_from([2**63, -(2**64)]),
)  # fmt: skip
values = st.recursive(
    scalars | hostile,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.tuples(inner, inner)
        | st.dictionaries(texts | st.integers() | st.none(), inner, max_size=3)
        | st.sets(st.integers() | texts, max_size=3)
    ),
    max_leaves=6,
)
any_keys = texts | st.integers() | st.none() | st.binary(max_size=3) | st.tuples(texts)
attributes = st.dictionaries(any_keys, values, max_size=4) | hostile | st.none()
scopes = texts.filter(lambda name: len(name) < 100)

arbitrary = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,  # the same examples at every run: a failure is never a matter of luck
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


# -- the way there -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sink():
    with Sink() as sink:
        yield sink


@contextlib.contextmanager
def running(sink):
    """A fresh runtime; when the block is left, everything told in it has been delivered."""
    sink.clear()
    _guard.forget()
    root = logging.getLogger()
    # pytest's own handlers raise what cannot be formatted.
    before, root.handlers[:] = list(root.handlers), []
    runtime = otelkit.init(
        service_name="shop",
        endpoint=sink.http_endpoint,
        console=False,
        instrument=False,
        log_setup="configure",
        log_level="DEBUG",
    )
    try:
        yield runtime
        assert runtime.flush(30.0), "something could not be encoded"
        assert [0, 0, 0] == [counts.lost for counts in runtime.stats().values()]
    finally:
        assert runtime.shutdown(30.0)
        root.handlers[:] = before
    assert {} == _guard.failures()


# -- the claims --------------------------------------------------------------------------------


@arbitrary
@given(scope=scopes, name=texts | hostile, given_attributes=attributes, key=any_keys | hostile, value=values)
def test_any_span_arrives_beside_its_neighbours(sink, scope, name, given_attributes, key, value):
    """Names, scopes and attributes of any content and type; one value cannot cost another its place."""
    with running(sink):
        with otelkit.span("before", {"n": 1}):
            pass
        with trace.get_tracer(scope).start_as_current_span(name, attributes=given_attributes) as span:
            span.set_attribute(key, value)
            span.set_attributes(given_attributes)
            span.set_attribute("neighbour", "here")
        with otelkit.span("after", {"n": 2}):
            pass

    told = {arrived.span_id: arrived for arrived in sink.spans}
    assert "here" == told.pop(otelkit.span_id(span)).attributes["neighbour"]
    assert [("before", {"n": 1}), ("after", {"n": 2})] == [
        (one.name, one.attributes) for one in told.values()
    ]


@arbitrary
@given(name=texts | hostile, given_attributes=attributes, message=texts | values, version=scopes)
def test_any_event_link_and_error_arrives(sink, name, given_attributes, message, version):
    """What hangs on a span can be of any content: it is there, and the span's other parts as well."""
    raised = [ValueError(message), UnprintableError(), KeyError(message, name)]
    with running(sink):
        linked = trace.get_tracer("first", version).start_span("first")
        linked.end()
        for error in raised:
            link = trace.Link(linked.get_span_context(), given_attributes)
            with contextlib.suppress(Exception), otelkit.span("told", links=[link]) as span:
                span.add_event(name, given_attributes)
                span.add_event("neighbour", {"n": 1})
                span.set_status(trace.StatusCode.ERROR, message)
                span.update_name("told")
                raise error

    told = [span for span in sink.spans if span.name == "told"]
    assert [3] * 3 == [len(span.events) for span in told]
    assert [("neighbour", {"n": 1})] * 3 == [
        (span.events[1].name, span.events[1].attributes) for span in told
    ]
    assert {"exception"} == {span.events[2].name for span in told}
    assert {(linked.get_span_context().span_id.to_bytes(8, "big").hex(), "error")} == {
        (span.links[0].span_id, span.status) for span in told
    }


def reserved(name):
    return (
        name in {"event", "message", "asctime", "exc_info", "stack_info", "extra"}
        or name in logging.LogRecord("", 0, "", 0, "", (), None).__dict__
    )


fields = st.dictionaries(texts.filter(lambda name: not reserved(name)), values, max_size=4)


@arbitrary
@given(scope=scopes.filter(bool), event=values, given_fields=fields, args=st.lists(values, max_size=3))
def test_any_log_line_arrives_beside_its_neighbours(sink, scope, event, given_fields, args):
    """structlog and the standard library: bodies, fields, %-arguments, logger names of any content."""
    with running(sink):
        log = structlog.get_logger(scope)
        log.info(event, **given_fields)
        log.info("neighbour", n=1)
        with otelkit.bind(**given_fields):
            otelkit.get_logger(scope).warning("bound", neighbour=1)
        std = logging.getLogger(scope)
        std.warning(event, extra=given_fields)
        std.warning("%s", *args[:1])
        std.warning("%d %s %(x)s", *args)
        std.warning("neighbour of %s", "std")

    bodies = [record.body for record in sink.logs]
    assert (1, 1, 1) == tuple(bodies.count(text) for text in ("neighbour", "bound", "neighbour of std"))
    assert len(bodies) == 7


@arbitrary
@given(
    scope=scopes,
    body=values,
    given_attributes=attributes,
    text=texts | st.none(),
    number=st.sampled_from([*_otel.SeverityNumber, None, 7, "INFO"]),
    when=st.none() | st.integers() | st.floats() | texts,
)
def test_any_record_of_the_logs_api_arrives(sink, scope, body, given_attributes, text, number, when):
    """Records that a library emits itself, with fields of any content and type."""
    with running(sink):
        logger = _otel.get_logger(scope)
        for record_body, record_attributes in ((body, given_attributes), ("neighbour", {"n": 1})):
            logger.emit(
                _otel.LogRecord(
                    timestamp=when,
                    observed_timestamp=when,
                    severity_text=text,
                    severity_number=number,
                    body=record_body,
                    attributes=record_attributes,
                    event_name=text,
                )
            )
        logger.emit(body="fields", severity_text=text, attributes=given_attributes)

    told, neighbour, by_fields = sink.logs
    assert ("neighbour", {"n": 1}, "fields") == (neighbour.body, neighbour.attributes, by_fields.body)


KINDS = {"counter": "add", "up_down_counter": "add", "histogram": "record", "gauge": "set"}
VALID_NAME = re.compile(r"[a-zA-Z][-_./a-zA-Z0-9]{0,254}")  # the specification's rule
names = st.from_regex(r"[a-zA-Z][-_./a-zA-Z0-9]{0,6}", fullmatch=True) | texts | hostile | st.none()
units = st.sampled_from(["", "s", "By", "{x}", "1", "total"]) | texts | hostile
measurements = st.lists(
    st.tuples(
        st.sampled_from(sorted(KINDS)),
        names,
        units,
        texts | hostile,
        attributes,
        values | st.integers(0, 9) | st.floats(),
    ),
    min_size=1,
    max_size=4,
)


@arbitrary
@given(scope=scopes, told=measurements)
def test_any_measurement_arrives_and_the_page_parses(sink, scope, told):
    """Instruments, label keys and values, numbers of any content: OTLP and `/metrics` have the others."""
    with running(sink):
        meter = metrics.get_meter(scope)
        metrics.get_meter("n").create_counter("untouched.neighbour").add(7, {"a": "b"})
        for kind, name, unit, description, labels, amount in told:
            instrument = getattr(meter, f"create_{kind}")(name, unit, description)
            measure = getattr(instrument, KINDS[kind])
            measure(amount, labels)
            measure(3, {"good": "yes"})
            measure(3, labels)
        classic, strict = page(), page("application/openmetrics-text")
    forget_instruments(scope)

    arrived = {(point.name, frozenset(point.attributes.items())): point.value for point in sink.metrics}
    assert 7 == arrived["untouched.neighbour", frozenset({("a", "b")})]
    for _, name, _, _, labels, _ in told:
        if type(name) is str and VALID_NAME.fullmatch(name):
            assert (name.lower(), frozenset({("good", "yes")})) in arrived
            shown = repair(Redactor.of(True).fields(metric_attributes(labels)))  # a key may be a secret's
            assert (name.lower(), frozenset(shown.items())) in arrived
    assert 7.0 in [
        sample.value
        for family in parse_classic(classic)
        for sample in family.samples
        if (sample.name, sample.labels) == ("untouched_neighbour_total", {"a": "b"})
    ]
    assert "untouched_neighbour" in [family.name for family in parse_openmetrics(strict)]


def page(accept=""):
    return prometheus.render(accept)[0].decode()


def forget_instruments(scope):
    """Instruments live as long as the process; the next example begins without those of this one."""
    with _switch.METRICS._lock:
        for key in [key for key in _switch.METRICS._proxies if key[0] == repair(scope)]:
            del _switch.METRICS._proxies[key]
