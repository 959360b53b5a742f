import pytest

from otelkit.delivery.accounting import Counts
from otelkit.delivery.losses import lost_line


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        ("HTTP 401 Unauthorized", "OTEL_EXPORTER_OTLP_HEADERS"),
        ("gRPC PERMISSION_DENIED", "OTEL_EXPORTER_OTLP_HEADERS"),
        ("HTTP 404 Not Found", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        ("HTTP 404 (text/html), not an answer of gRPC", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        ("UNIMPLEMENTED: unknown service x", "OTEL_EXPORTER_OTLP_ENDPOINT"),
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
        ("", "can be reached"),
    ],
)
def test_lost_line_gives_the_advice_that_fits(reason, advice):
    """What is refused for its credentials is no matter of reaching the collector."""
    line = lost_line({"traces": Counts(created=1, rejected=1)}, where="x", final=False, reason=reason)

    assert reason in line
    assert advice in line


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
