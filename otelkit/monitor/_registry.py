"""What is monitored: one row for each decorated function."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Monitored", "add", "endpoints"]

_MOST = 1_000  # a function that is decorated anew in each call would make it grow for ever


@dataclass(frozen=True, slots=True, kw_only=True)
class Monitored:
    """A function that `otelkit.monitor_performance` decorates.

    Attributes:
        method: Its label ``method``, and ``operation`` of its tokens.
        endpoint: Its label ``endpoint``.
        function: Its name.
        module: Where it is defined.
        track_tokens: Whether the tokens of its results are measured.
        errors: The error types whose series exist from the beginning.
    """

    method: str
    endpoint: str
    function: str
    module: str
    track_tokens: bool = False
    errors: tuple[str, ...] = ()


_rows: dict[Monitored, None] = {}  # no lock: a collection asks for it, and a fork's child would inherit it


def add(row: Monitored) -> None:
    """Remember that a function is monitored; the same one twice is one row."""
    if len(_rows) < _MOST:
        _rows.setdefault(row)


def endpoints() -> tuple[Monitored, ...]:
    """All monitored functions of the process, in the order in which they were decorated."""
    return tuple(_rows)
