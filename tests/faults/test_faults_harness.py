"""The harness itself: each behaviour of the collector against plain clients, the books, the app."""

from __future__ import annotations

import socket
import time

import behaviours
import grpc
import pytest
import requests
from books import assert_balanced, assert_inherited, lost
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)

EXPORT = "/opentelemetry.proto.collector.trace.v1.TraceService/Export"


def body(*numbers, run="a", bad=False, pad=0):
    message = ExportTraceServiceRequest()
    spans = message.resource_spans.add().scope_spans.add().spans
    for number in numbers:
        span = spans.add(name="x" * pad)
        span.attributes.add(key="n").value.int_value = number
        span.attributes.add(key="run").value.string_value = run
        if bad:
            span.attributes.add(key="bad").value.bool_value = True
    return message.SerializeToString()


def post(collector, content, *, timeout=5.0):
    url = f"{collector.endpoint()}/v1/traces"
    return requests.post(url, data=content, timeout=timeout, allow_redirects=False)


def call(collector, content, *, timeout=5.0):
    target = collector.endpoint("grpc").removeprefix("http://")
    with grpc.insecure_channel(target, options=[("grpc.use_local_subchannel_pool", 1)]) as channel:
        try:
            return channel.unary_unary(EXPORT)(content, timeout=timeout)
        except grpc.RpcError as error:
            return error


def test_ok_counts_each_item_once(collector):
    """Distinct numbers are counted by run, a second arrival is a duplicate and not a second item."""
    post(collector, body(0, 1, 2))
    post(collector, body(2, 3))
    post(collector, body(0, run="b"))

    arrived = collector.wait_until(lambda a: a.distinct("traces") == 5, timeout_s=5)
    assert (4, 1) == (arrived.distinct("traces", "a"), arrived.distinct("traces", "b"))
    assert (1, 3) == (arrived.duplicates("traces"), arrived.requests["traces"])
    assert [4] == collector.missing("traces", "a", 5)
    assert [(3, 0), (1, 1), (1, 0)] == [(r.fresh, r.duplicates) for r in collector.requests()]


def test_refuse_and_back(collector):
    """The port refuses, over both protocols, and takes again later."""
    post(collector, body(0))
    collector.endpoint("grpc")
    collector.behave(behaviours.refuse())
    with pytest.raises(requests.ConnectionError):
        post(collector, body(1))
    assert grpc.StatusCode.UNAVAILABLE == call(collector, body(1)).code()

    collector.behave(behaviours.OK)
    assert 200 == post(collector, body(1)).status_code
    assert b"" == call(collector, body(2))
    assert 3 == collector.arrived().distinct("traces")


@pytest.mark.parametrize("behaviour", [behaviours.hang(), behaviours.drip(), behaviours.stall()])
def test_no_answer(collector, behaviour):
    """No answer comes within the time of the client, and nothing is stored."""
    collector.behave(behaviour)
    with pytest.raises((requests.Timeout, requests.ConnectionError)):
        post(collector, body(0), timeout=0.5)
    assert call(collector, body(0), timeout=0.5).code() in {
        grpc.StatusCode.DEADLINE_EXCEEDED,
        grpc.StatusCode.UNAVAILABLE,
    }
    assert 0 == collector.arrived().distinct("traces")


def test_drip_is_a_byte_a_second(collector):
    """The answer begins, one byte after the other."""
    collector.behave(behaviours.drip())
    host, _, port = collector.endpoint().removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        content = body(0)
        head = f"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Length: {len(content)}\r\n\r\n"
        connection.sendall(head.encode() + content)
        began = time.monotonic()
        assert [b"H", b"T"] == [connection.recv(1), connection.recv(1)]
        assert time.monotonic() - began > 1.5


def test_hanging_requests_are_let_go_unanswered(collector):
    """A change of the behaviour ends the waits: the connection closes without an answer."""
    collector.behave(behaviours.hang())
    host, _, port = collector.endpoint().removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), timeout=5) as connection:
        content = body(0)
        head = f"POST /v1/traces HTTP/1.1\r\nHost: x\r\nContent-Length: {len(content)}\r\n\r\n"
        connection.sendall(head.encode() + content)
        collector.wait_until(lambda a: a.requests.get("traces"), timeout_s=5)
        collector.behave(behaviours.OK)
        assert b"" == connection.recv(1)
    assert 0 == collector.arrived().distinct("traces")


def test_reset_in_the_body(collector):
    """Half of the body is read, then the client meets a reset."""
    collector.behave(behaviours.reset(times=1))
    with pytest.raises(requests.ConnectionError, match=r"reset|Broken pipe"):
        post(collector, body(*range(2_000)))

    assert 200 == post(collector, body(0)).status_code
    collector.behave(behaviours.reset())
    assert grpc.StatusCode.UNAVAILABLE == call(collector, body(*range(2_000))).code()
    assert 1 == collector.arrived().distinct("traces")


def test_slow_answers_late(collector):
    """It answers, and stores, after its time."""
    collector.behave(behaviours.slow(0.5))
    began = time.monotonic()
    assert 200 == post(collector, body(0)).status_code
    assert b"" == call(collector, body(1))
    assert time.monotonic() - began >= 1.0
    assert 2 == collector.arrived().distinct("traces")


def test_status_with_retry_after(collector):
    """A status for so many requests, with its header or RetryInfo, and then all is well."""
    collector.behave(behaviours.status(503, retry_after_s=3, times=2))
    answer = post(collector, body(0))
    refused = call(collector, body(0))

    assert (503, "3") == (answer.status_code, answer.headers["Retry-After"])
    assert grpc.StatusCode.UNAVAILABLE == refused.code()
    assert b"RetryInfo" in dict(refused.trailing_metadata())["grpc-status-details-bin"]
    assert 200 == post(collector, body(0)).status_code
    assert ["503", "503", "200"] == [request.answer for request in collector.requests()]


