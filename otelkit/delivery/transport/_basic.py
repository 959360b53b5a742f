"""Basic authentication, from the user in an address."""

from __future__ import annotations

import base64
from urllib.parse import SplitResult, unquote

__all__ = ["basic"]


def basic(address: SplitResult) -> str:
    """The value of an ``Authorization`` header for the user in ``address``; nothing without one.

    Source: RFC 7617, in UTF-8.
    """
    if address.username is None:
        return ""
    user = f"{unquote(address.username)}:{unquote(address.password or '')}"
    return f"Basic {base64.b64encode(user.encode()).decode()}"
