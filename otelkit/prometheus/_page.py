"""The page behind ``/metrics``: one reader of a meter provider, and the host's own metrics."""

from __future__ import annotations

import os
import threading
import weakref
from typing import TYPE_CHECKING, Any, NamedTuple

from otelkit import _guard
from otelkit._otel import prometheus as official
from otelkit.processors.context import suppress
from otelkit.prometheus._claims import Claims, names_of
from otelkit.prometheus._host import bridged_families, host_families
from otelkit.prometheus._text import END, OPENMETRICS, negotiate, strict, text

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from opentelemetry.sdk.metrics.export import MetricReader, MetricsData
    from opentelemetry.sdk.resources import Resource
    from prometheus_client import Metric as Family

    from otelkit.processors.metricdata import Redacting

__all__ = ["Page", "render_host"]

_pages: weakref.WeakSet[Page] = weakref.WeakSet()


class _Shown(NamedTuple):
    family: Family
    is_ours: bool


class _NoRedaction:
    def fields(self, mapping: Mapping[str, Any], /) -> Any:
        return mapping


class Page:
    """One ``/metrics`` page.

    Give its `reader` to a meter provider, then `render` as often as wanted. Rendering is safe from
    several threads (they take turns) and produces no telemetry.

    Args:
        extra_registry: Whether the metrics that the host keeps in prometheus_client's global
            registry appear on the page as well. Where names clash, the host's stay.
        redactor: A `Redactor`; its ``fields`` is applied to attributes. None redacts nothing.
        resource: What ``target_info`` tells before the first measurement; afterwards it is the
            meter provider's resource.
    """

    def __init__(
        self,
        *,
        extra_registry: bool = True,
        redactor: Redacting | None = None,
        resource: Resource | None = None,
    ) -> None:
        from otelkit.prometheus._families import Translator

        self._translator = Translator(redactor or _NoRedaction())
        self._extra_registry = extra_registry
        self._resource: Mapping[str, Any] = resource.attributes if resource is not None else {}
        self._claims = Claims()
        self._lock = threading.Lock()
        self._collected: MetricsData | None = None
        self._reader: Any = official.bridge_reader(self._receive)
        _pages.add(self)

    @property
    def reader(self) -> MetricReader:
        """The reader to build a meter provider with: cumulative, explicit buckets, pulled only."""
        return self._reader  # type: ignore[no-any-return]

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """The page as it is now.

        Args:
            accept: The ``Accept`` header of the request; it decides between Prometheus text 0.0.4
                (the default) and OpenMetrics 1.0.

        Returns:
            The page and its content type. Never raises: what cannot be shown is left out and named
            once on stderr.
        """
        content_type = negotiate(accept)
        shown: list[_Shown] = []
        with suppress():
            with _guard.guard("prometheus page"):
                shown = self._shown()
            return _write(shown, content_type), content_type

    def close(self) -> None:
        """Let go of the meter provider; the page then shows the host's metrics only. Idempotent."""
        self._reader.shutdown()

    def _receive(self, metrics_data: MetricsData) -> None:
        self._collected = metrics_data

    def _shown(self) -> list[_Shown]:
        host, taken = _host() if self._extra_registry else ([], set())
        ours: list[_Shown] = []
        with self._lock, _guard.guard("prometheus metrics"):
            ours.extend(_Shown(one, is_ours=True) for one in self._own_families(frozenset(taken)))
        taken.update(name for one in ours for name in names_of(one.family))
        bridged = _free(bridged_families(), taken) if self._extra_registry else []
        return [*ours, *host, *bridged]

    def _own_families(self, hosts: frozenset[str]) -> Iterator[Family]:
        metrics_data = self._collect()
        if metrics_data is not None and metrics_data.resource_metrics:
            self._resource = metrics_data.resource_metrics[0].resource.attributes
        if self._resource and self._reader.connected:
            with _guard.guard("prometheus target_info"):
                info = self._translator.target_info(self._resource)
                if self._admit(info, hosts, owner="target", title="target_info"):
                    yield info
        if metrics_data is None:
            return
        for exposed, metric, family in self._translator.families(metrics_data):
            title = f"the {exposed.kind} {metric.name!r}"
            if self._admit(family, hosts, owner=exposed, title=title):
                yield family

    def _collect(self) -> MetricsData | None:
        if not self._reader.connected:
            return None
        with _guard.guard("prometheus collect"):
            self._reader.collect()
        collected, self._collected = self._collected, None
        return collected

    def _admit(self, family: Family, hosts: frozenset[str], *, owner: object, title: str) -> bool:
        """Whether the family may be on the page; if not, that is said once.

        Args:
            family: One of ours.
            hosts: The names that the host's metrics have on the page.
            owner: What the family is, the same at every scrape.
            title: How a message names it.
        """
        names = names_of(family)
        if hosts.isdisjoint(names):
            rival = self._claims.claim(names, owner=owner, title=title)
        else:
            rival = "a metric of the application's own prometheus_client registry"
        if rival is None:
            return True
        _guard.say(
            f"{title} is left off /metrics: its name there, {family.name!r}, clashes with {rival}. "
            "It still leaves over OTLP; rename one of the two to see both.",
            key=f"prometheus.clash:{owner}",
        )
        return False


def render_host(accept: str = "") -> tuple[bytes, str]:
    """The page of a process in which no telemetry runs: the host's own metrics; see `Page.render`."""
    content_type = negotiate(accept)
    host, taken = _host()
    return _write([*host, *_free(bridged_families(), taken)], content_type), content_type


def _host() -> tuple[list[_Shown], set[str]]:
    taken: set[str] = set()
    families = host_families()
    shown = _free(families, taken)
    if len(shown) < len(families):
        _guard.say(
            "two collectors of the application's prometheus_client registry show a metric of one "
            "name; /metrics has the first one only.",
            key="prometheus.host.clash",
        )
    return shown, taken


def _free(families: list[Family], taken: set[str]) -> list[_Shown]:
    """Those families whose names nobody has taken; they are taken then."""
    free: list[_Shown] = []
    for family in families:
        names = names_of(family)
        if taken.isdisjoint(names):
            taken.update(names)
            free.append(_Shown(family, is_ours=False))
    return free


def _write(shown: list[_Shown], content_type: str) -> bytes:
    parts: list[bytes] = []
    for family, is_ours in shown:
        if is_ours:
            with _guard.guard(f"prometheus text of {family.name}"):
                written = strict(family) if content_type == OPENMETRICS else family
                parts.append(text(written, content_type))
            continue
        try:
            parts.append(text(family, content_type))
        except Exception as error:
            _guard.say(
                f"the prometheus_client metric {family.name!r} is left off /metrics, as it cannot be "
                f"written: {type(error).__name__}.",
                key=f"prometheus.host.text:{family.name}",
            )
    return b"".join(parts) + (END if content_type == OPENMETRICS else b"")


def _after_fork_in_child() -> None:
    for page in list(_pages):
        page._lock = threading.Lock()  # a thread that the child lacks may hold the old one


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
