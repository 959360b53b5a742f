"""Rate, errors and duration read back from the text of ``/metrics``, as Prometheus would see it."""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

__all__ = ["Calls", "Page", "Red", "read_calls", "read_red"]

_Key = tuple[str, frozenset[tuple[str, str]]]


@dataclass(frozen=True, slots=True)
class Red:
    """Rate, errors and duration of one method at one endpoint."""

    method: str
    endpoint: str
    requests: int
    per_second: float
    errors: int
    p50_s: float
    p95_s: float


@dataclass(frozen=True, slots=True)
class Calls:
    """The calls of one operation of a database."""

    system: str
    name: str
    count: int
    mean_s: float


class Page:
    """The samples of one scrape.

    Args:
        text: What ``/metrics`` answered.
    """

    def __init__(self, text: str) -> None:
        self._samples: dict[_Key, float] = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

    def total(self, name: str, **labels: str) -> float:
        """The sum of all samples of this name that have these labels."""
        return sum(value for _, value in self.matching(name, labels))

    def by(self, name: str, label: str) -> dict[str, float]:
        """The samples of this name, summed by the value of one label."""
        sums: dict[str, float] = defaultdict(float)
        for found, value in self.matching(name, {}):
            sums[found.get(label, "")] += value
        return dict(sums)

    def quantile(self, share: float, name: str, **labels: str) -> float:
        """A quantile of a histogram, linear within its bucket; nan when it is empty.

        The same rule as Prometheus' ``histogram_quantile``:
        https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile
        """
        sums: dict[float, float] = defaultdict(float)
        for found, value in self.matching(f"{name}_bucket", labels):
            sums[float(found["le"])] += value
        buckets = sorted(sums.items())
        if not buckets or not buckets[-1][1]:
            return math.nan
        wanted = share * buckets[-1][1]
        lower, below = 0.0, 0.0
        for bound, count in buckets:
            if count >= wanted:
                return (
                    lower
                    if math.isinf(bound)
                    else lower + (bound - lower) * (wanted - below) / (count - below)
                )
            lower, below = bound, count
        return lower

    def matching(self, name: str, labels: dict[str, str]) -> list[tuple[dict[str, str], float]]:
        """Labels and value of every sample of this name that has these labels."""
        wanted = set(labels.items())
        return [(dict(k), v) for (n, k), v in self._samples.items() if n == name and wanted <= k]


def read_red(page: Page, *, seconds: float) -> list[Red]:
    """The RED numbers of every method and endpoint on the page.

    Args:
        page: The page after the work; it was empty before.
        seconds: How long the work took.
    """
    pairs = {(found["method"], found["endpoint"]) for found, _ in page.matching("agent_requests_total", {})}
    rows = []
    for method, endpoint in sorted(pairs):
        here = {"method": method, "endpoint": endpoint}
        requests = page.total("agent_requests_total", **here)
        rows.append(
            Red(
                method=method,
                endpoint=endpoint,
                requests=round(requests),
                per_second=requests / seconds,
                errors=round(page.total("agent_requests_total", status="error", **here)),
                p50_s=page.quantile(0.5, "agent_request_duration_seconds", **here),
                p95_s=page.quantile(0.95, "agent_request_duration_seconds", **here),
            )
        )
    return rows


def read_calls(page: Page, before: Page) -> list[Calls]:
    """How often each operation of a database was called between two pages, and how long a call took."""
    totals: dict[tuple[str, str], list[float]] = defaultdict(lambda: [0.0, 0.0])
    for sign, each in ((1, page), (-1, before)):
        for place, suffix in enumerate(("count", "sum")):
            for found, value in each.matching(f"db_client_operation_duration_seconds_{suffix}", {}):
                name = found.get("db_query_summary") or found.get("db_operation_name", "")
                totals[found.get("db_system_name", ""), name][place] += sign * value
    return [
        Calls(system=system, name=name, count=round(count), mean_s=total_s / count)
        for (system, name), (count, total_s) in sorted(totals.items())
        if count
    ]
