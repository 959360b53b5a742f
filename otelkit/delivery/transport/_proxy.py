"""Proxies: which one the environment asks for, and the tunnel through it."""

from __future__ import annotations

import ipaddress
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urlsplit

from otelkit.delivery.transport._basic import basic
from otelkit.delivery.transport._failures import Failure
from otelkit.delivery.transport._line import Stream
from otelkit.delivery.transport._words import place

__all__ = ["Proxy", "find", "tunnel"]

_PORTS = {"http": 80, "https": 443}
_MAX_HEAD = 16_384
_STATUS = re.compile(rb"HTTP/1\.[01] ([0-9]{3})")


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """A proxy to go through.

    Attributes:
        variable: What named it, as it stands in the environment: ``HTTPS_PROXY``.
        exceptions: What would leave it out: ``NO_PROXY``.
        secure: Whether the proxy itself is spoken to over TLS.
        headers: ``proxy-authorization``, if its address holds a user.
    """

    host: str
    port: int
    variable: str
    exceptions: str
    secure: bool
    headers: Mapping[str, str] = field(repr=False)

    @property
    def why(self) -> str:
        """Where it comes from and what leaves it out, for a message."""
        return f"{self.variable} names it, {self.exceptions} avoids it"

    @property
    def place(self) -> str:
        """Its host and port, for a message."""
        return place(self.host, self.port)


def find(host: str, port: int, *, variables: tuple[str, ...], exceptions: tuple[str, ...]) -> Proxy | None:
    """The proxy that the environment names for a destination, or None to go there directly.

    The variables are read as Python does, in lower or upper case. The functions of `urllib.request`
    that also ask the system are left alone: on macOS they crash a forked child (bpo-30385). As in
    Go's net/http, this machine is never reached through a proxy, and an exception may be a network
    or have a port; as in curl, exceptions may also be parted by blanks.

    Args:
        host: The name or address of the destination.
        port: Its port.
        variables: ``("https", "all")`` for HTTPS_PROXY, then ALL_PROXY.
        exceptions: ``("no",)`` for NO_PROXY.

    Raises:
        Failure: The variable's value is no address of an http or https proxy.
    """
    from urllib.request import getproxies_environment

    proxies = getproxies_environment()
    name = next((name for name in variables if name in proxies), None)
    excluding = next((name for name in exceptions if name in proxies), exceptions[-1])
    if name is None or _direct(host, port, proxies.get(excluding, "")):
        return None
    return _read(_variable(name), proxies[name], _variable(excluding))


def _variable(name: str) -> str:
    """The variable that ``getproxies_environment`` has taken: lower case wins, by its documentation."""
    lower = f"{name}_proxy"
    if os.environ.get(lower):
        return lower
    return next((given for given in os.environ if given.lower() == lower), lower.upper())


def _direct(host: str, port: int, excepted: str) -> bool:
    entries = [_parted(entry) for entry in re.split(r"[\s,]+", excepted.lower()) if entry]
    names = [name for name, wanted in entries if wanted in ("", str(port))]
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host == "localhost" or any(_matches(name, host) for name in names)
    return address.is_loopback or any(_covers(name, address) for name in names)


def _parted(entry: str) -> tuple[str, str]:
    """The name, address or network of an exception, and its port or nothing."""
    if entry.startswith("["):
        address, _, rest = entry[1:].partition("]")
        size, _, port = rest.partition(":")
        return address + size, port
    if entry.count(":") > 1:  # an address of version 6, which needs brackets to have a port
        return entry, ""
    name, _, port = entry.partition(":")
    return name, port


def _matches(name: str, host: str) -> bool:
    """Whether an exception is for this name or for a domain that it is in."""
    domain = name.removeprefix("*").lstrip(".")
    return name == "*" or (bool(domain) and f".{host}".endswith(f".{domain}"))


def _covers(name: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    if name == "*":
        return True
    try:
        return address in ipaddress.ip_network(name, strict=False)
    except ValueError:
        return False


def _read(variable: str, text: str, exceptions: str) -> Proxy:
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, parts, port = None, urlsplit(""), None
    if not host or parts.scheme not in _PORTS:
        # The value may hold a password, and so it is not shown.
        raise Failure(f"{variable} is no address of an http or https proxy")
    headers: dict[str, str] = {}
    if credentials := basic(parts):
        headers["proxy-authorization"] = credentials
    return Proxy(
        host=host,
        port=_PORTS[parts.scheme] if port is None else port,
        variable=variable,
        exceptions=exceptions,
        secure=parts.scheme == "https",
        headers=headers,
    )


def tunnel(stream: Stream, host: str, port: int, proxy: Proxy) -> None:
    """Ask the proxy at the other end of ``stream`` to connect it to the destination.

    Source: RFC 9110, section 9.3.6.

    Raises:
        Failure: It refuses, or does not speak HTTP.
    """
    target = place(host, port)
    lines = [f"CONNECT {target} HTTP/1.1", f"host: {target}"]
    lines += [f"{name}: {value}" for name, value in proxy.headers.items()]
    stream.send("\r\n".join([*lines, "\r\n"]).encode("ascii"))
    head = bytearray()
    # Byte by byte: what follows the empty line is the destination's.
    while not head.endswith(b"\r\n\r\n"):
        byte = stream.receive(1)
        if not byte or len(head) > _MAX_HEAD:
            raise Failure(f"the proxy {proxy.place} gave no answer to CONNECT ({proxy.why})")
        head += byte
    status = _STATUS.match(head)
    if status is None or not status[1].startswith(b"2"):
        answer = _phrase(int(status[1])) if status else "something that is not HTTP"
        raise Failure(
            f"the proxy {proxy.place} does not connect to {target}: it answers {answer} ({proxy.why})"
        )


def _phrase(code: int) -> str:
    try:
        return f"{code} {HTTPStatus(code).phrase}"
    except ValueError:
        return str(code)