def test_redirect(collector):
    """A 307 names another place and stores nothing."""
    collector.behave(behaviours.redirect("http://127.0.0.1:9/v1/traces"))
    answer = post(collector, body(0))

    assert (307, "http://127.0.0.1:9/v1/traces") == (answer.status_code, answer.headers["Location"])
    assert 0 == collector.arrived().distinct("traces")


def test_bad_record_and_too_large(collector):
    """400 only with the marked record, 413 only above the limit."""
    collector.behave(behaviours.bad_record())
    assert [200, 400] == [post(collector, body(0, bad=bad)).status_code for bad in (False, True)]
    assert grpc.StatusCode.INVALID_ARGUMENT == call(collector, body(0, bad=True)).code()

    collector.behave(behaviours.too_large(1_000))
    assert [200, 413] == [post(collector, body(1, pad=pad)).status_code for pad in (0, 2_000)]
    assert grpc.StatusCode.RESOURCE_EXHAUSTED == call(collector, body(1, pad=2_000)).code()
    assert 2 == collector.arrived().distinct("traces")


def test_partial_success(collector):
    """The first items are rejected in the answer and not stored."""
    collector.behave(behaviours.partial(2))
    for answer in (post(collector, body(0, 1, 2)).content, call(collector, body(3, 4, 5))):
        partial = ExportTraceServiceResponse.FromString(answer).partial_success
        assert (2, "not these") == (partial.rejected_spans, partial.error_message)

    arrived = collector.arrived()
    assert (2, 4) == (arrived.distinct("traces"), arrived.rejected["traces"])


def test_answer_lost(collector):
    """Everything is stored, and the connection ends without an answer."""
    collector.behave(behaviours.answer_lost(times=2))
    with pytest.raises(requests.ConnectionError):
        post(collector, body(0))
    assert grpc.StatusCode.UNAVAILABLE == call(collector, body(1)).code()

    assert 200 == post(collector, body(0)).status_code
    arrived = collector.arrived()
    assert (2, 1) == (arrived.distinct("traces"), arrived.duplicates("traces"))


def test_metrics_are_the_last_value_of_each_instance(collector):
    """Cumulative values are summed over the instances, the last one of each."""
    for instance, value, moment in (("a", 5, 2), ("a", 3, 1), ("b", 10, 1)):
        message = ExportMetricsServiceRequest()
        resource = message.resource_metrics.add()
        resource.resource.attributes.add(key="service.instance.id").value.string_value = instance
        metric = resource.scope_metrics.add().metrics.add(name="made")
        metric.sum.data_points.add(as_int=value, time_unix_nano=moment)
        requests.post(
            f"{collector.endpoint()}/v1/metrics", data=message.SerializeToString(), timeout=5
        ).raise_for_status()

    assert {"made": 15} == collector.arrived().metrics


def test_late_storing_of_an_earlier_cell_is_forgotten(collector):
    """A request that is still being answered when the books are emptied is in no later book."""
    collector.behave(behaviours.slow(0.5))
    with pytest.raises(requests.Timeout):
        post(collector, body(0), timeout=0.1)
    collector.reset()
    post(collector, body(7, run="later"))
    collector.behave(behaviours.slow(0.6))
    post(collector, body(8, run="later"))

    arrived = collector.arrived()
    assert (0, 2) == (arrived.distinct("traces", "a"), arrived.distinct("traces", "later"))


def test_undecodable_request_is_a_problem(collector):
    """What no working sender sends fails the cell that it happens in."""
    with pytest.raises(requests.ConnectionError):
        post(collector, b"\xff\xff\xff")

    assert collector.wait_until(lambda a: a.problems, timeout_s=5).problems
    collector.reset()


def test_books():
    """Counts that add up pass, others do not; missing ones are zero."""
    assert_balanced(
        {"traces": {"created": 5, "adopted": 2, "delivered": 3, "dropped": {"x": 1}, "spooled": 3}}
    )
    with pytest.raises(AssertionError, match="traces: 5 came, 4 went"):
        assert_balanced({"traces": {"created": 5, "delivered": 4}})

    assert 3 == lost({"traces": {"rejected": 1, "dropped": {"x": 2}}}, "traces")
    assert_inherited([{"traces": {"spooled": 2}}], {"traces": {"adopted": 2}})
    with pytest.raises(AssertionError):
        assert_inherited([], {"traces": {"adopted": 2}})


def test_plain_sdk_application(cell):
    """The application with the plain SDK: what it made arrives, and its report tells it."""
    app = cell.start("plain", "--kit", "plain", "--count", 50, "--rate", 500, "--hold").ready()
    app.wait_for_line("made ")
    app.go()
    ended = app.end()

    assert 0 == ended.code, ended.stderr
    assert {"traces": 50, "logs": 50} == cell.count(app, metrics=False) == app.report(ended)["made"]
    cell.assert_nothing_lost(metrics=False)
    assert app.exit_delay_s(ended) > 0


def test_tally_survives_sigkill(cell):
    """What was made is known also of an application that was killed."""
    import signal

    app = cell.start("killed", "--kit", "none", "--rate", 2000, "--threads", 2).ready()
    app.wait_for_line("ready")
    from cells import until

    until(lambda: app.made()["traces"] > 200, timeout_s=10)
    app.stop(signal.SIGKILL)
    made = app.made()

    assert made["traces"] > 200
    assert app.peak_mb > 5
