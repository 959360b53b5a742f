"""What will be built, as data that can be printed: the first step from settings to providers."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from otelkit.settings._url import mask

if TYPE_CHECKING:
    from otelkit.settings import OtlpTarget, Settings
    from otelkit.settings._otlp import Signal

__all__ = ["Plan", "Way", "plan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """Where one signal goes.

    Attributes:
        signal: ``traces``, ``metrics`` or ``logs``.
        otlp: The OTLP destination, or None.
        endpoint_given: Whether somebody named an endpoint; else it is a guess.
        named: Further exporters by the names of their entry points.
        users: How many exporters (for metrics: readers) the user gave as objects.
        capacity, batch_size: The queue's; a capacity of None leaves it to the bytes.
        delay_s: How long items wait for more before they are sent.
        strict: Whether a way out that cannot be made is an error.
    """

    signal: str
    otlp: OtlpTarget | None
    endpoint_given: bool = True
    named: tuple[str, ...] = ()
    users: int = 0
    capacity: int | None = None
    batch_size: int = 0
    delay_s: float = 0.0
    strict: bool = False

    @property
    def durable(self) -> bool:
        """Whether what cannot be sent is worth keeping: it goes to an endpoint that somebody named."""
        return self.otlp is not None and self.endpoint_given

    def __str__(self) -> str:
        ways = [f"OTLP {self.otlp.protocol} to {mask(self.otlp.url)}"] if self.otlp else []
        ways += self.named
        ways += [f"{self.users} of your own"] if self.users else []
        return f"{self.signal}: {', '.join(ways) or 'nowhere'}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """Everything a runtime is made of.

    Attributes:
        disabled: `OTEL_SDK_DISABLED`: no telemetry is made.
        ways: One per signal, in the order traces, logs, metrics.
        prometheus: Whether a page for `/metrics` is kept.
        server: Host and port of its own server, or None.
        console: Whether finished traces are shown on the terminal.
        spool: ``always``, ``on_failure`` or ``off``; for the ways that are durable.
    """

    disabled: bool
    ways: tuple[Way, ...]
    prometheus: bool
    server: tuple[str, int] | None
    console: bool
    spool: str = "off"

    def where(self, signals: Collection[str]) -> str:
        """The OTLP destinations of some signals in words, without secrets and paths."""
        targets = [way.otlp for way in self.ways if way.signal in signals]
        places = {mask(target.url).partition("/v1/")[0] for target in targets if target is not None}
        return ", ".join(sorted(places)) or "your exporters"

    def way(self, signal: str) -> Way:
        """The way of one signal."""
        return next(way for way in self.ways if way.signal == signal)

    def __str__(self) -> str:
        if self.disabled:
            return "telemetry is disabled (OTEL_SDK_DISABLED)"
        lines = [str(way) for way in self.ways]
        if self.spool != "off":
            lines.append(f"spool: {self.spool}")
        if self.server:
            lines.append(f"/metrics: http://{self.server[0]}:{self.server[1]}/metrics")
        return "\n".join(lines)


def plan(settings: Settings, *, terminal: bool) -> Plan:
    """What ``settings`` ask for.

    Args:
        settings: The resolved settings.
        terminal: Whether a person watches (decides where a setting says "by the terminal").
    """
    server = None
    if settings.prometheus_port is not None:
        server = (settings.prometheus_host, settings.prometheus_port)
    ways = (_traces(settings), _logs(settings), _metrics(settings))
    return Plan(
        disabled=settings.sdk_disabled,
        ways=ways,
        prometheus=not settings.sdk_disabled,
        server=server,
        console=terminal if settings.console is None else settings.console,
        spool=(settings.spool or "always") if any(way.durable for way in ways) else "off",
    )


def _traces(settings: Settings) -> Way:
    return Way(
        signal="traces",
        otlp=_otlp(settings, "traces", settings.traces_exporters, settings.span_exporters),
        endpoint_given=settings.endpoint_for("traces") is not None,
        named=_named(settings.traces_exporters),
        users=len(settings.span_exporters),
        capacity=settings.span_queue_size,
        batch_size=settings.span_batch_size,
        delay_s=settings.span_delay_s,
        strict=settings.strict,
    )


def _logs(settings: Settings) -> Way:
    return Way(
        signal="logs",
        otlp=_otlp(settings, "logs", settings.logs_exporters, settings.log_exporters),
        endpoint_given=settings.endpoint_for("logs") is not None,
        named=_named(settings.logs_exporters),
        users=len(settings.log_exporters),
        capacity=settings.log_queue_size,
        batch_size=settings.log_batch_size,
        delay_s=settings.log_delay_s,
        strict=settings.strict,
    )


def _metrics(settings: Settings) -> Way:
    return Way(
        signal="metrics",
        otlp=_otlp(settings, "metrics", settings.metrics_exporters, settings.metric_readers),
        endpoint_given=settings.endpoint_for("metrics") is not None,
        named=_named(settings.metrics_exporters),
        users=len(settings.metric_readers),
        delay_s=settings.metric_interval_s,
        strict=settings.strict,
    )


def _otlp(
    settings: Settings, signal: Signal, exporters: Sequence[str], users: Sequence[object]
) -> OtlpTarget | None:
    """The OTLP destination. The collector on localhost is a guess; exporters of your own replace it."""
    guess = settings.endpoint_for(signal) is None
    if "otlp" not in exporters or (guess and users):
        return None
    return settings.otlp(signal)


def _named(exporters: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in exporters if name not in {"otlp", "none", "prometheus"})
