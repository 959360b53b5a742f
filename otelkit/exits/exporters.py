"""Exporters of the SDK's kind (your own, or named by an entry point) as ways out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics.export import MetricExporter

__all__ = ["MetricExit", "RecordExit"]


def _nobody(_: object) -> bool:
    return False


@dataclass(slots=True)
class RecordExit:
    """A way out over a `SpanExporter` or `LogRecordExporter`.

    Args:
        name: For messages.
        exporter: Anything with ``export``, ``shutdown`` and perhaps ``force_flush``.
        in_use: Asked at the end: whether another runtime uses the exporter, so that it is flushed
            and stays open.
    """

    name: str
    exporter: Any
    in_use: Callable[[object], bool] = _nobody

    def send(self, batch: Sequence[Any]) -> bool:
        """Export ``batch``; whether the exporter reports success."""
        return _succeeded(self.exporter.export(batch))

    def interrupt(self) -> None:
        """Nothing: an exporter knows no interruption, and its ``shutdown`` might block."""

    def close(self) -> None:
        """Shut the exporter down, or only flush it while another runtime uses it."""
        if not self.in_use(self.exporter):
            self.exporter.shutdown()
            return
        force_flush = getattr(self.exporter, "force_flush", None)
        if force_flush is not None:
            force_flush()


@dataclass(slots=True)
class MetricExit:
    """A way out over a `MetricExporter`."""

    name: str
    exporter: MetricExporter

    def send(self, batch: Sequence[Any]) -> bool:
        """Export each collection in ``batch``; whether all were taken."""
        return all(_succeeded(self.exporter.export(data)) for data in batch)

    def interrupt(self) -> None:
        """Nothing, as in `RecordExit`."""

    def close(self) -> None:
        """Shut the exporter down."""
        self.exporter.shutdown()


def _succeeded(result: object) -> bool:
    """Whether an exporter's answer means success; the three result enums name it alike."""
    return getattr(result, "name", None) == "SUCCESS"
