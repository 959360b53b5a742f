"""Every choice in one place: which settings exist, where each value comes from, what is wrong.

`resolve` makes a frozen `Settings` of arguments, ``OTEL_*`` variables, ``OTELKIT_*`` variables and
``[tool.otelkit]`` of pyproject.toml, in this order of precedence. `describe` lists them all::

    >>> print(otelkit.settings.describe())

A value that cannot be used never stops a program: it is one line in ``problems`` and a weaker
source is used, unless ``strict`` is true.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otelkit.settings._otlp import SIGNALS, OtlpTarget
from otelkit.settings._resolve import resolve
from otelkit.settings._running import running, set_running
from otelkit.settings._settings import Settings

__all__ = [
    "SIGNALS",
    "Description",
    "DescriptionRow",
    "OtlpTarget",
    "Settings",
    "describe",
    "resolve",
    "running",
    "set_running",
]

if TYPE_CHECKING:
    from otelkit.settings._describe import Description, DescriptionRow, describe
else:
    # Only who looks at the settings needs these.
    def __getattr__(name: str) -> object:
        if name not in {"Description", "DescriptionRow", "describe"}:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from otelkit.settings import _describe

        return getattr(_describe, name)
