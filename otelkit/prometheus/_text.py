"""Families as text, in the format that the scraper asks for.

Formats: https://prometheus.io/docs/instrumenting/exposition_formats/ (text 0.0.4) and
https://prometheus.io/docs/specs/om/open_metrics_spec/ (OpenMetrics 1.0.0).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from prometheus_client import Metric as Family

__all__ = ["CLASSIC", "END", "OPENMETRICS", "negotiate", "strict", "text"]

CLASSIC = "text/plain; version=0.0.4; charset=utf-8"
OPENMETRICS = "application/openmetrics-text; version=1.0.0; charset=utf-8"

END = b"# EOF\n"  # the last line of an OpenMetrics page


def negotiate(accept: str) -> str:
    """The content type to answer an ``Accept`` header with.

    Args:
        accept: The header's value, in any condition; empty when there is none.

    Returns:
        `OPENMETRICS` when it is asked for at least as much as plain text, else `CLASSIC`.
    """
    weights = {"application/openmetrics-text": 0.0, "text/plain": 0.0}
    for entry in accept.lower().split(","):
        name, *parameters = (part.strip() for part in entry.split(";"))
        if name in weights:
            weights[name] = max(weights[name], _weight(parameters))
    wanted = weights["application/openmetrics-text"]
    return OPENMETRICS if wanted > 0 and wanted >= weights["text/plain"] else CLASSIC


def _weight(parameters: list[str]) -> float:
    for parameter in parameters:
        name, _, value = parameter.partition("=")
        if name.strip() == "q":
            try:
                return float(value)
            except ValueError:
                return 1.0
    return 1.0


def text(family: Family, content_type: str) -> bytes:
    """One family in one format, without the end mark of OpenMetrics.

    Raises:
        Exception: The family cannot be written, such as a lone surrogate in a label.
    """
    from prometheus_client import generate_latest
    from prometheus_client.openmetrics.exposition import generate_latest as generate_openmetrics

    if content_type == CLASSIC:
        return generate_latest(_Only(family))
    written: bytes = generate_openmetrics(_Only(family))  # type: ignore[no-untyped-call]
    return written.removesuffix(END)


class _Only:
    """A registry of one family."""

    def __init__(self, family: Family) -> None:
        self._family = family

    def collect(self) -> list[Family]:
        return [self._family]


def strict(family: Family) -> Family:
    """The family without the samples that OpenMetrics forbids.

    Totals and sums that are negative or no number (a histogram of negative values has such a sum,
    and the format then wants neither ``_sum`` nor ``_count``). Text 0.0.4 has no such rule.

    Returns:
        The same object when all is well.
    """
    counted = {f"{family.name}{suffix}" for suffix in ("_total", "_sum")}
    broken = [one for one in family.samples if one.name in counted and not one.value >= 0]
    if not broken:
        return family
    forbidden = {_series(one) for one in broken}
    forbidden |= {(f"{family.name}_count", labels) for _, labels in forbidden}
    copy: Any = type(family).__new__(type(family))
    copy.__dict__.update(family.__dict__)
    copy.samples = [one for one in family.samples if _series(one) not in forbidden]
    return copy  # type: ignore[no-any-return]


def _series(sample: Any) -> tuple[str, frozenset[tuple[str, str]]]:
    return sample.name, frozenset(sample.labels.items())
