"""TLS: whom to trust, how to identify ourselves, and the encrypted stream over another stream."""

from __future__ import annotations

import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache, partial
from pathlib import Path
from typing import TypeVar

from otelkit import _guard
from otelkit.delivery.transport._failures import Failure, Unanswered
from otelkit.delivery.transport._limit import Limit
from otelkit.delivery.transport._line import Stream
from otelkit.errors import ConfigurationError

__all__ = ["Tls", "TlsStream"]

_SIZE = 65_536

_PLAIN = "a port without TLS would answer so: if it is one, use http://"
_REFUSED = "set OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE and _CLIENT_KEY to what the server accepts"
_UNTRUSTED = "set OTEL_EXPORTER_OTLP_CERTIFICATE to the certificate of its authority"
_MISNAMED = "use a name in the endpoint that it is made for"

_WITHOUT_TLS = ("wrong version number", "record layer failure")  # OpenSSL before and since 3.2
# The alerts about the client's certificate: RFC 8446, section 6.2.
_OF_OUR_CERTIFICATE = re.compile(r"alert .*(certificate|unknown ca|access denied)")
# By OpenSSL's codes: whom to trust is no remedy for a certificate with another name, or out of its time.
_UNVERIFIED = {9: "", 10: "", 62: _MISNAMED, 64: _MISNAMED}

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """What a TLS connection needs to be opened.

    Attributes:
        protocol: What is spoken over it, as ALPN (RFC 7301) names it: ``h2`` or ``http/1.1``.
        certificate: File with the certificates to trust; None: those of the system, and of
            certifi where it is installed (a slim container image has none of its own).
        client_certificate: File with the client's certificate chain, or None.
        client_key: File with its private key; None: it stands in the same file.
    """

    protocol: str
    certificate: str | None = None
    client_certificate: str | None = None
    client_key: str | None = None

    def context(self) -> ssl.SSLContext:
        """What to open a connection with; files are read again, so that renewed ones take effect.

        Raises:
            ConfigurationError: A file cannot be read or is not what it should be.
        """
        for name in ("certificate", "client_certificate", "client_key"):
            if path := getattr(self, name):
                _checked(name, path, Path(path).read_bytes)
        if not (self.certificate or self.client_certificate):
            return _system_context(self.protocol)
        context = _context(self.protocol)
        if trusted := self.certificate:
            _checked("certificate", trusted, lambda: context.load_verify_locations(trusted))
            # The file may hold just the receiver's own certificate, as with grpcio.
            context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        else:
            _trust_system(context)
        if own := self.client_certificate:
            # The password: without one OpenSSL asks for it on the terminal.
            load = partial(context.load_cert_chain, own, self.client_key, password="")
            _checked("client_certificate", own, load)
        return context


def _context(protocol: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols([protocol])
    return context


@lru_cache(maxsize=2)
def _system_context(protocol: str) -> ssl.SSLContext:
    """Kept: to read the system's certificates takes tens of milliseconds and a megabyte."""
    context = _context(protocol)
    _trust_system(context)
    return context


def _trust_system(context: ssl.SSLContext) -> None:
    context.load_default_certs()
    try:
        import certifi

        context.load_verify_locations(certifi.where())
    except (ImportError, OSError):
        pass


def _checked(name: str, path: str, load: Callable[[], object]) -> None:
    try:
        load()
    except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
        raise ConfigurationError(
            f"{name}={path} (OTEL_EXPORTER_OTLP_{name.upper()}) cannot be used: {_guard.describe(error)}. "
            "Nothing is sent over OTLP with it; give a PEM file that can be read"
            + (" and the key that belongs to it, without a password." if name != "certificate" else ".")
        ) from error


class _Ended(Unanswered):
    """The peer will send nothing more."""


class TlsStream:
    """A TLS client over ``lower``, which may itself be one (an https proxy).

    The cryptography works on memory; only ``lower`` waits, and so it alone must know the limit.

    Args:
        lower: What carries the encrypted bytes.
        context: Whom to trust, and what to show.
        host: The name that the peer's certificate must have.
        limit: What ends the waits.
        advise: Whether to say which of the endpoint's settings a failure is a matter of.

    Raises:
        Failure: The handshake failed; names the host.
    """

    def __init__(
        self, lower: Stream, context: ssl.SSLContext, host: str, limit: Limit, *, advise: bool = True
    ) -> None:
        self._lower = lower
        self._host = host
        self._advise = advise
        self._established = False
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._incoming, self._outgoing, server_hostname=host)
        limit.awaiting = f"TLS handshake with {host}"
        self._run(self._tls.do_handshake)
        self._established = True

    def send(self, data: bytes | memoryview) -> None:
        """Write all of ``data``; at most 64 KiB of it are held encrypted."""
        rest = memoryview(data)
        while rest:
            piece = rest[:_SIZE]
            rest = rest[self._run(partial(self._tls.write, piece)) or 0 :]

    def receive(self, size: int, *, wait: bool = True) -> bytes | None:
        """What has arrived; see `Stream`. A stream that ends without TLS's own farewell ends too."""
        try:
            return self._run(lambda: self._tls.read(size), wait=wait)
        except _Ended:
            return b""

    def close(self) -> None:
        """Close the stream below."""
        self._lower.close()

    def _run(self, step: Callable[[], _T], *, wait: bool = True) -> _T | None:
        """The result of ``step``, with as much traffic as it needs; None if not to wait for it."""
        while True:
            try:
                result = step()
            except ssl.SSLWantReadError:
                self._flush()
                data = self._lower.receive(_SIZE, wait=wait)
                if data is None:
                    return None
                if data:
                    self._incoming.write(data)
                else:
                    self._incoming.write_eof()
            except (ssl.SSLZeroReturnError, ssl.SSLEOFError) as error:
                raise _Ended(f"{self._host} closed the TLS connection") from error
            except ssl.SSLError as error:
                advice = self._advice(error) if self._advise else ""
                raise Failure(f"{self._words(error)}; {advice}" if advice else self._words(error)) from error
            else:
                self._flush()
                return result

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._lower.send(self._outgoing.read())

    def _words(self, error: ssl.SSLError) -> str:
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"the certificate of {self._host} is not trusted: {error.verify_message.rstrip('.')}"
        return f"TLS with {self._host} failed: {_reason(error)}"

    def _advice(self, error: ssl.SSLError) -> str:
        """What to do about it, where that is known."""
        if isinstance(error, ssl.SSLCertVerificationError):
            return _UNVERIFIED.get(error.verify_code, _UNTRUSTED)
        reason = _reason(error)
        if reason in _WITHOUT_TLS and not self._established:
            return _PLAIN
        return _REFUSED if _OF_OUR_CERTIFICATE.search(reason) else ""


def _reason(error: ssl.SSLError) -> str:
    return (error.reason or "unknown reason").replace("_", " ").lower()
