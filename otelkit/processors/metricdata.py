"""Collected metrics made ready to leave: repaired, redacted, no two points of one identity.

Pure functions over the SDK's immutable data. They give the same objects back where nothing had to
change, so that a collection in which all is well costs one look per point.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from otelkit.processors.limits import repair, repair_text
from otelkit.processors.metricmerge import merge_points

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import Metric, MetricsData, ResourceMetrics, ScopeMetrics

__all__ = ["Memo", "Redacting", "clean", "cleaner"]

Attributes = Mapping[str, Any]
Item = TypeVar("Item")

_INT64 = 1 << 63


class Redacting(Protocol):
    """What is needed of `otelkit.processors.redact.Redactor`."""

    def fields(self, mapping: Mapping[str, Any], /) -> dict[str, Any]:
        """The mapping without secrets; the same object when there are none."""
        ...


class Memo:
    """Remembers what a pure function made of each attribute set, by the set's identity.

    The SDK keeps one mapping per series for as long as the series lives, so after the first
    collection a series costs one lookup. Safe to call from several threads.

    Args:
        function: Makes the new attributes; what it returns must not be changed afterwards.
        max_entries: Forget everything when this many sets are known.
    """

    __slots__ = ("_function", "_known", "_max_entries")

    def __init__(self, function: Callable[[Attributes], Attributes], *, max_entries: int = 20_000) -> None:
        self._function = function
        self._max_entries = max_entries
        # The first element keeps the mapping alive, so that no other can get its id.
        self._known: dict[int, tuple[Attributes, Attributes]] = {}

    def __call__(self, attributes: Attributes) -> Attributes:
        """What the function makes of ``attributes``."""
        known = self._known.get(id(attributes))
        if known is not None:
            return known[1]
        made = self._function(attributes)
        if len(self._known) >= self._max_entries:
            self._known.clear()
        self._known[id(attributes)] = (attributes, made)
        return made


def clean(metrics_data: MetricsData, redactor: Redacting) -> MetricsData:
    """Metrics that every exporter can encode and that hold no secrets.

    Text is repaired (lone surrogates), attributes are redacted, values beyond the wire's range
    become floats, and points whose attributes became equal are merged. Scopes and the resource
    stay; the resource is not redacted.

    Args:
        metrics_data: What a reader collected.
        redactor: Whose ``fields`` is applied to the attributes of points and exemplars.

    Returns:
        The same object when nothing had to change. For repeated use see `cleaner`.
    """
    return cleaner(redactor)(metrics_data)


def cleaner(redactor: Redacting) -> Callable[[MetricsData], MetricsData]:
    """`clean` for one redactor, with a memory of the attribute sets that it has seen."""

    def fields(attributes: Attributes) -> Attributes:
        repaired: Attributes = repair(redactor.fields(attributes))
        return repaired

    memo = Memo(fields)

    def cleaned(metrics_data: MetricsData) -> MetricsData:
        resources = _each(metrics_data.resource_metrics, lambda entry: _clean_resource(entry, memo))
        return _changed(metrics_data, resource_metrics=resources)

    return cleaned


def _each(items: Sequence[Item], function: Callable[[Item], Item]) -> Sequence[Item]:
    new = [function(item) for item in items]
    unchanged = all(before is after for before, after in zip(items, new, strict=True))
    return items if unchanged else new


def _changed(item: Item, **fields: Any) -> Item:
    different = {name: value for name, value in fields.items() if getattr(item, name) is not value}
    return replace(item, **different) if different else item  # type: ignore[type-var]


def _clean_resource(entry: ResourceMetrics, memo: Memo) -> ResourceMetrics:
    resource = entry.resource
    attributes = _repair_all(resource.attributes)
    if attributes is not resource.attributes:
        resource = Resource(attributes, resource.schema_url)
    scopes = _each(entry.scope_metrics, lambda scope: _clean_scope(scope, memo))
    return _changed(entry, resource=resource, scope_metrics=scopes)


def _repair_all(attributes: Attributes) -> Any:
    plain = dict(attributes)
    repaired = repair(plain)
    return attributes if repaired is plain else repaired


def _clean_scope(entry: ScopeMetrics, memo: Memo) -> ScopeMetrics:
    scope = entry.scope
    name, version = repair_text(scope.name or ""), repair_text(scope.version or "")
    url, attributes = repair_text(scope.schema_url or ""), _repair_all(scope.attributes or {})
    given = (scope.name or "", scope.version or "", scope.schema_url or "", scope.attributes or {})
    if (name, version, url, attributes) != given:
        scope = InstrumentationScope(name, version, url, attributes)
    metrics = _each(entry.metrics, lambda metric: _clean_metric(metric, memo))
    schema_url = entry.schema_url and repair_text(entry.schema_url)
    return _changed(entry, scope=scope, metrics=metrics, schema_url=schema_url)


def _clean_metric(metric: Metric, memo: Memo) -> Metric:
    points = _each(metric.data.data_points, lambda point: _clean_point(point, memo))
    if points is not metric.data.data_points:
        points = merge_points(metric.data, points)
    return _changed(
        metric,
        name=repair_text(metric.name),
        description=metric.description and repair_text(metric.description),
        unit=metric.unit and repair_text(metric.unit),
        data=_changed(metric.data, data_points=points),
    )


def _clean_point(point: Any, memo: Memo) -> Any:
    attributes = point.attributes and memo(point.attributes)
    exemplars = point.exemplars and _each(point.exemplars, lambda one: _clean_exemplar(one, memo))
    names = ("value",) if hasattr(point, "value") else ("sum", "min", "max")
    numbers = {name: _number(getattr(point, name)) for name in names}
    return _changed(point, attributes=attributes, exemplars=exemplars, **numbers)


def _clean_exemplar(exemplar: Any, memo: Memo) -> Any:
    # Attributes that a view took off the point travel in its exemplars.
    filtered = exemplar.filtered_attributes and memo(exemplar.filtered_attributes)
    return _changed(exemplar, filtered_attributes=filtered, value=_number(exemplar.value))


def _number(value: Any) -> Any:
    """The value as OTLP can carry it: a float, or an integer of 64 bits."""
    if value is None or type(value) is float or (type(value) is int and -_INT64 <= value < _INT64):
        return value
    try:
        return float(value)
    except OverflowError:
        return math.inf if _is_positive(value) else -math.inf
    except Exception:  # a gauge keeps whatever it was set to
        return math.nan


def _is_positive(value: Any) -> bool:
    try:
        return bool(value > 0)
    except Exception:
        return False
