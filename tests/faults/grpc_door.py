"""OTLP over gRPC at the collector under test, well-behaved or not; loads grpc when it is opened."""

from __future__ import annotations

import socketserver
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import parcels
from http_door import Server, keep_port, reset

if TYPE_CHECKING:
    from collections.abc import Callable

    from behaviours import Answer
    from collector_main import Hub

__all__ = ["GrpcDoor"]

_SERVICES = {
    "opentelemetry.proto.collector.trace.v1.TraceService": "traces",
    "opentelemetry.proto.collector.logs.v1.LogsService": "logs",
    "opentelemetry.proto.collector.metrics.v1.MetricsService": "metrics",
}
_CODES = {
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "UNIMPLEMENTED",
    413: "RESOURCE_EXHAUSTED",
    429: "RESOURCE_EXHAUSTED",
    500: "INTERNAL",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "UNAVAILABLE",
}
_RAW = {"drip", "reset", "stall"}
_WORKERS = 32
_SETTINGS_FRAME = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00"
_DRIP_S = 1.0


class _RawHandler(socketserver.StreamRequestHandler):
    """A peer that never gets to gRPC: it drips its handshake, resets in the body, or never reads."""

    server: Server

    def handle(self) -> None:
        treated = self.server.hub.treat("")
        kind, release = treated.behaviour.kind, treated.release
        if kind == "stall":
            release.wait()
        elif kind == "reset":
            self.wfile.write(_SETTINGS_FRAME)
            read = 0
            while read < 2_000:
                some = self.connection.recv(500)
                if not some:
                    return
                read += len(some)
            reset(self.connection)
        else:
            while True:
                for byte in _SETTINGS_FRAME:
                    if release.wait(_DRIP_S):
                        return
                    self.wfile.write(bytes([byte]))


class GrpcDoor:
    """OTLP/gRPC on a port of its own."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._keeper = keep_port()
        self._stop: Callable[[], object] | None = None
        self._serving = ""
        self._opened = False
        self.port: int = self._keeper.getsockname()[1]

    def open(self, kind: str) -> None:
        """Begin to answer; calling it again changes nothing."""
        if not self._opened:
            self._opened = True
            self.apply(kind)

    def apply(self, kind: str) -> None:
        """Serve gRPC, behave badly below it, or refuse; a door never opened stays closed."""
        wanted = kind if kind in {"refuse", *_RAW} else "serve"
        if not self._opened or wanted == self._serving:
            return
        if self._stop is not None:
            self._stop()
        self._stop, self._serving = None, wanted
        if wanted == "serve":
            self._stop = self._serve()
        elif wanted in _RAW:
            self._stop = Server(self.port, _RawHandler, self._hub).close

    def _serve(self) -> Callable[[], object]:
        import grpc

        pool = ThreadPoolExecutor(_WORKERS)
        server = grpc.server(
            pool, options=[("grpc.so_reuseport", 1), ("grpc.max_receive_message_length", -1)]
        )
        for service, signal in _SERVICES.items():
            method = grpc.unary_unary_rpc_method_handler(self._exporter(signal))
            server.add_generic_rpc_handlers(
                (grpc.method_handlers_generic_handler(service, {"Export": method}),)
            )
        server.add_insecure_port(f"127.0.0.1:{self.port}")
        server.start()

        def stop() -> None:
            server.stop(None).wait()
            pool.shutdown(wait=False)

        return stop

    def _exporter(self, signal: str) -> Callable[[bytes, Any], bytes]:
        def export(body: bytes, context: Any) -> bytes:
            at_s = time.monotonic()
            treated = self._hub.treat(signal)
            try:
                parcel = parcels.read(signal, body)
            except Exception as error:
                self._hub.ledger.problem(f"{signal}: {error}")
                raise
            answer = treated.behaviour.answer(items=parcel.size, body_bytes=len(body), bad=parcel.bad)
            noted = self._hub.ledger.note(
                parcel, answer, at_s=at_s, wire_bytes=len(body), body_bytes=len(body)
            )
            return self._follow(answer, noted, parcel, treated.release, context)

        return export

    def _follow(
        self,
        answer: Answer,
        noted: dict[str, Any],
        parcel: parcels.Parcel,
        release: threading.Event,
        context: Any,
    ) -> bytes:
        import grpc

        if answer.delay_s:
            self._hub.closing.wait(answer.delay_s)
        if answer.way in {"hang", "drip"}:
            while context.is_active() and not release.wait(0.05):
                pass
            context.abort(grpc.StatusCode.UNAVAILABLE, "the collector lets go")
        if answer.code == 200:
            self._hub.store(noted, parcel, rejected=answer.rejected)
        if answer.way == "lost":
            context.abort(grpc.StatusCode.UNAVAILABLE, "the answer is lost")
        if answer.code != 200:
            if answer.retry_after_s:
                context.set_trailing_metadata((("grpc-status-details-bin", _retry_info(answer)),))
            code = getattr(grpc.StatusCode, _CODES.get(answer.code, "UNKNOWN"))
            # The words of grpc-go, which the OpenTelemetry Collector is made with.
            too_large = "grpc: received message larger than max (6001 vs. 6000)"
            context.abort(code, too_large if answer.code == 413 else f"the collector answers {answer.code}")
        return parcels.partial_success(parcel.signal, answer.rejected)


def _retry_info(answer: Answer) -> bytes:
    from google.rpc import error_details_pb2, status_pb2

    info = error_details_pb2.RetryInfo()
    info.retry_delay.FromMilliseconds(int(answer.retry_after_s * 1000))
    status = status_pb2.Status(code=14 if answer.code in {502, 503, 504} else 8, message="later")
    status.details.add().Pack(info)
    return status.SerializeToString()
