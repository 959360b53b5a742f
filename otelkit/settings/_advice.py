"""Values that are used, but are probably not meant as they stand: one line of advice each."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from otelkit.settings import _pairs, _url
from otelkit.settings._otlp import SIGNALS, override
from otelkit.settings._problems import place, similar
from otelkit.settings._settings import ROWS, Settings

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import TypeAlias

    from otelkit.settings._otlp import OtlpTarget, Signal
    from otelkit.settings._sources import Sources

    Targets: TypeAlias = Mapping[Signal, OtlpTarget]

__all__ = ["OWN_VARIABLES", "about"]

OWN_VARIABLES = frozenset(
    {v.name for row in ROWS for v in row.variables if v.name.startswith("OTELKIT_")}
    | {"OTELKIT_RERAISE", "OTELKIT_AUTO_INIT"}
)
"""Every variable that begins with ``OTELKIT_`` and means something."""

_MANY_SECONDS = 1000
_USUAL_PORTS = {4317: "grpc", 4318: "http/protobuf"}
_PATH_OF_A_SIGNAL = re.compile(rf"/v1(?:/(?P<signal>{'|'.join(SIGNALS)}))?/*")


def about(settings: Settings, sources: Sources) -> tuple[str, ...]:
    """The advice on ``settings`` that were made from ``sources``."""
    targets = {signal: settings.otlp(signal) for signal in SIGNALS}
    return tuple(
        dict.fromkeys(
            (
                *_timeouts(settings),
                *_addresses(settings, targets),
                *_base(settings, targets),
                *_without_tls(settings, sources, targets),
                *_unused(settings, sources),
                *_misspelt(sources),
            )
        )
    )


def _timeouts(settings: Settings) -> Iterator[str]:
    given = [(settings.export_timeout_s, place(settings.origins["export_timeout_s"]))]
    for signal, own in settings.signal_overrides.items():
        if own.timeout_s is not None:
            given.append((own.timeout_s, f"variable {_variable(signal, 'TIMEOUT')}"))
    for seconds, origin in given:
        if seconds >= _MANY_SECONDS:
            yield (
                f"export_timeout_s={seconds:g} ({origin}) counts seconds, not milliseconds: "
                f"give {seconds / 1000:g} if that was meant."
            )


def _addresses(settings: Settings, targets: Targets) -> Iterator[str]:
    for signal in SIGNALS:
        given = settings.endpoint_for(signal)
        if given is None:
            continue
        target = targets[signal]
        parts, shown = _url.read(given), _url.mask(given)
        usual = _USUAL_PORTS.get(parts.port or 0, target.protocol)
        if usual != target.protocol:
            yield (
                f"endpoint {shown}: port {parts.port} is usually that of {usual}, but the protocol is "
                f"{target.protocol}; set protocol={usual!r} if nothing arrives."
            )
        elif target.protocol != "grpc" and override(settings, signal).endpoint and parts.path in ("", "/"):
            yield (
                f"endpoint {shown} (variable {_variable(signal, 'ENDPOINT')}) is used as it is, without "
                f"/v1/{signal}; add that path if nothing arrives."
            )
        if target.protocol == "grpc" and not _url.has_scheme(given) and not target.insecure:
            yield f"endpoint {shown} has no scheme, so TLS is used; write http:// before it to go without."


def _base(settings: Settings, targets: Targets) -> Iterator[str]:
    """About the path of a signal in the address of all signals, once."""
    based = [
        signal
        for signal in SIGNALS
        if not override(settings, signal).endpoint and targets[signal].protocol != "grpc"
    ]
    if not based or settings.endpoint is None:
        return
    path = _url.read(settings.endpoint).path.rstrip("/")
    found = _PATH_OF_A_SIGNAL.fullmatch(path, path.rfind("/v1")) if "/v1" in path else None
    if found:
        signal = found["signal"] if found["signal"] in based else based[0]
        yield (
            f"endpoint {_url.mask(settings.endpoint)} is a base address, to which /v1/{signal} is added: "
            f"requests go to {_url.mask(targets[signal].url)} and will hardly arrive; "
            f"leave {found[0]} out."
        )


def _without_tls(settings: Settings, sources: Sources, targets: Targets) -> Iterator[str]:
    """About TLS that was to be left out. The variables are asked: an https argument wins over them."""
    for signal in SIGNALS:
        given = settings.endpoint_for(signal)
        if given is None or targets[signal].insecure:
            continue
        names = (_variable(signal, "INSECURE"), "OTEL_EXPORTER_OTLP_INSECURE")
        name = next((name for name in names if name in sources.variables), None)
        if name is None:
            said, wanted = f"insecure=true ({place(settings.origins['insecure'])})", settings.insecure
        else:
            said, wanted = f"{name}=true", sources.variables[name].strip().lower() == "true"
        if wanted:
            yield (
                f"{said} has no effect on endpoint {_url.mask(given)}, which is https and so with TLS; "
                "write http:// to go without."
            )


def _variable(signal: str, item: str) -> str:
    return f"OTEL_EXPORTER_OTLP_{signal.upper()}_{item}"


def _unused(settings: Settings, sources: Sources) -> Iterator[str]:
    if "OTEL_TRACES_SAMPLER_ARG" in sources.variables and settings.origins["sampler"] == "default":
        yield "OTEL_TRACES_SAMPLER_ARG has no effect without OTEL_TRACES_SAMPLER; set that too."
    for signal in SIGNALS:
        own = override(settings, signal)
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
