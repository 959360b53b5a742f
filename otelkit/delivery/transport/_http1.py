"""urllib3's HTTP/1.1 connection, apart from the one that the application uses.

Whoever wants to see the application's own requests turns on `http.client`'s ``debuglevel``, which
prints headers and bodies, or puts a recording class in the place of urllib3's (vcrpy). Ours carry
credentials, and belong into neither.
"""

from __future__ import annotations

import http.client
from http import HTTPStatus
from typing import TYPE_CHECKING

from urllib3 import connection

if TYPE_CHECKING:
    from urllib3.connection import HTTPConnection as _Original
else:  # what stands in its place is derived from it
    _Original = next(
        kind for kind in connection.HTTPConnection.__mro__ if kind.__module__ == connection.__name__
    )

__all__ = ["Http1Connection"]


class _Response(http.client.HTTPResponse):
    """A response whose interim answers, of which `http.client` knows 100 only, are read over.

    Source: RFC 9110, section 15.2: a client must be able to take any number of them, unasked.
    """

    def begin(self) -> None:
        super().begin()
        while HTTPStatus.SWITCHING_PROTOCOLS < self.status < HTTPStatus.OK:
            self.headers = self.msg = None  # type: ignore[assignment]  # or it takes itself for begun
            super().begin()


class Http1Connection(_Original):
    """A connection over a socket that it was given; once that is closed it opens no other."""

    debuglevel = 0
    auto_open = 0
    response_class = _Response
