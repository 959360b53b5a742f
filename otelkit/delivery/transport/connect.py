"""From a target of the settings to the transport that reaches it."""

from __future__ import annotations

import platform
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from otelkit.delivery.transport import Transport
    from otelkit.delivery.transport._tls import Tls
    from otelkit.settings import OtlpTarget

__all__ = ["connect"]


def connect(target: OtlpTarget, *, signal: str) -> Transport:
    """The transport for ``target``. It opens no connection: the first send does.

    The libraries that speak the protocol are not imported before that either; `ssl` is, if there
    are files for it to check. The files are read again for each new connection, so that renewed
    certificates take effect.

    Args:
        target: Where and how.
        signal: ``traces``, ``logs`` or ``metrics``.

    Raises:
        ConfigurationError: A file for TLS cannot be read or is no certificate or key.
    """
    agent = f"otelkit/{sys.modules['otelkit'].__version__} Python/{platform.python_version()}"
    if target.protocol == "grpc":
        from otelkit.delivery.transport.grpc import grpc_transport

        return grpc_transport(target, signal=signal, agent=agent, tls=_tls(target, "h2"))
    from otelkit.delivery.transport.http import http_transport

    return http_transport(target, signal=signal, agent=agent, tls=_tls(target, "http/1.1"))


def _tls(target: OtlpTarget, protocol: str) -> Tls | None:
    plain = target.insecure if target.protocol == "grpc" else target.url.startswith("http:")
    if plain:
        return None
    from otelkit.delivery.transport._tls import Tls

    tls = Tls(
        protocol=protocol,
        certificate=target.certificate,
        client_certificate=target.client_certificate,
        client_key=target.client_key,
    )
    if target.certificate or target.client_certificate or target.client_key:
        tls.context()
    return tls
