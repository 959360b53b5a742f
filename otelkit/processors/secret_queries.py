"""Secrets in queries of URLs and forms: encoded once more, or told by what stands next to them.

Time is linear in the text's length.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from urllib.parse import quote, unquote

from otelkit.processors.secret_shapes import PLACEHOLDER

__all__ = ["hide_companions", "hide_encoded"]

Match = re.Match[str]

# Each begins where a run begins, so that no run is read again from its middle.
_PARAMETERS = re.compile(r"(?<![^\s?#\"'<>\\])[^\s?#\"'<>\\&]+&[^\s?#\"'<>\\]+")
_ENCODED = re.compile(r"(?<![^\s&=?#\"<>\\])[^\s&=?#\"<>\\%]*%[^\s&=?#\"<>\\]+")

# Words that say nothing alone: a code next to a state is OAuth's, a pass next to a user a password.
_COMPANIONS = {
    "code": frozenset(("state",)),
    "pass": frozenset(("email", "login", "user", "username")),
}
_VALUE = re.compile(r"=(?!\[redacted\])[^,;)\]}]+")


def hide_companions(text: str) -> str:
    """``text`` without values that are secret for the parameters next to them: ``code=a&state=b``.

    Args:
        text: Any string.

    Returns:
        The same object when there is nothing to hide.
    """
    if "code=" not in text and "pass=" not in text:
        return text
    shown = _PARAMETERS.sub(_hide_companions, text)
    return text if shown == text else shown


def _hide_companions(match: Match) -> str:
    parts = match[0].split("&")
    names = [part.partition("=")[0] for part in parts]
    present = frozenset(names)
    for at, name in enumerate(names):
        if not present.isdisjoint(_COMPANIONS.get(name, ())):
            parts[at] = _VALUE.sub(f"={PLACEHOLDER}", parts[at], count=1)
    return "&".join(parts)


def hide_encoded(text: str, hide: Callable[[str], str]) -> str:
    """``text`` without the secrets that show once a value is decoded: ``next=%2F%3Ftoken%3Dx``.

    Args:
        text: Any string.
        hide: Takes a decoded text and returns it without its secrets.

    Returns:
        The same object when there is nothing to hide. Else what was encoded still is, apart from
        characters that the value also holds plain.
    """
    shown = _ENCODED.sub(lambda match: _hide_encoded(match[0], hide), text)
    return text if shown == text else shown


def _hide_encoded(run: str, hide: Callable[[str], str]) -> str:
    if "%3" not in run and "%25" not in run:  # no ":", no "=", nothing encoded twice
        return run
    plain = unquote(run)
    shown = hide(plain)
    if shown == plain:
        return run
    return quote(shown, safe="[]" + "".join(sorted(set(run) - {"%"})), errors="replace")
