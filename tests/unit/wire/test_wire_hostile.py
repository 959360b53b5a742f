"""Whatever stands in the fields, the request can be read and every item is counted."""

from __future__ import annotations

from types import SimpleNamespace

from hypothesis import given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.metrics._internal.point import Buckets
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    ExponentialHistogram,
    ExponentialHistogramDataPoint,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    Sum,
)
from opentelemetry.sdk.trace import Event, ReadableSpan
from opentelemetry.trace import Link, SpanContext, SpanKind
from opentelemetry.trace.status import Status, StatusCode
from otlp_samples import collected, owned, record, span

from otelkit.wire import logs, metrics, split, traces


class Breaking:
    """An object that raises for whatever is done with it."""

    def _raise(self, *_):
        raise LookupError("no")

    __getattr__ = __str__ = __iter__ = __len__ = __bool__ = __index__ = __float__ = _raise
    __eq__ = __hash__ = __lt__ = __le__ = __gt__ = __ge__ = __call__ = __getitem__ = _raise


JUNK = st.one_of(
    st.none(),
    st.builds(Breaking),
    st.sampled_from([object(), Breaking, [], {}, (), {1: 2}, [[]], True, type, SpanKind.SERVER]),
    st.integers(-(2**70), 2**130),
    st.floats(),
    st.text("a\ud800é", max_size=3),
    st.binary(max_size=3),
    st.lists(st.integers(-5, 2**64), max_size=2),
)
OFTEN = settings(max_examples=200, deadline=None)


def odd(usual):
    return st.one_of(st.just(usual), JUNK)


def contexts():
    return st.tuples(odd(1), odd(2), odd(False), odd(0), odd({}), odd(True)).map(
        lambda fields: tuple.__new__(SpanContext, fields)
    )


SPANS = st.fixed_dictionaries(
    {
        "name": odd("a"),
        "context": odd(SpanContext(1, 2, False)) | contexts(),
        "parent": odd(None) | contexts(),
        "kind": odd(SpanKind.CLIENT) | st.builds(SimpleNamespace, _value_=JUNK),
        "attributes": odd({"k": "v"}) | st.dictionaries(st.text("a\ud800", max_size=2), JUNK, max_size=2),
        "events": odd(())
        | st.lists(st.builds(Event, name=JUNK, attributes=JUNK, timestamp=JUNK) | JUNK, max_size=2),
        "links": odd(())
        | st.lists(st.builds(Link, context=contexts() | JUNK, attributes=JUNK) | JUNK, max_size=2),
        "status": odd(Status(StatusCode.OK))
        | st.builds(SimpleNamespace, _status_code=JUNK, _description=JUNK),
        "start_time": odd(1),
        "end_time": odd(2),
        "resource": JUNK,
        "instrumentation_scope": JUNK,
    }
)


@given(SPANS)
@OFTEN
def test_spans_with_anything_in_them(fields):
    """A span of junk is sent or is a stub, and the span after it is as it was."""
    fine = span("fine")
    encoded = traces.encode([ReadableSpan(**fields), fine])

    names = [item.name for _, _, item in owned("traces", encoded.body)]
    assert (2, 2) == (encoded.items, len(names))
    assert "fine" == names[-1]


RECORD = ("timestamp", "observed_timestamp", "trace_flags", "trace_id", "span_id", "severity_number")
RECORDS = st.dictionaries(
    st.sampled_from([*RECORD, "severity_text", "body", "attributes", "event_name"]), JUNK
)


@given(RECORDS)
@OFTEN
def test_log_records_with_anything_in_them(fields):
    """A record of junk is sent or is a stub, and the record after it is as it was."""
    broken, fine = record("broken"), record("fine")
    broken.log_record.__dict__.update(fields)
    encoded = logs.encode([broken, fine])

    bodies = [item.body for _, _, item in owned("logs", encoded.body)]
    assert (2, 2) == (encoded.items, len(bodies))
    assert "fine" == bodies[-1].string_value


TIMES = {
    "attributes": odd({}),
    "start_time_unix_nano": odd(1),
    "time_unix_nano": odd(2),
    "exemplars": odd([]),
}
SPREAD = {"count": odd(1), "sum": odd(1.0), "min": odd(None), "max": odd(None)}
BUCKETS = odd(Buckets(0, [1])) | st.builds(Buckets, offset=odd(0), bucket_counts=JUNK)
NUMBER = st.builds(NumberDataPoint, value=odd(1), **TIMES)
HISTOGRAM = st.builds(HistogramDataPoint, bucket_counts=odd([1]), explicit_bounds=odd([]), **SPREAD, **TIMES)
EXPONENTIAL = st.builds(
    ExponentialHistogramDataPoint,
    scale=odd(0),
    zero_count=odd(0),
    positive=BUCKETS,
    negative=BUCKETS,
    flags=odd(0),
    **SPREAD,
    **TIMES,
)
TEMPORALITY = odd(AggregationTemporality.DELTA)
DATA = st.one_of(
    st.builds(
        Sum,
        data_points=st.lists(NUMBER | JUNK, max_size=3),
        aggregation_temporality=TEMPORALITY,
        is_monotonic=odd(True),
    ),
    st.builds(
        Histogram, data_points=st.lists(HISTOGRAM | JUNK, max_size=3), aggregation_temporality=TEMPORALITY
    ),
    st.builds(
        ExponentialHistogram,
        data_points=st.lists(EXPONENTIAL | JUNK, max_size=3),
        aggregation_temporality=TEMPORALITY,
    ),
)
METRICS = st.builds(Metric, name=odd("m"), description=odd(""), unit=odd("s"), data=DATA)


@given(METRICS)
@OFTEN
def test_metrics_with_anything_in_them(metric):
    """Each point is sent or counted as failed, and the metric after it is as it was."""
    fine = Metric("fine", None, None, Sum([NumberDataPoint({}, 1, 2, 3)], AggregationTemporality.DELTA, True))
    encoded = metrics.encode(collected(metric, fine))

    assert len(metric.data.data_points) + 1 == encoded.items + encoded.failed
    assert encoded.items == split.count("metrics", encoded.body)
    assert "fine" == [item.name for _, _, item in owned("metrics", encoded.body)][-1]
