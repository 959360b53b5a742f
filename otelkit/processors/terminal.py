"""What a terminal is given: colours only where they are wanted, and nothing it would act on."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

__all__ = ["colours_wanted", "visible"]

# What a terminal would act on: a value must not move the cursor or recolour the screen.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f\x80-\x9f]")


def colours_wanted(*, terminal: bool, environ: Mapping[str, str] = os.environ) -> bool:
    """Whether to colour: ``NO_COLOR``, then ``FORCE_COLOR``, then whether it is a terminal.

    Args:
        terminal: Whether the stream is one.
        environ: Where the two variables are read; an empty one counts as unset (no-color.org).
    """
    if environ.get("NO_COLOR"):
        return False
    return bool(environ.get("FORCE_COLOR")) or (terminal and environ.get("TERM") != "dumb")


def visible(text: str) -> str:
    """``text`` with control characters written out; tabs and line ends stay."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match.group()):02x}", text)
