"""What OTLP needs of a plan: a line to the receiver for each signal, and a spool for all of them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from otelkit import _guard
from otelkit.delivery.line import Breaker, Line
from otelkit.delivery.localhost import Localhost
from otelkit.delivery.spool import Spool
from otelkit.delivery.transport.connect import connect
from otelkit.errors import ConfigurationError

if TYPE_CHECKING:
    from otelkit.pipeline.plan import Plan, Way
    from otelkit.settings import OtlpTarget, Settings

__all__ = ["aggregation", "lines", "spool", "temporality"]


def lines(plan: Plan) -> dict[str, Line]:
    """The lines of a plan, by signal; one that cannot be made is said, and left out.

    Raises:
        ConfigurationError: One cannot be made, with ``strict=True``.
    """
    receivers: dict[tuple[str, bool], Breaker] = {}  # a guess has one of its own, as it gives up at once
    made: dict[str, Line] = {}
    for way in plan.ways:
        if way.otlp is not None:
            line = _line(way, way.otlp, receivers, _companions(way, way.otlp, plan))
            if line is not None:
                made[way.signal] = line
    return made


def _companions(way: Way, target: OtlpTarget, plan: Plan) -> Sequence[str]:
    """The signals that go to the same place as a guess; none where all of a plan do."""
    ways = [(other, other.otlp) for other in plan.ways if other.otlp is not None]
    place = _place(target.url)
    same = [other.signal for other, otlp in ways if _place(otlp.url) == place and not other.durable]
    return same if not way.durable and len(same) < len(ways) else ()


def _line(
    way: Way, target: OtlpTarget, receivers: dict[tuple[str, bool], Breaker], companions: Sequence[str]
) -> Line | None:
    try:
        transport = connect(target, signal=way.signal)
    except ConfigurationError as error:
        _guard.refuse(str(error), strict=way.strict)
        return None
    except Exception:
        _guard.refuse(
            f"the way to the OTLP receiver of {way.signal} cannot be made: {_guard.current_error()}. "
            f"{way.signal} are not sent; check the OTEL_EXPORTER_OTLP_* settings.",
            strict=way.strict,
            key=f"exporter:{way.signal}",
        )
        return None
    return Line(
        signal=way.signal,
        transport=transport,
        receiver=receivers.setdefault((urlsplit(target.url).netloc, way.durable), Breaker()),
        delay_s=0.0 if way.signal == "metrics" else way.delay_s,
        timeout_s=target.timeout_s,
        place=_place(target.url),
        guess=None if way.endpoint_given else Localhost(target.url, only=companions),
    )


def spool(settings: Settings, plan: Plan, signals: Iterable[str]) -> Spool | None:
    """The spool of a plan; None for memory only. Touches no disk yet.

    Only processes of the same user, destination, service and environment adopt each other's files.
    """
    signals = [signal for signal in signals if plan.way(signal).durable]
    folder = _folder(settings) if plan.spool != "off" and signals else None
    if folder is None:
        return None
    return Spool(
        folder=folder,
        identities={
            signal: "\n".join(
                (_user(), _destination(plan.way(signal)), settings.service_name, settings.environment or "")
            )
            for signal in signals
        },
        max_bytes=settings.spool_max_bytes,
        max_age_s=settings.spool_max_age_s,
        fsync=settings.spool_fsync,
    )


def _folder(settings: Settings) -> Path | None:
    """Never the shared temporary folder: whoever can write there can plant files (CVE-2026-42191)."""
    state = os.environ.get("XDG_STATE_HOME", "")
    try:
        if settings.spool_dir is not None:
            return Path(settings.spool_dir).expanduser()
        # By the XDG Base Directory specification a relative path is to be ignored.
        home = Path(state) if os.path.isabs(state) else Path("~/.local/state").expanduser()  # noqa: PTH117
    except RuntimeError:  # no HOME, and a user that the system does not know
        _guard.say(
            "there is no spool, as the user has no home directory (HOME is not set): what the receiver "
            "does not take waits in memory. Set spool_dir= (OTELKIT_SPOOL_DIR) or XDG_STATE_HOME for one.",
            key="spool:home",
        )
        return None
    return home / "otelkit" / "spool"


def _user() -> str:
    return str(os.getuid()) if hasattr(os, "getuid") else ""


def _place(url: str) -> str:
    """An address for people, without path, user or query."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"


def _destination(way: Way) -> str:
    target = way.otlp
    if target is None:
        return ""
    parts = urlsplit(target.url)
    # No user, password or query in it: they may change, and are nobody's to read.
    return f"{target.protocol} {parts.scheme}://{parts.hostname}:{parts.port}{parts.path}"


def temporality(name: str) -> dict[type, Any]:
    """The temporality of each kind of instrument by the name of a preference.

    Source: OpenTelemetry specification, "OTLP Exporter", "Additional Environment Variable
    Configuration" of metrics.
    """
    from opentelemetry.sdk import metrics
    from opentelemetry.sdk.metrics.export import AggregationTemporality

    kinds = {
        "delta": (metrics.Counter, metrics.Histogram, metrics.ObservableCounter),
        "lowmemory": (metrics.Counter, metrics.Histogram),
    }
    return dict.fromkeys(kinds.get(name, ()), AggregationTemporality.DELTA)


def aggregation(name: str) -> dict[type, Any]:
    """The aggregation of histograms by its name; same source."""
    from opentelemetry.sdk import metrics
    from opentelemetry.sdk.metrics.view import (
        ExplicitBucketHistogramAggregation,
        ExponentialBucketHistogramAggregation,
    )

    exponential = name == "base2_exponential_bucket_histogram"
    made = ExponentialBucketHistogramAggregation() if exponential else ExplicitBucketHistogramAggregation()
    return {metrics.Histogram: made}
