"""Addresses: which can be used, how they are shown, how a signal's address is made of a base."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import SplitResult, urlsplit, urlunsplit

from otelkit.settings._row import Wrong

if TYPE_CHECKING:
    from otelkit.settings._row import Complain

__all__ = ["endpoint", "has_scheme", "is_loopback", "mask", "read", "with_path"]

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*://")
_QUOTES = "'\"`\u2018\u2019\u201c\u201d"
_SLIP = re.compile(r"https?(?://|:(?!\d))", re.IGNORECASE)  # http//host, http:/host, http://http://host
_NO_NAME = re.compile(r"(?![A-Za-z0-9._-])[!-~]")  # what is beyond ASCII may be of a name
_UNPRINTABLE = re.compile(r"[\s\x00-\x1f\x7f\\]")
_EXAMPLE = "such as http://localhost:4318"


def endpoint(raw: object, complain: Complain) -> str:
    """An http or https address, or ``host:port`` without a scheme; blanks around it removed."""
    del complain
    if not isinstance(raw, str):
        raise Wrong(f"must be text {_EXAMPLE}")
    text = raw.strip()
    if not text or _UNPRINTABLE.search(text):
        raise Wrong(f"must be an address without blanks, {_EXAMPLE}")
    if text[0] in _QUOTES or text[-1] in _QUOTES:
        raise Wrong(f"must be without quotes, which here are part of the value, {_EXAMPLE}")
    scheme = _SCHEME.match(text)
    if _SLIP.match(text, scheme.end() if scheme else 0):
        raise Wrong(f"must have one http:// or https://, with its colon and both slashes, {_EXAMPLE}")
    try:
        parts = read(text)
        port = parts.port
    except ValueError:
        raise Wrong(f"must be a readable URL with a port from 1 to 65535, {_EXAMPLE}") from None
    if parts.scheme not in ("http", "https"):
        raise Wrong(f"must begin with http:// or https://, {_EXAMPLE}")
    if not parts.hostname or port == 0:
        raise Wrong(f"must name a host and, where it is not the default, a port, {_EXAMPLE}")
    if "[" not in parts.netloc.rpartition("@")[2] and (found := _NO_NAME.search(parts.hostname)):
        raise Wrong(
            f"must name a host by letters, digits, dots and hyphens, without {found[0]!r}, {_EXAMPLE}"
        )
    return text


def has_scheme(text: str) -> bool:
    """Whether ``text`` begins with a scheme and ``://``."""
    return _SCHEME.match(text) is not None


def read(text: str) -> SplitResult:
    """The parts of an address; without a scheme it is taken for http, on port 443 for https."""
    if has_scheme(text):
        return urlsplit(text)
    parts = urlsplit(f"http://{text}")
    return parts._replace(scheme="https") if parts.port == 443 else parts  # noqa: PLR2004 - the https port


def is_loopback(parts: SplitResult) -> bool:
    """Whether the address is of this machine."""
    host = parts.hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")


def with_path(parts: SplitResult, path: str) -> str:
    """The address with ``path`` added to its own path; a query stays at the end."""
    return urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{path}"))


def mask(text: str, *, length: int = 200) -> str:
    """``text`` with user, password, query values and fragment of an address left out.

    It also does so for text that is no readable address, rather too much than too little.
    """
    match = _SCHEME.match(text)
    scheme = match.group() if match else ""
    rest = text[len(scheme) :]
    if "@" in rest:
        rest = "***@" + rest.rpartition("@")[2]
    rest = rest.partition("#")[0]
    path, question, query = rest.partition("?")
    if question:
        names = (part.partition("=") for part in query.split("&"))
        path += "?" + "&".join(f"{name}=***" if equals else "***" for name, equals, _ in names)
    shown = scheme + path
    return shown if len(shown) <= length else shown[:length] + "…"
