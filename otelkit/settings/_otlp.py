"""Where one signal goes over OTLP: the general settings and the signal's own, put together."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlunsplit

from otelkit.settings import _pairs, _url

if TYPE_CHECKING:
    from otelkit.settings._settings import Settings

__all__ = ["OTLP_ITEMS", "SIGNALS", "OtlpOverride", "OtlpTarget", "Signal", "override", "target"]

Signal = Literal["traces", "metrics", "logs"]

SIGNALS: tuple[Signal, ...] = ("traces", "metrics", "logs")
"""The three signals, in the order in which everything lists them."""


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class OtlpOverride:
    """What the ``OTEL_EXPORTER_OTLP_<SIGNAL>_*`` variables say for one signal; None = nothing."""

    endpoint: str | None = None
    protocol: str | None = None
    headers: Mapping[str, str] | None = None
    timeout_s: float | None = None
    compression: str | None = None
    certificate: str | None = None
    client_key: str | None = None
    client_certificate: str | None = None
    insecure: bool | None = None


OTLP_ITEMS: Mapping[str, str] = {
    field.name: "export_timeout_s" if field.name == "timeout_s" else field.name
    for field in dataclasses.fields(OtlpOverride)
}
"""Each item of an `OtlpOverride` and the general setting that it replaces."""

_NOTHING = OtlpOverride()


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class OtlpTarget:
    """Everything that an OTLP exporter of one signal needs.

    Attributes:
        url: The full address, with a scheme; for gRPC the path has no meaning.
        protocol: ``"http/protobuf"`` or ``"grpc"``.
        headers: Lower-case names; for gRPC only those that metadata can carry.
        timeout_s: Seconds for one request.
        compression: ``"none"``, ``"gzip"`` or ``"deflate"`` (gRPC: never ``"deflate"``).
        certificate: File with the certificates to trust, or None for the system's.
        client_key: File with the client's private key, or None.
        client_certificate: File with the client's certificate, or None.
        insecure: Whether the connection is without TLS; agrees with the scheme of ``url``.
    """

    url: str
    protocol: Literal["http/protobuf", "grpc"]
    headers: Mapping[str, str]
    timeout_s: float
    compression: str
    certificate: str | None
    client_key: str | None
    client_certificate: str | None
    insecure: bool

    def __repr__(self) -> str:
        """The target without secrets."""
        shown = _pairs.show_headers(self.headers)
        return f"OtlpTarget({self.protocol}, {_url.mask(self.url)}, [{shown}], timeout_s={self.timeout_s:g})"


def override(settings: Settings, signal: str) -> OtlpOverride:
    """What the variables say for ``signal`` alone."""
    return settings.signal_overrides.get(signal, _NOTHING)


def target(settings: Settings, signal: str) -> OtlpTarget:
    """The target of ``signal``; see `Settings.otlp`.

    Source: OpenTelemetry specification, "OpenTelemetry Protocol Exporter".
    """
    own = override(settings, signal)

    def item(name: str) -> Any:
        value = getattr(own, name)
        return getattr(settings, OTLP_ITEMS[name]) if value is None else value

    grpc = item("protocol") == "grpc"
    wanted = item("insecure")
    url, insecure = _grpc(settings, own, wanted) if grpc else _http(settings, own, signal)
    sent = item("headers")
    compression = item("compression")
    return OtlpTarget(
        url=url,
        protocol="grpc" if grpc else "http/protobuf",
        headers=_pairs.grpc_ready(sent) if grpc else sent,
        timeout_s=item("timeout_s"),
        compression="none" if grpc and compression == "deflate" else compression,
        certificate=item("certificate"),
        client_key=item("client_key"),
        client_certificate=item("client_certificate"),
        insecure=insecure,
    )


def _http(settings: Settings, own: OtlpOverride, signal: str) -> tuple[str, bool]:
    if own.endpoint is not None:
        parts = _url.read(own.endpoint)
        return urlunsplit(parts), parts.scheme == "http"
    parts = _url.read(settings.endpoint or "http://localhost:4318")
    return _url.with_path(parts, f"v1/{signal}"), parts.scheme == "http"


def _grpc(settings: Settings, own: OtlpOverride, wanted: object) -> tuple[str, bool]:
    # As the SDK decides: https is always TLS, then OTEL_EXPORTER_OTLP_INSECURE, then the scheme.
    # Without a scheme the SDK takes TLS; towards this machine nobody means that.
    given = own.endpoint or settings.endpoint or "http://localhost:4317"
    parts = _url.read(given)
    if not _url.has_scheme(given):
        insecure = _url.is_loopback(parts) if wanted is None else bool(wanted)
    elif parts.scheme == "https":
        insecure = False
    else:
        insecure = True if wanted is None else bool(wanted)
    return urlunsplit(parts._replace(scheme="http" if insecure else "https")), insecure
