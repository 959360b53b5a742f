"""Exemplars on the page: the trace behind a bucket or a total. The official exporter leaves them out.

Only OpenMetrics has them; in text 0.0.4 they are not written.
Rules: https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/#exemplars
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from math import inf
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import Metric
    from prometheus_client import Metric as Family

__all__ = ["put_exemplars"]

_Key = tuple[frozenset[tuple[str, str]], float | None]


def put_exemplars(family: Family, metric: Metric) -> None:
    """Put the newest exemplar on each bucket of a histogram and each total of a counter.

    Args:
        family: What the official exporter made of ``metric``; its samples are replaced.
        metric: Its attributes are the labels of the family.
    """
    if family.type not in ("counter", "histogram"):
        return
    newest: dict[_Key, Any] = {}
    for key, exemplar in _placed(metric.data):
        earlier = newest.get(key)
        if earlier is None or earlier.time_unix_nano <= exemplar.time_unix_nano:
            newest[key] = exemplar
    if newest:
        family.samples = [_with(sample, newest) for sample in family.samples]


def _placed(data: Any) -> Iterator[tuple[_Key, Any]]:
    """Each exemplar of a sampled span with the labels and the upper bound of its sample."""
    for point in data.data_points:
        for exemplar in point.exemplars or ():
            if exemplar.trace_id and exemplar.span_id:
                yield (frozenset(point.attributes.items()), _bound(point, exemplar.value)), exemplar


def _bound(point: Any, value: float) -> float | None:
    bounds = getattr(point, "explicit_bounds", None)
    if bounds is None:
        return None
    bounds = [float(bound) for bound in bounds]
    position = bisect_left(bounds, value)
    return bounds[position] if position < len(bounds) else inf


def _with(sample: Any, newest: Mapping[_Key, Any]) -> Any:
    labels = dict(sample.labels)
    le = labels.pop("le", None) if sample.name.endswith("_bucket") else None
    if le is None and not sample.name.endswith("_total"):
        return sample
    found = newest.get((frozenset(labels.items()), None if le is None else float(le)))
    return sample if found is None else sample._replace(exemplar=_written(found))


def _written(exemplar: Any) -> Any:
    from opentelemetry.trace import format_span_id, format_trace_id
    from prometheus_client.samples import Exemplar

    ids = {"trace_id": format_trace_id(exemplar.trace_id), "span_id": format_span_id(exemplar.span_id)}
    return Exemplar(ids, exemplar.value, exemplar.time_unix_nano / 1e9)
