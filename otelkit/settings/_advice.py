"""Values that are used, but are probably not meant as they stand: one line of advice each."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otelkit.settings import _pairs, _url
from otelkit.settings._otlp import SIGNALS, OtlpOverride
from otelkit.settings._problems import place, similar
from otelkit.settings._settings import ROWS, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from otelkit.settings._sources import Sources

__all__ = ["OWN_VARIABLES", "about"]

OWN_VARIABLES = frozenset(
    {v.name for row in ROWS for v in row.variables if v.name.startswith("OTELKIT_")}
    | {"OTELKIT_RERAISE", "OTELKIT_AUTO_INIT"}
)
"""Every variable that begins with ``OTELKIT_`` and means something."""

_NOTHING = OtlpOverride()
_MANY_SECONDS = 1000
_USUAL_PORTS = {4317: "grpc", 4318: "http/protobuf"}


def about(settings: Settings, sources: Sources) -> tuple[str, ...]:
    """The advice on ``settings`` that were made from ``sources``."""
    return tuple(
        dict.fromkeys(
            (*_timeouts(settings), *_addresses(settings), *_unused(settings, sources), *_misspelt(sources))
        )
    )


def _timeouts(settings: Settings) -> Iterator[str]:
    given = [(settings.export_timeout_s, place(settings.origins["export_timeout_s"]))]
    for signal, own in settings.signal_overrides.items():
        if own.timeout_s is not None:
            given.append((own.timeout_s, f"variable OTEL_EXPORTER_OTLP_{signal.upper()}_TIMEOUT"))
    for seconds, origin in given:
        if seconds >= _MANY_SECONDS:
            yield (
                f"export_timeout_s={seconds:g} ({origin}) counts seconds, not milliseconds: "
                f"give {seconds / 1000:g} if that was meant."
            )


def _addresses(settings: Settings) -> Iterator[str]:
    for signal in SIGNALS:
        given = settings.endpoint_for(signal)
        if given is None:
            continue
        target = settings.otlp(signal)
        parts, shown = _url.read(given), _url.mask(given)
        usual = _USUAL_PORTS.get(parts.port or 0, target.protocol)
        if usual != target.protocol:
            yield (
                f"endpoint {shown}: port {parts.port} is usually that of {usual}, but the protocol is "
                f"{target.protocol}; set protocol={usual!r} if nothing arrives."
            )
        if target.protocol == "grpc" and not _url.has_scheme(given) and not target.insecure:
            yield f"endpoint {shown} has no scheme, so TLS is used; write http:// before it to go without."
        if (
            given is settings.endpoint
            and target.protocol != "grpc"
            and parts.path.rstrip("/").endswith(f"/v1/{signal}")
        ):
            yield f"endpoint {shown} is a base address, to which /v1/{signal} is added; leave that path out."


def _unused(settings: Settings, sources: Sources) -> Iterator[str]:
    if "OTEL_TRACES_SAMPLER_ARG" in sources.variables and settings.origins["sampler"] == "default":
        yield "OTEL_TRACES_SAMPLER_ARG has no effect without OTEL_TRACES_SAMPLER; set that too."
    for signal in SIGNALS:
        own = settings.signal_overrides.get(signal, _NOTHING)
        if (own.protocol or settings.protocol) != "grpc":
            continue
        wanted = settings.headers if own.headers is None else own.headers
        for name in sorted(wanted.keys() - _pairs.grpc_ready(wanted).keys()):
            yield f"header {name!r} is not sent: gRPC carries printable ASCII only, and no '-bin' names."
        if (own.compression or settings.compression) == "deflate":
            yield "compression=deflate is not used over gRPC; set gzip or none."


def _misspelt(sources: Sources) -> Iterator[str]:
    for name in sources.variables:
        if name.startswith("OTELKIT_") and name not in OWN_VARIABLES:
            yield f"{name} is no variable of otelkit and is not used{similar(name, OWN_VARIABLES)}"
