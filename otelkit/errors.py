"""The errors a caller can meet, all of them from `init` with ``strict=True`` or from misuse.

::

    OtelkitError
    └── ConfigurationError      a setting cannot be used as given
        └── MissingExtraError   a setting asks for a package that is not installed

Nothing else of otelkit raises into the application.
"""

from __future__ import annotations

__all__ = ["ConfigurationError", "MissingExtraError", "OtelkitError"]


class OtelkitError(Exception):
    """The base of every error that otelkit raises on purpose."""


class ConfigurationError(OtelkitError):
    """A setting cannot be used as given; the message names it, its value and the remedy."""


class MissingExtraError(ConfigurationError):
    """A setting asks for an optional package; the message holds the command that installs it."""
