"""Somebody else set OpenTelemetry up first: one line says so, and what can be used is used."""

import pytest

from process import run
from sink import Sink

SDK = """
from opentelemetry import trace, metrics, _logs
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter, SimpleLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
theirs = Resource({"service.name": "theirs"})
"""
TRACES = """
spans = InMemorySpanExporter()
tracer_provider = TracerProvider(resource=theirs)
tracer_provider.add_span_processor(SimpleSpanProcessor(spans))
trace.set_tracer_provider(tracer_provider)
"""
LOGS = """
logs = InMemoryLogRecordExporter()
logger_provider = LoggerProvider(resource=theirs)
logger_provider.add_log_record_processor(SimpleLogRecordProcessor(logs))
_logs.set_logger_provider(logger_provider)
"""
METRICS = """
reader = InMemoryMetricReader()
metrics.set_meter_provider(MeterProvider(metric_readers=[reader], resource=theirs))
"""
TOLD = """
import otelkit
otelkit.init("ours", instrument=False)
with trace.get_tracer("lib").start_as_current_span("by the API", attributes={"password": "hunter2"}):
    with otelkit.span("by otelkit", {"any": object(), "n": 1}) as span:
        otelkit.get_logger("app").info("by otelkit")
        _logs.get_logger("lib").emit(_logs.LogRecord(body="by the API", attributes={"password": "hunter2"}))
        otelkit.get_meter("app").create_counter("counted").add(1)
        assert otelkit.span_id() == trace.format_span_id(span.get_span_context().span_id)
assert otelkit.flush(30.0)
"""


@pytest.fixture
def sink():
    with Sink() as sink:
        yield sink


def tell(sink, *parts):
    """Run the parts as one program; its lines about otelkit, and its end."""
    ended = run("".join(parts), env={"OTEL_EXPORTER_OTLP_ENDPOINT": sink.http_endpoint})
    assert 0 == ended.code, ended.stderr
    return [line for line in ended.stderr.splitlines() if line.startswith("otelkit:")], ended


def test_spans_of_another_provider_reach_both(sink):
    """Every span of the application goes to the other set-up and to otelkit's, redacted there."""
    lines, _ = tell(
        sink, SDK, TRACES, TOLD, "assert len(spans.get_finished_spans()) == 2\notelkit.shutdown()\n"
    )

    told = {span.name: span for span in sink.spans}
    assert {"by the API", "by otelkit"} == set(told)
    assert 2 == len(sink.spans)
    assert told["by otelkit"].parent_id == told["by the API"].span_id
    assert "[redacted]" == told["by the API"].attributes["password"]
    assert {"theirs"} == {span.resource["service.name"] for span in sink.spans}
    assert 1 == len(lines), lines
    assert "traces stay with its TracerProvider and are also sent by otelkit" in lines[0]
    assert "Call otelkit.init first" in lines[0]


def test_records_of_another_provider_reach_both(sink):
    """Lines of the application and records of libraries go to the other set-up and to otelkit's, once."""
    lines, _ = tell(
        sink,
        SDK,
        LOGS,
        TOLD,
        """
assert len(logs.get_finished_logs()) == 2
late = InMemoryLogRecordExporter()
logger_provider.add_log_record_processor(SimpleLogRecordProcessor(late))
_logs.get_logger("lib").emit(_logs.LogRecord(body="late", attributes={"password": "hunter2"}))
assert late.get_finished_logs()[0].log_record.attributes["password"] == "hunter2"
otelkit.shutdown()
""",
    )

    assert ["by otelkit", "by the API", "late"] == [record.body for record in sink.logs]
    assert "hunter2" not in str(sink.logs)
    assert {span.span_id for span in sink.spans if span.name == "by otelkit"} == {
        record.span_id for record in sink.logs[:2]
    }
    assert 1 == len(lines), lines
    assert "logs stay with its LoggerProvider and are also sent by otelkit" in lines[0]


def test_metrics_of_another_provider_stay_there(sink):
    """Measurements go to the other set-up alone, which the line says; the other signals are otelkit's."""
    lines, _ = tell(
        sink,
        SDK,
        METRICS,
        TOLD,
        "assert reader.get_metrics_data().resource_metrics[0].scope_metrics[0].metrics[0].name == 'counted'\n"
        "otelkit.shutdown()\n",
    )

    others = [point.name for point in sink.metrics if point.scope.name != "otelkit.delivery"]
    assert ([], 2, 2) == (others, len(sink.spans), len(sink.logs))
    assert 1 == len(lines), lines
    assert "metrics stay with its MeterProvider" in lines[0]


def test_all_three_are_one_line(sink):
    """Three foreign providers are named in one line; a second init says nothing more and works."""
    lines, ended = tell(
        sink,
        SDK,
        TRACES,
        LOGS,
        METRICS,
        TOLD,
        "otelkit.init('again', instrument=False)\n"
        "with otelkit.span('after the second init'): pass\n"
        "otelkit.shutdown()\n"
        "with otelkit.span('after the end'): pass\n"
        "assert len(spans.get_finished_spans()) == 4\n",
    )

    assert 1 == len(lines), lines
    assert all(f"{signal} stay with" in lines[0] for signal in ("traces", "metrics", "logs"))
    assert ["by otelkit", "by the API", "after the second init"] == [span.name for span in sink.spans]
    assert "Traceback" not in ended.stderr
    assert "verrid" not in ended.stderr


def test_broken_values_in_foreign_spans_cost_no_neighbour(sink):
    """What the other set-up's SDK lets through is mended on otelkit's way out."""
    tell(
        sink,
        SDK,
        TRACES,
        LOGS,
        """
import otelkit
otelkit.init("ours", instrument=False)
for name in ("good", "bad \\ud83d"):
    with trace.get_tracer("scope " + name).start_as_current_span(name, attributes={"k": name}): pass
    _logs.get_logger("scope " + name).emit(_logs.LogRecord(body=name, attributes={"k": name}))
assert otelkit.shutdown(30.0)
""",
    )

    assert ["good", "bad \ufffd"] == [span.name for span in sink.spans]
    assert ["good", "bad \ufffd"] == [record.body for record in sink.logs]


def test_provider_without_processors_is_left_alone(sink):
    """A provider of another kind keeps its spans; nothing raises, and logs and metrics are otelkit's."""
    lines, _ = tell(
        sink,
        SDK,
        """
class Theirs(trace.TracerProvider):
    def get_tracer(self, *args, **kwargs):
        return trace.NoOpTracer()
trace.set_tracer_provider(Theirs())
import otelkit
otelkit.init("ours", instrument=False)
with otelkit.span("a", {"n": object()}) as span:
    span.record_exception(ValueError())
    otelkit.get_logger("app").info("told")
assert otelkit.shutdown(30.0)
""",
    )

    assert ((), ["told"]) == (sink.spans, [record.body for record in sink.logs])
    assert 1 == len(lines), lines
    assert "traces stay with its Theirs" in lines[0]
    assert "also sent" not in lines[0]


def test_the_other_set_up_may_end_first(sink):
    """Shutting the foreign provider down flushes ours and ends nothing of it."""
    tell(
        sink,
        SDK,
        TRACES,
        TOLD,
        """
tracer_provider.shutdown()
otelkit.get_logger("app").info("still here")
assert otelkit.shutdown(30.0)
""",
    )

    assert (2, "still here") == (len(sink.spans), sink.logs[-1].body)
