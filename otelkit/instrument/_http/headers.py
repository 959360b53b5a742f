"""Headers as span attributes: those on the list and no others."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, Literal

__all__ = ["HeaderFilter"]

_MAX_KNOWN = 256  # names of headers come from clients


@dataclass(frozen=True, slots=True)
class HeaderFilter:
    """The headers that become attributes, made by `of`.

    Attributes:
        prefix: What stands before a header's name in the attribute's.
        pattern: Matches the names; None where no header is wanted.
    """

    prefix: str
    pattern: re.Pattern[bytes] | None
    _known: dict[bytes, str | None] = field(default_factory=dict, init=False, repr=False, compare=False)

    @classmethod
    def of(cls, side: Literal["request", "response"], names: Iterable[str]) -> HeaderFilter:
        """The filter for a list of names.

        Args:
            side: Whose headers they are.
            names: Names in any case; regular expressions as OpenTelemetry's own variables allow
                them (``x-.*``), each for a whole name.

        Source: semantic conventions, "HTTP server spans", ``http.request.header.<key>``.
        """
        parts = [_pattern(name.strip()) for name in names if name.strip()]
        joined = "|".join(parts).encode("latin-1", "replace")
        return cls(f"http.{side}.header.", re.compile(joined, re.IGNORECASE) if parts else None)

    def __bool__(self) -> bool:
        """Whether any header is wanted."""
        return self.pattern is not None

    def attributes(self, headers: Iterable[Any]) -> dict[str, list[str]]:
        """The attributes for an ASGI message's headers; all values of one name in one list."""
        found: dict[str, list[str]] = {}
        if self.pattern is not None:
            for name, value in headers:
                key = self._key(bytes(name))
                if key is not None:
                    found.setdefault(key, []).append(bytes(value).decode("latin-1"))
        return found

    def _key(self, name: bytes) -> str | None:
        try:
            return self._known[name]
        except KeyError:
            wanted = self.pattern is not None and self.pattern.fullmatch(name) is not None
            key = self.prefix + name.decode("latin-1").lower() if wanted else None
            if len(self._known) < _MAX_KNOWN:
                self._known[name] = key
            return key


def _pattern(name: str) -> str:
    try:
        re.compile(name)
    except re.error:
        return re.escape(name)
    return f"(?:{name})"
