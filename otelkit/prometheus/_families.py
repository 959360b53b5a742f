"""From collected metrics to Prometheus families, each of them valid and none of them twice.

The translation is the official exporter's. What it gets is made ready for it, so that all its
versions give the same page: names and labels that are unique after they were made valid, one
metric per exposed name, one set of label names per metric, explicit bounds written canonically.

Rules: https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/
"""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import TYPE_CHECKING, Any

from opentelemetry.sdk.metrics.export import ExponentialHistogram, Gauge, Histogram, Metric, Sum

from otelkit import _guard
from otelkit._otel import prometheus as official
from otelkit.catalog import BUCKETS_BY_UNIT, default_buckets
from otelkit.processors.limits import repair
from otelkit.processors.metricdata import Memo, Redacting, cleaner
from otelkit.processors.metricmerge import merge_scopes, metrics_of, with_bounds, with_rising_bounds
from otelkit.prometheus._exemplars import put_exemplars
from otelkit.prometheus._names import family_name, plain_unit, unit_suffix

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.sdk.metrics.export import MetricsData
    from prometheus_client import Metric as Family

__all__ = ["Exposed", "Translator"]

_COUNTER, _UP_DOWN, _GAUGE, _HISTOGRAM = "counter", "up-down counter", "gauge", "histogram"
_FALLBACK_BOUNDS = BUCKETS_BY_UNIT["ms"]


@dataclass(frozen=True, slots=True)
class Exposed:
    """What makes two metrics one family.

    Attributes:
        name: The family's name, with its unit and without ``_total``.
        kind: The kind of instrument.
        unit: The unit as Prometheus writes it, often empty.
    """

    name: str
    kind: str
    unit: str


class Translator:
    """Turns what a reader collected into families; remembers the label sets it has made.

    Args:
        redactor: Applied to the attributes before they become labels.
    """

    def __init__(self, redactor: Redacting) -> None:
        self._clean = cleaner(redactor)
        self._labels = Memo(_labels)
        self._histogram_labels = Memo(partial(_labels, reserved="le"))

    def families(self, metrics_data: MetricsData) -> list[tuple[Exposed, Metric, Family]]:
        """The families with what identifies them and the metric they were made of.

        A metric that cannot be translated is left out and named on stderr.
        """
        groups: dict[Exposed, list[Metric]] = {}
        for metric in metrics_of(self._clean(metrics_data)):
            with _guard.guard(f"prometheus metric {metric.name}"):
                groups.setdefault(_exposed(metric), []).append(_explicit(metric))
        families: list[tuple[Exposed, Metric, Family]] = []
        for exposed, metrics in groups.items():
            with _guard.guard(f"prometheus family {exposed.name}"):
                merged = merge_scopes(metrics, attributes=self._label_set, identity=_label_identity)
                ready = _ready(merged, exposed)
                for family in official.families(ready):
                    put_exemplars(family, ready)
                    families.append((exposed, merged, family))
        return families

    def target_info(self, attributes: Mapping[str, Any]) -> Family:
        """The resource as the family ``target``."""
        return official.target_info(_labels(repair(dict(attributes))))

    def _label_set(self, metric: Metric, attributes: Mapping[str, Any]) -> Mapping[str, Any]:
        memo = self._histogram_labels if isinstance(metric.data, Histogram) else self._labels
        return memo(attributes)


def _labels(attributes: Mapping[str, Any], *, reserved: str = "") -> dict[str, str]:
    """Label names and values of an attribute set; an empty value is no label to Prometheus."""
    labels: dict[str, str] = {}
    for key in sorted(attributes):
        value = attributes[key]
        text = value if isinstance(value, str) else json.dumps(value, default=str)
        if not text:
            continue
        name = official.label_name(key) or "_"
        if name == reserved:
            name = f"exported_{name}"
        # a.b and a_b on one point: the specification joins their values in the keys' order.
        labels[name] = f"{labels[name]};{text}" if name in labels else text
    return labels


def _label_identity(labels: Mapping[str, str]) -> frozenset[tuple[str, str]]:
    return frozenset(labels.items())


def _exposed(metric: Metric) -> Exposed:
    kind, unit = _kind(metric.data), metric.unit or ""
    name = family_name(metric.name, unit, counter=kind == _COUNTER)
    return Exposed(name, kind, unit_suffix(unit))


def _kind(data: object) -> str:
    if isinstance(data, Sum):
        return _COUNTER if data.is_monotonic else _UP_DOWN
    return _GAUGE if isinstance(data, Gauge) else _HISTOGRAM


def _explicit(metric: Metric) -> Metric:
    """The metric with explicit bounds, which a view of the user's may have taken away."""
    if not isinstance(metric.data, ExponentialHistogram):
        return with_rising_bounds(metric)
    bounds = default_buckets(metric.name, metric.unit or "") or _FALLBACK_BOUNDS
    return with_bounds(metric, bounds)


def _ready(metric: Metric, exposed: Exposed) -> Metric:
    """The metric as the official exporter translates it in the same way in all its versions."""
    data: Any = metric.data
    names = sorted({name for point in data.data_points for name in point.attributes})
    shape = _canonical_point if isinstance(data, Histogram) else replace
    points = [
        # One family has one set of label names; older exporters start a new family otherwise.
        shape(point, attributes={name: point.attributes.get(name, "") for name in names})
        for point in data.data_points
    ]
    # The exporter strips the suffix from the names of counters before it adds it.
    name = f"{exposed.name}_total" if exposed.kind == _COUNTER else exposed.name
    unit = plain_unit(metric.unit or "")
    return replace(metric, name=name, unit=unit, data=replace(data, data_points=points))


def _canonical_point(point: Any, *, attributes: Mapping[str, str]) -> Any:
    texts = _bound_texts(tuple(point.explicit_bounds))
    return replace(point, attributes=attributes, explicit_bounds=texts)


@lru_cache(maxsize=256)
def _bound_texts(bounds: tuple[float, ...]) -> tuple[str, ...]:
    """Canonical ``le`` values: of integer bounds the exporter would make ``le="1000"``."""
    from prometheus_client.utils import floatToGoString

    return tuple(floatToGoString(bound) for bound in bounds)  # type: ignore[no-untyped-call]
