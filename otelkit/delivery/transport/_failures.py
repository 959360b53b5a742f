"""Why a request got no answer.

::

    Failure            no answer; the text says why, in words and without secrets
    ├── Interrupted    `Transport.interrupt` was called
    ├── Late           the deadline of the request has passed
    ├── Unanswered     the connection ended before the first byte of an answer
    └── NotTaken       the peer says that it did not look at the request

Every one of them becomes an answer of the kind ``retry``. They are no `OSError`, so that the
libraries they pass through do not translate them.
"""

from __future__ import annotations

__all__ = ["Failure", "Interrupted", "Late", "NotTaken", "Unanswered"]


class Failure(Exception):
    """A request got no answer; the text says why."""


class Interrupted(Failure):
    """Somebody asked to end the send under way."""

    def __init__(self) -> None:
        super().__init__("interrupted")


class Late(Failure):
    """The deadline passed."""


class Unanswered(Failure):
    """The connection ended, and nothing of an answer had arrived."""


class NotTaken(Failure):
    """The peer ends the connection and says that this request was not processed."""
