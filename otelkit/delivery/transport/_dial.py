"""Opening the stream to a receiver: through a proxy or not, with TLS or without."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otelkit.delivery.transport import _line, _proxy
from otelkit.delivery.transport._failures import Failure
from otelkit.errors import ConfigurationError

if TYPE_CHECKING:
    from otelkit.delivery.transport._limit import Limit
    from otelkit.delivery.transport._line import Stream
    from otelkit.delivery.transport._proxy import Proxy
    from otelkit.delivery.transport._tls import Tls

__all__ = ["dial"]


def dial(
    host: str, port: int, *, tls: Tls | None, limit: Limit, proxy: Proxy | None = None, forward: bool = False
) -> Stream:
    """A stream to ``host``, ready for the protocol.

    Args:
        host: Where to, without brackets.
        port: The port there.
        tls: What to speak TLS with, or None for a plain connection.
        limit: What ends the waits.
        proxy: What to go through.
        forward: Stop at the proxy, which reads the requests and passes them on.

    Raises:
        Failure: There is no connection, or a certificate is not accepted.
    """
    if proxy is None:
        stream: Stream = _line.connect(host, port, limit)
    else:
        stream = _line.connect(proxy.host, proxy.port, limit, note=f"a proxy: {proxy.why}")
    line = stream
    try:
        if proxy is not None and proxy.secure:
            stream = _encrypt(stream, None, proxy.host, limit)
        if proxy is not None and not forward:
            limit.awaiting = f"tunnel through {proxy.place}"
            _proxy.tunnel(stream, host, port, proxy)
        if tls is not None:
            stream = _encrypt(stream, tls, host, limit)
    except BaseException:
        line.close()
        raise
    limit.awaiting = "answer"
    return stream


def _encrypt(stream: Stream, tls: Tls | None, host: str, limit: Limit) -> Stream:
    from otelkit.delivery.transport._tls import Tls, TlsStream

    try:
        context = (tls or Tls(protocol="http/1.1")).context()
        return TlsStream(stream, context, host, limit, advise=tls is not None)
    except (ConfigurationError, ValueError) as error:  # ValueError: a name that no certificate can have
        raise Failure(str(error)) from error
