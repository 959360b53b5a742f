"""The books of delivery as metrics, so that losses are seen where everything else is seen.

Names and attributes: OpenTelemetry semantic conventions, "OpenTelemetry SDK metrics". What they do not
know (the spool) is named ``otelkit.spool.*``. Scope ``otelkit.delivery``; switched off like any other
by ``disabled_scopes``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

from opentelemetry.metrics import Observation

if TYPE_CHECKING:
    from opentelemetry.metrics import CallbackOptions, Meter

    from otelkit.delivery.accounting import Counts

__all__ = ["SCOPE", "publish"]

SCOPE = "otelkit.delivery"

_WORDS = {"traces": "span", "logs": "log", "metrics": "metric_data_point"}
_UNITS = {"traces": "{span}", "logs": "{log_record}", "metrics": "{data_point}"}
_PROCESSOR = {"otel.component.type": "otelkit_queue", "otel.component.name": "otelkit_queue/0"}
_EXPORTER = {"otel.component.type": "otelkit_sender", "otel.component.name": "otelkit_sender/0"}
_BEFORE_EXPORT = ("queue_full", "processing_failed")

Read = Callable[[], Mapping[str, "Counts"]]


def publish(meter: Meter, read: Read, *, signals: Iterable[str], disabled: Iterable[str] = ()) -> None:
    """Observe the books with instruments of ``meter``.

    Args:
        meter: Of the scope `SCOPE`.
        read: The books by signal.
        signals: Which signals to publish.
        disabled: The patterns of scopes that produce nothing.
    """
    if any(fnmatchcase(SCOPE, pattern) for pattern in disabled):
        return
    signals = tuple(signals)
    for signal in signals:
        _publish_signal(meter, signal, read)
    meter.create_observable_up_down_counter(
        "otelkit.spool.items",
        callbacks=[_each(signals, read, lambda count: count.spooled)],
        unit="{item}",
        description="Items that wait on disk for the receiver.",
    )
    meter.create_observable_counter(
        "otelkit.spool.adopted",
        callbacks=[_each(signals, read, lambda count: count.adopted)],
        unit="{item}",
        description="Items found in the spool of a process that has ended.",
    )


def _publish_signal(meter: Meter, signal: str, read: Read) -> None:
    word, unit = _WORDS[signal], _UNITS[signal]

    def observe(values: Callable[[Counts], Iterable[tuple[int, Mapping[str, Any]]]]) -> list[Any]:
        def callback(_options: CallbackOptions) -> Iterator[Observation]:
            for value, attributes in values(read()[signal]):
                yield Observation(value, attributes)

        return [callback]

    meter.create_observable_counter(
        f"otel.sdk.exporter.{word}.exported",
        callbacks=observe(_exported),
        unit=unit,
        description="Items whose export has ended, by error.type where it failed.",
    )
    meter.create_observable_up_down_counter(
        f"otel.sdk.exporter.{word}.inflight",
        callbacks=observe(lambda count: [(count.in_flight, _EXPORTER)]),
        unit=unit,
        description="Items that are being packed or sent.",
    )
    if signal == "metrics":  # they are pulled, not processed
        return
    meter.create_observable_counter(
        f"otel.sdk.processor.{word}.processed",
        callbacks=observe(_processed),
        unit=unit,
        description="Items that have left the queue, by error.type where they were lost.",
    )
    meter.create_observable_up_down_counter(
        f"otel.sdk.processor.{word}.queue.size",
        callbacks=observe(lambda count: [(count.unpacked, _PROCESSOR)]),
        unit=unit,
        description="Items that wait to be packed.",
    )


def _exported(count: Counts) -> Iterator[tuple[int, Mapping[str, Any]]]:
    yield count.delivered, _EXPORTER
    failed = {reason: n for reason, n in count.dropped.items() if reason not in _BEFORE_EXPORT}
    if count.rejected:
        failed["rejected"] = count.rejected
    for reason, number in failed.items():
        yield number, {**_EXPORTER, "error.type": reason}


def _processed(count: Counts) -> Iterator[tuple[int, Mapping[str, Any]]]:
    failed = {reason: n for reason, n in count.dropped.items() if reason in _BEFORE_EXPORT}
    yield count.created - count.sampled_out - count.unpacked - sum(failed.values()), _PROCESSOR
    for reason, number in failed.items():
        yield number, {**_PROCESSOR, "error.type": reason}


def _each(signals: Iterable[str], read: Read, number: Callable[[Counts], int]) -> Any:
    def callback(_options: CallbackOptions) -> Iterator[Observation]:
        counts = read()
        for signal in signals:
            yield Observation(number(counts[signal]), {"otelkit.signal": signal})

    return callback
