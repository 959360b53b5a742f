"""Text from somebody else, made fit for a line of ours."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

__all__ = ["clean", "place", "secrets"]

_MAX = 200
_LOOKED_AT = 2_000
_SHORTEST = 6  # a shorter text is in many a harmless word


def secrets(url: str, headers: Mapping[str, str]) -> tuple[str, ...]:
    """What a receiver might repeat of what we send it and must not be shown, longest first."""
    parts = urlsplit(url)
    found = {unquote(text) for text in (parts.username, parts.password) if text}
    found |= {value for _, value in parse_qsl(parts.query)}
    for value in headers.values():
        found |= {value, *value.split()}
        found |= set(_decoded(value).split(":", 1))
    return tuple(sorted((text for text in found if len(text) >= _SHORTEST), key=len, reverse=True))


def _decoded(value: str) -> str:
    scheme, _, credentials = value.partition(" ")
    if scheme.lower() != "basic":
        return ""
    try:
        return base64.b64decode(credentials).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return ""


def place(host: str, port: int) -> str:
    """Host and port as an address has them; an IPv6 host in brackets."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def clean(text: str, hidden: tuple[str, ...]) -> str:
    """``text`` in one printable line of at most 200 characters, with each of ``hidden`` masked."""
    for secret in hidden:
        text = text.replace(secret, "***")
    line = " ".join("".join(char if char.isprintable() else " " for char in text[:_LOOKED_AT]).split())
    return line if len(line) <= _MAX else f"{line[: _MAX - 1]}…"
