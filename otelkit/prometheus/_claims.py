"""Which family may use which names: a page that names one thing twice cannot be parsed.

A family owns its name and the names that OpenMetrics derives from it. Who came first owns them for
the life of the page, so that the page does not change its mind from scrape to scrape.

Source: https://prometheus.io/docs/specs/om/open_metrics_spec/#metricfamily
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable

    from prometheus_client import Metric as Family

__all__ = ["Claims", "names_of"]

_SUFFIXES = {
    "counter": ("", "_total", "_created"),
    "summary": ("", "_count", "_sum", "_created"),
    "histogram": ("", "_count", "_sum", "_bucket", "_created"),
    "gaugehistogram": ("", "_gcount", "_gsum", "_bucket"),
    "info": ("", "_info"),
}
_INVALID = re.compile("[^a-zA-Z0-9_:]")


def names_of(family: Family) -> tuple[str, ...]:
    """Every name that a family takes on a page of either format."""
    name = _INVALID.sub("_", family.name)  # as prometheus_client writes it
    return tuple(name + suffix for suffix in _SUFFIXES.get(family.type, ("",)))


class Claims:
    """Who owns the names of a page. Not safe to use from two threads at once."""

    def __init__(self) -> None:
        self._owners: dict[str, tuple[Hashable, str]] = {}

    def claim(self, names: Iterable[str], *, owner: Hashable, title: str) -> str | None:
        """Take names, all or none.

        Args:
            names: What a family needs.
            owner: Whom they belong to from now on; whoever claims again as the same owner has them.
            title: How to call this owner in a message to another one.

        Returns:
            None when the names are the owner's now, else the title of who has one of them.
        """
        wanted = list(names)
        for name in wanted:
            known = self._owners.get(name)
            if known is not None and known[0] != owner:
                return known[1]
        for name in wanted:
            self._owners.setdefault(name, (owner, title))
        return None
