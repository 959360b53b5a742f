"""The meter provider: the official SDK's, with one pulled reader for each way out."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, MetricsData

from otelkit import _guard
from otelkit._otel import metrics as sdk_metrics

if TYPE_CHECKING:
    from opentelemetry.metrics import Meter
    from opentelemetry.sdk.resources import Resource

    from otelkit.settings import Settings

__all__ = ["Metrics", "PullReader", "Tally", "build", "count_points"]


class PullReader(MetricReader):
    """A reader that collects when it is asked and starts no thread.

    Args:
        temporality: Of kinds of instruments; cumulative where nothing is said.
        aggregation: Likewise; the SDK's default where nothing is said (explicit buckets).
    """

    def __init__(
        self,
        *,
        temporality: dict[type, Any] | None = None,
        aggregation: dict[type, Any] | None = None,
    ) -> None:
        super().__init__(preferred_temporality=temporality, preferred_aggregation=aggregation)
        sdk_metrics.keep_gauge_values(self)
        self._data: MetricsData | None = None

    def pull(self, *, timeout_s: float = 10.0) -> MetricsData | None:
        """What was measured up to now; None when nothing was.

        Args:
            timeout_s: How long the callbacks of observed instruments may take together.
        """
        self._data = None
        self.collect(timeout_millis=timeout_s * 1000)
        return self._data

    def _receive_metrics(self, metrics_data: MetricsData, *_: Any, **__: Any) -> None:
        self._data = metrics_data

    def shutdown(self, timeout_millis: float = 30_000, **_: Any) -> None:
        """Nothing is held."""


class Tally(Protocol):
    """What this process counts in numbers of its own, from 0 on, and lets its meters observe.

    Attributes:
        name, unit, kind: Of the metric; the kind is ``counter`` or ``up_down_counter``.
    """

    name: str
    unit: str
    kind: str

    def series(self) -> Sequence[tuple[Mapping[str, Any], float]]:
        """Attributes and number of each series now, in an order that only grows; from any thread."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Metrics:
    """The meters of one runtime.

    Attributes:
        sdk: The SDK's provider behind them.
        readers: Ours; the first one is cumulative with explicit buckets.
        users: The readers that the user gave.
        resource: Who speaks.
        cardinality_limit: How many attribute sets an instrument may have.
        prefix: The first part of the names of the standard instruments.
        rooms: What other rooms keep for as long as these meters live, by the room's name.
        tallies: What is observed and need not be asked for, by scope and name.
        began: When they were made, in seconds of the monotonic clock.
    """

    sdk: MeterProvider
    resource: Resource
    readers: tuple[MetricReader, ...]
    users: tuple[MetricReader, ...]
    cardinality_limit: int
    prefix: str
    rooms: dict[str, Any] = field(default_factory=dict)
    tallies: dict[tuple[str, str], Tally] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    def get_meter(
        self, name: str, version: str | None = None, schema_url: str | None = None, attributes: Any = None
    ) -> Meter:
        """A meter of the given scope."""
        return self.sdk.get_meter(name or "unknown", version, schema_url, attributes)


def build(
    settings: Settings,
    *,
    resource: Resource,
    readers: Sequence[MetricReader],
    users: Sequence[object] = (),
    clean: Callable[[MetricsData], MetricsData] | None = None,
) -> Metrics:
    """The meters of one runtime.

    Args:
        settings: The resolved settings.
        resource: Who speaks.
        readers: Ours: one for each way out.
        users: The user's own readers. One that an earlier runtime still holds is taken over.
        clean: What is done to a collection before a reader of the user's gets it.
    """
    usable: list[MetricReader] = []
    for reader in users:
        if isinstance(reader, MetricReader):
            sdk_metrics.release_reader(reader)
            usable.append(reader)
        else:
            _guard.refuse(
                f"metric_readers: {type(reader).__name__} is no MetricReader and is left out. "
                "Give objects of opentelemetry.sdk.metrics.export.MetricReader.",
                strict=settings.strict,
            )
    for reader in (*readers, *usable):
        sdk_metrics.allow_series(reader, settings.cardinality_limit)
    sdk = MeterProvider(
        metric_readers=[*readers, *usable],
        resource=resource,
        exemplar_filter=sdk_metrics.exemplar_filter(settings.exemplar_filter),
        shutdown_on_exit=False,
    )
    sdk_metrics.mark_collections(sdk)
    if clean is not None:
        for reader in usable:
            sdk_metrics.change_collected(reader, clean)
    return Metrics(
        sdk=sdk,
        resource=resource,
        readers=tuple(readers),
        users=tuple(usable),
        cardinality_limit=settings.cardinality_limit,
        prefix=settings.metric_prefix,
    )


def count_points(data: MetricsData | None) -> int:
    """How many data points are in ``data``."""
    if data is None:
        return 0
    return sum(
        len(metric.data.data_points)
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    )
