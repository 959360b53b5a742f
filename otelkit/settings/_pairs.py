"""Mappings of settings: OTLP headers and resource attributes, given as mappings or as text.

The text form is ``key=value,key2=value2`` with percent-encoded values. A part that cannot be read
is dropped, and named by its key where that is surely a key, else by its place. A value is never
repeated: it may be a secret.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from otelkit.settings._row import Wrong

if TYPE_CHECKING:
    from otelkit.settings._row import Complain

__all__ = ["EMPTY", "attributes", "grpc_ready", "headers", "show_attributes", "show_headers"]

EMPTY: Mapping[str, Any] = MappingProxyType({})

_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")  # RFC 9110, section 5.6.2
_VALUE = re.compile(r"[\t\x20-\x7e\xa0-\xff]+")  # what http.client can send
_GRPC_KEY = re.compile(r"[0-9a-z_.\-]+")
_GRPC_VALUE = re.compile(r"[\x20-\x7e]+")
_SECRET_KEY = re.compile(r"token|secret|passw|key$|auth|credential", re.IGNORECASE)
_MORE = "write key=value pairs separated by commas, with percent-encoded values"


def headers(raw: object, complain: Complain) -> Mapping[str, str]:
    """Headers with lower-case names.

    Text is read as the SDK reads OTEL_EXPORTER_OTLP_HEADERS, blanks in values included. An entry
    with an empty value is dropped: it is nearly always a token that was given without its key.
    Source: OpenTelemetry specification, "Specifying headers via environment variables".
    """
    good: dict[str, str] = {}
    if isinstance(raw, str):
        for place, key, value in _parts(raw, complain):
            if _TOKEN.fullmatch(key) and value.strip("="):
                # The SDK takes a value with blanks for one that is not encoded.
                _take(good, unquote(key), value if " " in value else unquote(value), complain)
            else:
                complain(f"entry {place} is malformed and is not sent; {_MORE}")
    elif isinstance(raw, Mapping):
        for place, (name, content) in enumerate(raw.items(), 1):
            if isinstance(name, str) and _TOKEN.fullmatch(name.strip()):
                _take(good, name, content, complain)
            else:
                complain(f"entry {place} has no valid header name and is not sent")
    else:
        raise Wrong("must be a mapping of header names to texts, or text such as 'key=value,key2=value2'")
    return MappingProxyType(good)


def _take(good: dict[str, str], name: str, value: object, complain: Complain) -> None:
    key = name.strip().lower()
    if not _TOKEN.fullmatch(key):
        complain("an entry has no valid header name and is not sent")
    elif not isinstance(value, str):
        complain(f"the value of {key!r} is no text and is not sent")
    elif not _VALUE.fullmatch(value.strip()):
        complain(f"the value of {key!r} is empty or holds characters that no header can; it is not sent")
    else:
        good[key] = value.strip()


def grpc_ready(sent: Mapping[str, str]) -> Mapping[str, str]:
    """Those of the headers ``sent`` that gRPC metadata can carry."""
    fit = {
        key: value
        for key, value in sent.items()
        if _GRPC_KEY.fullmatch(key) and not key.endswith("-bin") and _GRPC_VALUE.fullmatch(value)
    }
    return sent if len(fit) == len(sent) else MappingProxyType(fit)


def attributes(raw: object, complain: Complain) -> Mapping[str, Any]:
    """Resource attributes: scalars, or tuples of scalars.

    Text is read as the SDK reads OTEL_RESOURCE_ATTRIBUTES: keys as they stand, values decoded.
    """
    good: dict[str, Any] = {}
    if isinstance(raw, str):
        for place, key, value in _parts(raw, complain):
            if key:
                good[key] = unquote(value)
            else:
                complain(f"entry {place} has no key and is dropped; {_MORE}")
    elif isinstance(raw, Mapping):
        for place, (name, content) in enumerate(raw.items(), 1):
            if not isinstance(name, str) or not name.strip():
                complain(f"entry {place} has no text as its key and is dropped")
            elif (plain := _plain(content)) is None:
                complain(f"the value of {name!r} is no text, number, boolean or list of such and is dropped")
            else:
                good[name.strip()] = plain
    else:
        raise Wrong("must be a mapping of names to values, or text such as 'key=value,key2=value2'")
    return MappingProxyType(good)


def _parts(raw: str, complain: Complain) -> list[tuple[int, str, str]]:
    found = []
    for place, part in enumerate(raw.split(","), 1):
        key, equals, value = part.partition("=")
        if equals:
            found.append((place, key.strip(), value.strip()))
        elif part.strip():
            complain(f"entry {place} is malformed and is dropped; {_MORE}")
    return found


def _plain(value: object) -> object:
    if isinstance(value, (str, bool, int, float)):
        return value
    if isinstance(value, (list, tuple)) and value:
        kind = type(value[0])
        if kind in (str, bool, int, float) and all(type(item) is kind for item in value):
            return tuple(value)
    return None


def show_headers(sent: Mapping[str, str]) -> str:
    """The names of headers; every value is masked."""
    return ", ".join(f"{key}=***" for key in sent)


def show_attributes(values: Mapping[str, Any]) -> str:
    """Attributes as text; the value of a key that sounds secret is masked."""
    return ", ".join(f"{k}={'***' if _SECRET_KEY.search(k) else v}" for k, v in values.items())
