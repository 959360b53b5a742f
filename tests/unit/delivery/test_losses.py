import pytest

from otelkit.delivery.accounting import Counts
from otelkit.delivery.losses import lost_line


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        ("HTTP 401 Unauthorized", "OTEL_EXPORTER_OTLP_HEADERS"),
        ("gRPC PERMISSION_DENIED", "OTEL_EXPORTER_OTLP_HEADERS"),
        (
            "HTTP 404 Not Found",
            "OTEL_EXPORTER_OTLP_ENDPOINT or the signal's own, which needs its path: /v1/traces",
        ),
        ("HTTP 405 Method Not Allowed", "which needs its path: /v1/traces"),
        ("HTTP 404 (text/html), not an answer of gRPC", "it leads to no receiver of OTLP over gRPC"),
        ("HTTP 500 (text/html), not an answer of gRPC", "can be reached"),
        ("UNIMPLEMENTED: unknown service x", "it leads to no receiver of OTLP over gRPC"),
        ("HTTP 413 Request Entity Too Large", "max_request_body_size"),
        ("HTTP 400 Bad Request: http: request body too large", "max_request_body_size"),
        ("RESOURCE_EXHAUSTED: grpc: received message larger than max (401 vs. 404)", "max_recv_msg_size_mib"),
        ("RESOURCE_EXHAUSTED: grpc: received message after decompression larger than max 9", "max_recv_msg"),
        ("RESOURCE_EXHAUSTED: SERVER: Received message larger than max (9 vs. 8)", "VALUE_LENGTH_LIMIT"),
        ("HTTP 415 Unsupported Media Type", "OTEL_EXPORTER_OTLP_COMPRESSION=none"),
        ("HTTP 400 Bad Request: unsupported Content-Encoding: gzip", "OTEL_EXPORTER_OTLP_COMPRESSION=none"),
        (
            'UNIMPLEMENTED: grpc: Decompressor is not installed for grpc-encoding "gzip"',
            "OTEL_EXPORTER_OTLP_COMPRESSION=none",
        ),
        ("RESOURCE_EXHAUSTED: quota of 401 spans", "can be reached"),
        ("Connection refused", "can be reached"),
        (
            "connection refused by 127.0.0.1:1 (a proxy: HTTPS_PROXY names it, NO_PROXY avoids it)",
            "the proxy runs",
        ),
        ("the proxy p:1 does not connect to c:443: it answers 502 Bad Gateway (x)", "the proxy runs"),
        ("through the proxy p:1 (x): HTTP 403 Forbidden", "OTEL_EXPORTER_OTLP_HEADERS"),
        ("", "can be reached"),
    ],
)
def test_lost_line_gives_the_advice_that_fits(reason, advice):
    """What is refused for its credentials is no matter of reaching the collector."""
    line = lost_line({"traces": Counts(created=1, rejected=1)}, where="x", final=False, reason=reason)

    assert reason in line
    assert advice in line


@pytest.mark.parametrize("reason", ["UNIMPLEMENTED: unknown service x", "HTTP 404 Not Found"])
@pytest.mark.parametrize(
    ("refused", "advice"),
    [
        (
            ("logs",),
            "If the receiver takes no logs, as Jaeger takes traces only, set OTEL_LOGS_EXPORTER=none",
        ),
        (
            ("logs", "metrics"),
            "set OTEL_LOGS_EXPORTER=none and OTEL_METRICS_EXPORTER=none; else check the add",
        ),
        (("traces", "logs"), " Check the address"),
    ],
)
def test_lost_line_advises_on_a_signal_that_the_receiver_does_not_know(reason, refused, advice):
    """Only where logs or metrics are refused and traces are not is it the signal and not the address."""
    counts = {
        signal: Counts(created=1, rejected=1) if signal in refused else Counts(created=1, delivered=1)
        for signal in ("traces", "metrics", "logs")
    }

    line = lost_line(counts, where="x", final=False, reason=reason)

    assert advice in line
    assert ("=none" in line) == ("traces" not in refused)


def test_lost_line_advises_on_the_path_of_the_signal_that_was_refused():
    """A signal that was taken before knows its path."""
    counts = {"traces": Counts(delivered=2, rejected=1), "metrics": Counts(rejected=1)}

    assert "path: /v1/metrics)" in lost_line(counts, where="x", final=False, reason="HTTP 404 Not Found")


def test_lost_line_names_signals_reasons_and_place():
    """The line about losses says how much of what, why, and where to."""
    counts = {
        "traces": Counts(rejected=1),
        "logs": Counts(dropped={"queue_full": 2, "evicted": 1}, spooled=4),
        "metrics": Counts(in_flight=1),
    }
    so_far = lost_line(counts, where="http://collector:4318", final=False, reason="no.")
    final = lost_line(counts, where="x", final=True)

    assert "http://collector:4318 so far" in so_far
    assert "lost: 1 span (rejected 1); 3 log records (evicted 1, queue_full 2)" in so_far
    assert "kept on disk" not in so_far
    assert "1 metric point (still on the way 1)" in final
    assert "kept on disk for the next process: 4 log records" in final


def test_no_losses_make_no_line():
    """Nothing lost and nothing left is nothing to say."""
    waiting = {"traces": Counts(queued=1, in_flight=1, spooled=1, delivered=3)}

    assert lost_line(waiting, where="x", final=False) is None
    assert lost_line({}, where="x", final=True) is None
