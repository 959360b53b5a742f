"""Collected metrics as an ``ExportMetricsServiceRequest``.

Source: opentelemetry/proto/metrics/v1/metrics.proto. What is in a metric and how is what the official
encoder has (opentelemetry.exporter.otlp.proto.common), which has one bad point cost the collection.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from struct import Struct, pack
from typing import TYPE_CHECKING, Any

from otelkit.processors.plain import is_wide
from otelkit.wire._protobuf import (
    DOUBLE,
    FIXED64,
    LEN,
    VARINT,
    delimited,
    double,
    fixed64s,
    tag,
    uint32_or_0,
    uint64,
    uint64_or_0,
    varint,
    zigzag32,
)
from otelkit.wire.encoded import Encoded
from otelkit.wire.resource import Groups
from otelkit.wire.values import Attributes, TextField

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricsData

__all__ = ["encode"]

# Metric: name 1, description 2, unit 3, gauge 5, sum 7, histogram 9, exponential_histogram 10.
_name, _description, _unit = TextField(1), TextField(2), TextField(3)

# All four: data_points 1, aggregation_temporality 2 (a gauge has none). Sum: is_monotonic 3.
_POINT, _TEMPORALITY, _MONOTONIC = tag(1, LEN), tag(2, VARINT), tag(3, VARINT) + b"\x01"

# All points: start_time 2, time 3.
_START, _TIME = tag(2, FIXED64)[0], tag(3, FIXED64)[0]
_GAUGE_TIME = tag(3, FIXED64)
_both_times = Struct("<BQBQ").pack

# NumberDataPoint: as_double 4, exemplars 5, as_int 6, attributes 7.
_NUMBER_DOUBLE, _NUMBER_INT = tag(4, DOUBLE), tag(6, FIXED64)
_NUMBER_EXEMPLAR, _number_attributes = tag(5, LEN), Attributes(7)

# HistogramDataPoint: count 4, sum 5, bucket_counts 6, explicit_bounds 7, exemplars 8, attributes 9,
# min 11, max 12.
_COUNT, _SUM = tag(4, FIXED64), tag(5, DOUBLE)
_BUCKETS, _BOUNDS = tag(6, LEN), tag(7, LEN)
_HISTOGRAM_EXEMPLAR, _histogram_attributes = tag(8, LEN), Attributes(9)
_HISTOGRAM_MIN, _HISTOGRAM_MAX = tag(11, DOUBLE), tag(12, DOUBLE)

# ExponentialHistogramDataPoint: attributes 1, count 4, sum 5, scale 6, zero_count 7, positive 8,
# negative 9, flags 10, exemplars 11, min 12, max 13. Buckets: offset 1, bucket_counts 2.
_SCALE, _ZERO_COUNT, _POSITIVE, _NEGATIVE = tag(6, VARINT), tag(7, FIXED64), tag(8, LEN), tag(9, LEN)
_FLAGS, _EXPONENTIAL_EXEMPLAR, _exponential_attributes = tag(10, VARINT), tag(11, LEN), Attributes(1)
_EXPONENTIAL_MIN, _EXPONENTIAL_MAX = tag(12, DOUBLE), tag(13, DOUBLE)
_OFFSET, _BUCKET_COUNTS = tag(1, VARINT), tag(2, LEN)

# Exemplar: time 2, as_double 3, span_id 4, trace_id 5, as_int 6, filtered_attributes 7.
_EXEMPLAR_TIME, _EXEMPLAR_DOUBLE, _EXEMPLAR_INT = tag(2, FIXED64), tag(3, DOUBLE), tag(6, FIXED64)
_EXEMPLAR_SPAN, _EXEMPLAR_TRACE = tag(4, LEN) + b"\x08", tag(5, LEN) + b"\x10"
_exemplar_attributes = Attributes(7)

_int64 = Struct("<q").pack


def encode(data: MetricsData) -> Encoded:
    """An ``ExportMetricsServiceRequest`` of collected metrics.

    Args:
        data: What a reader collected.

    Returns:
        The request. Text, attributes and times are mended as those of spans are; an integer beyond
        64 bits becomes a double; an exemplar that cannot be encoded is left out. A data point is
        left out, and counted in ``failed``, when its numbers are none (a count below zero, a value
        of text), when it raises as it is read, and when its metric is of a kind that OTLP does not
        have. Never raises for what is in a metric.
    """
    groups = Groups()
    items = failed = 0
    for resource_metrics in data.resource_metrics:
        for scope_metrics in resource_metrics.scope_metrics:
            for metric in scope_metrics.metrics:
                body, encoded, lost = _metric(metric)
                if body:
                    groups.add(resource_metrics.resource, scope_metrics.scope, body)
                items += encoded
                failed += lost
    return Encoded(groups.body(), items, failed)


@dataclass(frozen=True, slots=True)
class _Kind:
    """How the metrics of one kind are encoded."""

    field: bytes
    point: Callable[[Any], bytes]
    more: Callable[[Any], bytes]


def _metric(metric: Any) -> tuple[bytes, int, int]:
    """The metric (nothing if all its points are lost), how many points it has, how many are lost."""
    given: Any = None
    try:
        given = metric.data.data_points
        kind = next(kind for base, kind in _kinds().items() if isinstance(metric.data, base))
        points = _encoded_points(given, kind.point)
        if given and not points:
            return b"", 0, len(given)
        parts = [_name.of(metric.name), _description.of(metric.description), _unit.of(metric.unit)]
        if points:
            parts.append(delimited(kind.field, b"".join(points) + kind.more(metric.data)))
        return b"".join(parts), len(points), len(given) - len(points)
    except Exception:
        return b"", 0, _length(given)


def _length(points: Any) -> int:
    """How many points they are; of what is no metric, one."""
    try:
        return len(points)
    except Exception:
        return 1


def _encoded_points(points: Any, encoded: Callable[[Any], bytes]) -> list[bytes]:
    fields = []
    for point in points:
        try:
            fields.append(delimited(_POINT, encoded(point)))
        except Exception:
            pass  # what is missing is counted by the caller
    return fields


@lru_cache(maxsize=1)
def _kinds() -> dict[type, _Kind]:
    from opentelemetry.sdk.metrics.export import ExponentialHistogram, Gauge, Histogram, Sum

    return {
        Gauge: _Kind(tag(5, LEN), _gauge_point, lambda _: b""),
        Sum: _Kind(tag(7, LEN), _sum_point, _sum_settings),
        Histogram: _Kind(tag(9, LEN), _histogram_point, _temporality),
        ExponentialHistogram: _Kind(tag(10, LEN), _exponential_point, _temporality),
    }


def _temporality(data: Any) -> bytes:
    return _TEMPORALITY + varint(uint32_or_0(data.aggregation_temporality))


def _sum_settings(data: Any) -> bytes:
    return _temporality(data) + _MONOTONIC if data.is_monotonic else _temporality(data)


def _times(point: Any) -> bytes:
    start, time = point.start_time_unix_nano, point.time_unix_nano
    try:
        return _both_times(_START, start, _TIME, time)
    except Exception:  # no times
        return _both_times(_START, uint64_or_0(start), _TIME, uint64_or_0(time))


def _number(value: Any, double_tag: bytes, int_tag: bytes) -> bytes:
    if isinstance(value, int) and not is_wide(value):
        return int_tag + _int64(value)
    return double_tag + double(value)


def _optional(field_tag: bytes, value: Any) -> bytes:
    return b"" if value is None else field_tag + double(value)


def _gauge_point(point: Any) -> bytes:
    # The official encoder gives a gauge's point no start time.
    return _GAUGE_TIME + uint64(uint64_or_0(point.time_unix_nano)) + _number_fields(point)


def _sum_point(point: Any) -> bytes:
    return _times(point) + _number_fields(point)


def _number_fields(point: Any) -> bytes:
    parts = [_number(point.value, _NUMBER_DOUBLE, _NUMBER_INT)]
    parts += _number_attributes(point.attributes)
    if point.exemplars:
        parts += _exemplars(point.exemplars, _NUMBER_EXEMPLAR)
    return b"".join(parts)


def _histogram_point(point: Any) -> bytes:
    bounds = point.explicit_bounds
    parts = [
        _times(point),
        _COUNT + uint64(point.count),
        _optional(_SUM, point.sum),
        delimited(_BUCKETS, fixed64s(point.bucket_counts)),
        delimited(_BOUNDS, pack(f"<{len(bounds)}d", *bounds)),
        _optional(_HISTOGRAM_MIN, point.min),
        _optional(_HISTOGRAM_MAX, point.max),
        *_histogram_attributes(point.attributes),
    ]
    if point.exemplars:
        parts += _exemplars(point.exemplars, _HISTOGRAM_EXEMPLAR)
    return b"".join(parts)


def _exponential_point(point: Any) -> bytes:
    parts = [
        _times(point),
        _COUNT + uint64(point.count),
        _optional(_SUM, point.sum),
        _SCALE + zigzag32(point.scale),
        _ZERO_COUNT + uint64(point.zero_count),
        _buckets(_POSITIVE, point.positive),
        _buckets(_NEGATIVE, point.negative),
        _FLAGS + varint(uint32_or_0(point.flags)),
        _optional(_EXPONENTIAL_MIN, point.min),
        _optional(_EXPONENTIAL_MAX, point.max),
        *_exponential_attributes(point.attributes),
    ]
    if point.exemplars:
        parts += _exemplars(point.exemplars, _EXPONENTIAL_EXEMPLAR)
    return b"".join(parts)


def _buckets(field_tag: bytes, buckets: Any) -> bytes:
    if not buckets.bucket_counts:
        return b""
    for number in buckets.bucket_counts:
        uint64(number)  # raises for what is none; a varint would take it
    counts = b"".join(map(varint, buckets.bucket_counts))
    return delimited(field_tag, _OFFSET + zigzag32(buckets.offset) + delimited(_BUCKET_COUNTS, counts))


def _exemplars(exemplars: Any, field_tag: bytes) -> list[bytes]:
    fields = []
    for exemplar in exemplars:
        try:
            fields.append(delimited(field_tag, _exemplar(exemplar)))
        except Exception:
            pass  # the point is worth more than an example of it
    return fields


def _exemplar(exemplar: Any) -> bytes:
    parts = [
        _EXEMPLAR_TIME + uint64(uint64_or_0(exemplar.time_unix_nano)),
        _number(exemplar.value, _EXEMPLAR_DOUBLE, _EXEMPLAR_INT),
        *_exemplar_attributes(exemplar.filtered_attributes),
    ]
    trace_id, span_id = exemplar.trace_id, exemplar.span_id
    if trace_id is not None and span_id is not None:
        parts.append(_EXEMPLAR_TRACE + int.to_bytes(trace_id, 16, "big"))
        parts.append(_EXEMPLAR_SPAN + int.to_bytes(span_id, 8, "big"))
    return b"".join(parts)
