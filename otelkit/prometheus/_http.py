"""The HTTP half of `serve`: the standard library's server, quiet and without DNS questions."""

from __future__ import annotations

import socket
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from socketserver import TCPServer
from typing import Any
from urllib.parse import urlsplit

from otelkit.prometheus._current import render

__all__ = ["POLL_S", "http_server"]

POLL_S = 0.5  # how long one wait for a request takes at most


def http_server(host: str, port: int) -> ThreadingHTTPServer:
    """A server that is bound and listens, one daemon thread per request.

    Raises:
        OSError: The port is in use, or the address is not one of this machine's.
    """
    entry = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[0]

    class HTTPServer(ThreadingHTTPServer):
        address_family = entry[0]
        allow_reuse_port = False
        daemon_threads = True
        timeout = POLL_S

        def server_bind(self) -> None:
            TCPServer.server_bind(self)  # HTTPServer's own asks the DNS for the host's name
            self.server_name, self.server_port = host, self.server_address[1]

        def handle_error(self, request: Any, client_address: Any) -> None:
            """Nothing: a scraper that hangs up is no news."""

    return HTTPServer(entry[4][:2], _Handler)  # type: ignore[arg-type]


class _Handler(BaseHTTPRequestHandler):
    timeout = 10.0  # seconds for a scraper to say what it wants

    def do_GET(self) -> None:
        if urlsplit(self.path).path not in ("/", "/metrics", "/metrics/"):
            self._answer(404, b"try /metrics\n", {"Content-Type": "text/plain"})
            return
        page, content_type = render(",".join(self.headers.get_all("Accept", [])))
        self._answer(200, page, {"Content-Type": content_type, "Cache-Control": "no-store"})

    do_HEAD = do_GET  # noqa: N815 - the names are http.server's

    def do_POST(self) -> None:
        self._answer(405, b"", {"Allow": "GET, HEAD"})

    do_PUT = do_PATCH = do_DELETE = do_OPTIONS = do_POST  # noqa: N815 - the names are http.server's

    def _answer(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
        """Nothing: scrapes are not worth a line."""
