"""What is set up once for all calls: the prices, and whether prompts and answers are recorded."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any

from otelkit import _guard
from otelkit.llm._prices import Price, Prices, prices_of
from otelkit.processors.plain import class_name

__all__ = ["Configured", "SetUp", "configure", "present"]


@dataclass(frozen=True, slots=True)
class SetUp:
    """What holds for all calls."""

    prices: Prices = Prices()
    record_content: bool = False


_present = SetUp()


class Configured:
    """What `configure` returns: leaving it as a context manager restores what was before."""

    def __init__(self, before: SetUp) -> None:
        self._before: SetUp | None = before

    def restore(self) -> None:
        """Restore what was set up before; again does nothing."""
        global _present
        before, self._before = self._before, None
        if before is not None:
            _present = before

    def __enter__(self) -> Configured:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.restore()


def configure(
    *, prices: Mapping[str, Price | Mapping[str, float]] | None = None, record_content: bool | None = None
) -> Configured:
    """Set up what holds for all calls of models from now on.

    Args:
        prices: USD per million tokens by patterns of model names, such as
            ``{"gpt-x*": Price(input=2.5, output=10.0, cached=1.25)}``. An exact name wins, then
            the pattern with the most characters besides wildcards, then the first. The model that
            answered is looked up before the one that was asked for. A row that cannot be used is
            named in one line. Replaces the former table.
        record_content: Whether prompts and answers become span attributes, redacted and bounded.

    Returns:
        A context manager that restores; it need not be used. What is not given stays as it is.
    """
    global _present
    before = _present
    with _guard.guard("llm.configure"):
        made = before if prices is None else replace(before, prices=_table(prices))
        _present = made if record_content is None else replace(made, record_content=record_content is True)
    return Configured(before)


def _table(prices: Any) -> Prices:
    table = None
    with suppress(Exception):  # a mapping that cannot be read is as good as none
        table = dict(prices) if issubclass(type(prices), Mapping) else None
    if table is not None:
        return prices_of(table)
    _guard.say(
        f"prices was given a {class_name(type(prices))}, which is no mapping; no cost is measured. Give "
        "{'model-pattern': otelkit.llm.Price(input=..., output=...)}."
    )
    return Prices()


def present() -> SetUp:
    """What is set up now."""
    return _present
