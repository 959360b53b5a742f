"""The official Prometheus exporter, which keeps its translation in private names."""

from __future__ import annotations

from functools import lru_cache
from inspect import signature
from typing import TYPE_CHECKING, Any

from otelkit._otel.metrics import keep_gauge_values

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from opentelemetry.sdk.metrics.export import Metric, MetricReader, MetricsData
    from prometheus_client import CollectorRegistry
    from prometheus_client import Metric as Family

__all__ = [
    "bridge_reader",
    "collectors",
    "families",
    "is_bridge",
    "label_name",
    "metric_name",
    "target_info",
    "unit_suffix",
]


def metric_name(name: str) -> str:
    """A metric name made valid for Prometheus by the official exporter's own rule."""
    from opentelemetry.exporter.prometheus._mapping import sanitize_full_name

    return sanitize_full_name(name)


def label_name(key: str) -> str:
    """An attribute key made a valid label name by the official exporter's own rule."""
    from opentelemetry.exporter.prometheus._mapping import sanitize_attribute

    return sanitize_attribute(key)


def unit_suffix(unit: str) -> str:
    """The name suffix of a unit (``s`` gives ``seconds``), empty when it has none."""
    from opentelemetry.exporter.prometheus._mapping import map_unit

    return map_unit(unit)


def bridge_reader(receive: Callable[[MetricsData], None]) -> MetricReader:
    """The official Prometheus reader, kept out of the host's registry.

    Args:
        receive: Gets what each `collect` collected, in the thread that asked for it.
    """
    reader: MetricReader = _bridge_reader_class()(receive)
    return reader


@lru_cache(maxsize=1)
def _bridge_reader_class() -> Any:
    from opentelemetry.exporter.prometheus import PrometheusMetricReader
    from prometheus_client import REGISTRY, CollectorRegistry

    accepted = signature(PrometheusMetricReader).parameters

    class BridgeReader(PrometheusMetricReader):
        """Hands over what it collects; nothing is queued when nobody scrapes."""

        def __init__(self, receive: Callable[[MetricsData], None]) -> None:
            wanted: dict[str, Any] = {"scope_info_enabled": False, "registry": CollectorRegistry()}
            super().__init__(**{name: wanted[name] for name in wanted if name in accepted})
            if "registry" not in accepted:  # older ones put themselves into the host's registry
                REGISTRY.unregister(self._collector)
            self._receive = receive
            self.closed = False
            keep_gauge_values(self)

        @property
        def connected(self) -> bool:
            """Whether a meter provider stands behind the reader, and it was not shut down."""
            return self._collect is not None and not self.closed

        def _receive_metrics(self, metrics_data: MetricsData, *_: Any, **__: Any) -> None:
            if metrics_data is not None:
                self._receive(metrics_data)

        def force_flush(self, timeout_millis: float = 10_000) -> bool:  # noqa: ARG002 - the base's
            return True  # pulled, never pushed

        def shutdown(self, *_: Any, **__: Any) -> None:
            self.closed = True

    return BridgeReader


@lru_cache(maxsize=1)
def _translator() -> Any:
    from opentelemetry.exporter.prometheus import _CustomCollector

    accepted = signature(_CustomCollector).parameters
    wanted: dict[str, Any] = {"disable_target_info": True, "scope_info_enabled": False}
    return _CustomCollector(**{name: wanted[name] for name in wanted if name in accepted})


def families(metric: Metric) -> list[Family]:
    """What the official exporter makes of one metric."""
    from opentelemetry.sdk.metrics.export import MetricsData, ResourceMetrics, ScopeMetrics
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.util.instrumentation import InstrumentationScope

    scope = ScopeMetrics(scope=InstrumentationScope(""), metrics=[metric], schema_url="")
    resource = ResourceMetrics(resource=Resource.get_empty(), scope_metrics=[scope], schema_url="")
    made: dict[str, Family] = {}
    _translator()._translate_to_prometheus(MetricsData([resource]), made)
    return list(made.values())


def target_info(attributes: Mapping[str, str]) -> Family:
    """The official exporter's ``target_info`` of a resource's attributes."""
    family: Family = _translator()._create_info_metric("target", "Target metadata", attributes)
    return family


def collectors(registry: CollectorRegistry) -> list[Any]:
    """The collectors of a registry, one by one, so that one that raises costs no other."""
    collectors = getattr(registry, "_collector_to_names", None)
    return [registry] if collectors is None else list(collectors)


def is_bridge(collector: object) -> bool:
    """Whether a collector is the official exporter, which shows OpenTelemetry's own meters."""
    from opentelemetry.exporter.prometheus import _CustomCollector

    return isinstance(collector, _CustomCollector)
