"""What `init` promises: called again, from two threads, after the end, disabled, in whatever order."""

import asyncio
import json
import logging
import threading

import pytest
import structlog
from opentelemetry import metrics, trace
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import SpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import otelkit
from otelkit import runtime
from otelkit.delivery import dispatch
from process import run
from sink import Sink

THREADS = ["otelkit-courier", "otelkit-metrics", "otelkit-sender"]
QUIET = {"console": False, "instrument": False, "log_setup": "off"}


@pytest.fixture
def sink():
    with Sink() as sink:
        yield sink


def our_threads():
    return sorted(thread.name for thread in threading.enumerate() if thread.name.startswith("otelkit"))


def services(items):
    return [item.resource["service.name"] for item in items]


def together(*calls):
    """Run calls in threads that begin at one moment; returns their answers."""
    gate, answers = threading.Barrier(len(calls)), [None] * len(calls)

    def work(index):
        gate.wait()
        answers[index] = calls[index]()

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers


# -- called again ------------------------------------------------------------------------------


def test_same_settings_give_the_same_runtime(sink):
    """A second call with equal settings changes nothing, whoever makes it."""
    first = otelkit.init("shop", endpoint=sink.http_endpoint, **QUIET)
    again = otelkit.init("shop", endpoint=sink.http_endpoint, **QUIET)
    by_settings = otelkit.init(settings=first.settings)

    assert first is again is by_settings
    assert THREADS == our_threads()


def test_other_settings_replace_and_the_old_delivers_its_own(sink):
    """What was told before the second call is delivered by the first runtime, what comes after by the second."""
    counter = metrics.get_meter("reinit").create_counter("reinit.orders")
    first = otelkit.init("first", endpoint=sink.http_endpoint, **QUIET)
    with otelkit.span("before"):
        counter.add(1)
    second = otelkit.init("second", endpoint=sink.http_endpoint, **QUIET)
    with otelkit.span("after"):
        counter.add(10)

    assert first is not second is runtime.current()
    assert otelkit.shutdown(30.0) is True
    assert {("before", "first"), ("after", "second")} == {
        (span.name, span.resource["service.name"]) for span in sink.spans
    }
    points = [
        (point.resource["service.name"], point.value)
        for point in sink.metrics
        if point.name == "reinit.orders"
    ]
    assert {("first", 1), ("second", 10)} == set(points)


def test_open_span_and_running_request_survive(sink):
    """Their ends go where they began; children begun later go to the new runtime, in the same trace."""
    otelkit.init("first", endpoint=sink.http_endpoint, **QUIET)
    begun, go_on = threading.Event(), threading.Event()

    def request():
        with otelkit.span("request"):
            begun.set()
            go_on.wait(10)
            with trace.get_tracer("lib").start_as_current_span("late child"):
                pass

    thread = threading.Thread(target=request)
    thread.start()
    begun.wait(10)
    with otelkit.span("open") as span:
        otelkit.init("second", endpoint=sink.http_endpoint, **QUIET)
        span.set_attribute("set", "after the second init")
        go_on.set()
        thread.join()

    assert otelkit.shutdown(30.0) is True
    told = {span.name: span for span in sink.spans}
    assert 3 == len(sink.spans)
    assert "after the second init" == told["open"].attributes["set"]
    assert ["first", "second", "first"] == services(told[name] for name in ("request", "late child", "open"))
    assert told["late child"].parent_id == told["request"].span_id


def test_replaced_runtime_lives_until_its_last_span_has_ended(sink, monkeypatch):
    """However long a span stays open, the runtime it began in waits for it, and then ends."""
    monkeypatch.setattr(dispatch, "_RETIRED_GRACE_S", 0.0)
    first = otelkit.init("first", endpoint=sink.http_endpoint, **QUIET)
    span = otelkit.get_tracer("open").start_span("open")
    otelkit.init("second", endpoint=sink.http_endpoint, **QUIET)
    (waiting,) = [thread for thread in threading.enumerate() if thread.name == "otelkit-retired"]
    waiting.join(0.5)
    assert waiting.is_alive()
    span.end()
    waiting.join(5.0)

    assert first._parts.dispatch.ended
    assert ["first"] == services(sink.spans)


def test_calls_under_way_at_a_second_init_are_not_lost(sink):
    """A thread that had already looked up a method when the runtime was replaced still tells the old one."""
    otelkit.init("first", endpoint=sink.http_endpoint, **QUIET)
    counter = metrics.get_meter("under.way").create_counter("under.way.n")
    counter.add(1)
    add, start_span = counter.add, trace.get_tracer("under.way").start_span
    otelkit.init("second", endpoint=sink.http_endpoint, **QUIET)
    (retired,) = [thread for thread in threading.enumerate() if thread.name == "otelkit-retired"]
    retired.join(0.3)
    add(5)
    start_span("under way").end()

    assert otelkit.shutdown(30.0) is True
    assert ["first"] == services(sink.spans)
    assert {6} == {point.value for point in sink.metrics if point.name == "under.way.n"}


def test_nothing_is_lost_or_doubled_under_load(sink):
    """Threads tell all the time while the runtime is replaced five times: every item arrives once."""
    counter = metrics.get_meter("load").create_counter("load.n")
    otelkit.init("shop", endpoint=sink.http_endpoint, **QUIET)

    def work():
        for _ in range(400):
            with otelkit.span("load"):
                counter.add(1)

    def replace():
        for number in range(5):
            otelkit.init("shop", service_version=str(number), endpoint=sink.http_endpoint, **QUIET)

    together(work, work, work, replace)

    assert otelkit.shutdown(10.0) is True
    last = {
        point.resource.get("service.version"): point.value for point in sink.metrics if point.name == "load.n"
    }
    assert (1200, 1200) == (len(sink.spans), len({span.span_id for span in sink.spans}))
    assert 1200 == sum(last.values())


def test_the_way_down_of_an_up_down_counter_never_shows_as_a_negative(sink):
    """Its -1 after a second init is the first runtime's, also when that one has ended long ago."""
    connections = metrics.get_meter("updown").create_up_down_counter("updown.open")
    first = otelkit.init("first", endpoint=sink.http_endpoint, **QUIET)
    connections.add(1)
    otelkit.init("second", endpoint=sink.http_endpoint, **QUIET)
    first.shutdown(30.0)
    connections.add(-1)
    connections.add(5)

    assert otelkit.shutdown(30.0) is True
    values = [
        (point.resource["service.name"], point.value) for point in sink.metrics if point.name == "updown.open"
    ]
    assert {("first", 1), ("second", 5)} == set(values)


def test_two_threads_at_once_make_one_runtime(sink):
    """Many threads call `init` at one moment: one runtime, one thread, every span once."""
    answers = together(*[lambda: otelkit.init("shop", endpoint=sink.http_endpoint, **QUIET)] * 8)
    with otelkit.span("once"):
        pass

    assert {id(runtime.current())} == {id(answer) for answer in answers}
    assert THREADS == our_threads()
    assert otelkit.shutdown(30.0) is True
    assert ["once"] == [span.name for span in sink.spans]


def test_two_threads_with_other_settings_leave_one_in_force(sink):
    """The last one is in force, the others end; every span arrives once."""
    calls = [lambda n=n: otelkit.init(f"shop-{n}", endpoint=sink.http_endpoint, **QUIET) for n in range(4)]
    answers = together(*calls)
    with otelkit.span("once"):
        pass

    assert 4 == len({id(answer) for answer in answers})
    assert otelkit.shutdown(30.0) is True
    assert [runtime_of.plan.way("traces").signal for runtime_of in answers] == ["traces"] * 4
    assert ["once"] == [span.name for span in sink.spans]
    assert [] == our_threads()


# -- the end -----------------------------------------------------------------------------------


def test_init_after_shutdown_starts_afresh(sink):
    """The same call after the end is a new runtime; counters begin at zero."""
    counter = metrics.get_meter("again").create_counter("again.n")
    first = otelkit.init("shop", endpoint=sink.http_endpoint, **QUIET)
    counter.add(5)
    first.shutdown(30.0)
    counter.add(7)
    second = otelkit.init("shop", endpoint=sink.http_endpoint, **QUIET)
    counter.add(1)

    assert first is not second
    assert otelkit.shutdown(30.0) is True
    assert [5, 1] == [point.value for point in sink.metrics if point.name == "again.n"]


def test_init_while_the_former_ends_is_a_new_runtime():
    """Who calls `init` during a slow shutdown does not get the runtime that is about to end."""
    with Sink("hang") as sink:
        first = otelkit.init("shop", endpoint=sink.http_endpoint, **QUIET)
        with otelkit.span("stuck"):
            pass
        ending = threading.Thread(target=first.shutdown, args=(1.5,))
        ending.start()
        sink.wait_for(lambda s: s.requests)
        second = otelkit.init("shop", endpoint=sink.http_endpoint, **QUIET)
        ending.join()

        assert first is not second is runtime.current()
        second.shutdown(0.1)


def test_shutdown_twice_and_use_after_it_are_silent(sink, said, caplog):
    """The second call answers like the first; what is told afterwards goes nowhere, without a word."""
    running = otelkit.init("shop", endpoint=sink.http_endpoint, **QUIET)
    with otelkit.span("before"):
        pass
    answers = [running.shutdown(), running.shutdown(), otelkit.shutdown(), running.flush(), otelkit.flush()]
    with otelkit.span("after", {"n": object()}) as span:
        span.add_event("e")
        otelkit.get_meter().create_counter("late.n").add(1)
    late = trace.get_tracer_provider()

    assert [True] * 5 == answers
    assert late.force_flush(10) is True
    assert (["before"], [], "") == ([span.name for span in sink.spans], said(), caplog.text)


def test_leaving_the_block_shuts_down(sink):
    """`with otelkit.init(...)` delivers at its end, also when an exception leaves it."""
    with pytest.raises(ValueError), otelkit.init("shop", endpoint=sink.http_endpoint, **QUIET) as running:
        with otelkit.span("inside"):
            raise ValueError

    assert (None, []) == (runtime.current(), our_threads())
    assert ["inside"] == [span.name for span in sink.spans]
    assert 1 == running.stats()["traces"].delivered


def test_logging_is_put_back_at_the_end(sink):
    """After shutdown the root logger, its level and structlog are as before `init`."""
    root = logging.getLogger()
    pytests, root.handlers[:] = list(root.handlers), []
    before = (root.level, structlog.is_configured(), structlog.get_config()["processors"][:])
    try:
        otelkit.init("shop", endpoint=sink.http_endpoint, console=False, instrument=False, log_level="DEBUG")
        within = (root.level, bool(root.handlers))
        otelkit.shutdown(30.0)
        after = (root.level, structlog.is_configured(), structlog.get_config()["processors"][:])

        assert (logging.DEBUG, True) == within
        assert (before, []) == (after, root.handlers)
    finally:
        root.handlers[:] = pytests


# -- objects of one's own in two runtimes ------------------------------------------------------


class Exporter(InMemorySpanExporter):
    """Refuses after its shutdown, and says how often that was called.

    Args:
        slow: The name of a span that takes half a second, unless a shutdown comes first.
    """

    def __init__(self, slow=None):
        super().__init__()
        self.shutdowns = 0
        self._slow = slow
        self._shut = threading.Event()

    def export(self, spans):
        if self._slow in {span.name for span in spans}:
            self._shut.wait(0.5)
        return super().export(spans)

    def shutdown(self):
        self.shutdowns += 1
        self._shut.set()
        super().shutdown()


def names_of(exporter):
    return [span.name for span in exporter.get_finished_spans()]


def test_exporter_in_both_runtimes_stays_open():
    """An exporter that the next runtime uses too gets the spans of both, and is shut down once, at the end."""
    exporter, logs = Exporter(), InMemoryLogRecordExporter()
    first = otelkit.init("first", span_exporters=[exporter], log_exporters=[logs], **QUIET)
    with otelkit.span("one"):
        pass
    otelkit.init("second", span_exporters=[exporter], log_exporters=[logs], **QUIET)
    first.shutdown(30.0)
    with otelkit.span("two"):
        pass
    shutdowns = exporter.shutdowns

    assert otelkit.shutdown(30.0) is True
    assert (["one", "two"], 0, 1) == (names_of(exporter), shutdowns, exporter.shutdowns)


def test_exporter_waits_for_what_is_still_open_in_the_former_runtime():
    """At the end a span that was open during the second init reaches the exporter that both share."""
    exporter = Exporter(slow="open")
    otelkit.init("first", span_exporters=[exporter], **QUIET)
    with otelkit.span("open"):
        otelkit.init("second", span_exporters=[exporter], **QUIET)
    with otelkit.span("two"):
        pass

    assert otelkit.shutdown(30.0) is True
    assert ["open", "two"] == sorted(names_of(exporter))
    assert exporter.shutdowns >= 1


def test_exporter_of_the_former_runtime_alone_is_shut_down():
    """An exporter that the next runtime does not use ends with its own."""
    exporter = Exporter()
    first = otelkit.init("first", span_exporters=[exporter], **QUIET)
    otelkit.init("second", span_exporters=[InMemorySpanExporter()], **QUIET)
    first.shutdown(30.0)

    assert 1 == exporter.shutdowns


def test_reader_in_both_runtimes_reads_the_present_one():
    """A metric reader that is given twice reads on; so does one that is given after its shutdown's runtime."""
    reader = InMemoryMetricReader()
    counter = metrics.get_meter("readers").create_counter("readers.n")
    first = otelkit.init("first", metric_readers=[reader], **QUIET)
    counter.add(1)
    values = [_value(reader, "readers.n")]
    otelkit.init("second", metric_readers=[reader], **QUIET)
    first.shutdown(30.0)
    counter.add(10)
    values.append(_value(reader, "readers.n"))

    assert [1, 10] == values


def _value(reader, name):
    data = reader.get_metrics_data()
    (value,) = [
        point.value
        for scope in data.resource_metrics[0].scope_metrics
        for metric in scope.metrics
        if metric.name == name
        for point in metric.data.data_points
    ]
    return value


def test_processor_in_both_runtimes_sees_all_spans_once():
    """A span processor that is given twice sees each span once and is shut down at the end only."""
    seen, ends = [], []

    class Processor(SpanProcessor):
        def on_end(self, span):
            seen.append(span.name)

        def shutdown(self):
            ends.append(len(seen))

    processor = Processor()
    first = otelkit.init(
        "first", span_processors=[processor], span_exporters=[InMemorySpanExporter()], **QUIET
    )
    with otelkit.span("one"):
        pass
    otelkit.init("second", span_processors=[processor], span_exporters=[InMemorySpanExporter()], **QUIET)
    first.shutdown(30.0)
    with otelkit.span("two"):
        pass
    otelkit.shutdown(30.0)

    assert (["one", "two"], [2]) == (seen, ends)


# -- where settings come from ------------------------------------------------------------------


def test_settings_and_arguments_together_are_an_error():
    """Which of the two counts would be a guess; nothing is started, strict or not."""
    with pytest.raises(otelkit.ConfigurationError, match="service_name, strict"):
        otelkit.init("shop", settings=otelkit.Settings(), strict=False)

    assert runtime.current() is None


def test_sources_are_asked_in_order(monkeypatch, tmp_path):
    """Argument, then OTEL_*, then OTELKIT_*, then pyproject.toml, then the default; empty counts as unset."""
    monkeypatch.chdir(tmp_path)
    seen = [otelkit.init(**QUIET).settings.environment]
    (tmp_path / "pyproject.toml").write_text('[tool.otelkit]\nenvironment = "file"\n')
    seen.append(otelkit.init(**QUIET).settings.environment)
    monkeypatch.setenv("OTELKIT_ENVIRONMENT", "own variable")
    seen.append(otelkit.init(**QUIET).settings.environment)
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=standard variable")
    seen.append(otelkit.init(**QUIET).settings.environment)
    seen.append(otelkit.init(environment="argument", **QUIET).settings.environment)
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", "")
    seen.append(otelkit.init(**QUIET).settings.environment)

    assert ["development", "file", "own variable", "standard variable", "argument", "own variable"] == seen


def test_describe_tells_what_runs(monkeypatch):
    """`describe` shows the values of the running runtime with their origins."""
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_on")
    with otelkit.init("shop", headers={"authorization": "Bearer hunter2"}, **QUIET):
        rows = {row.name: row for row in otelkit.settings.describe()}

    assert ("shop", "argument") == (rows["service_name"].value, rows["service_name"].origin)
    assert "variable OTEL_TRACES_SAMPLER" == rows["sampler"].origin
    assert "authorization=***" == rows["headers"].value


# -- coroutines --------------------------------------------------------------------------------


async def test_event_loop_goes_on_during_aflush():
    """While a flush waits for a collector that never answers, other coroutines run."""
    with Sink("hang") as sink:
        running = otelkit.init("shop", endpoint=sink.http_endpoint, **QUIET)
        with otelkit.span("stuck"):
            pass
        flushing = asyncio.create_task(otelkit.aflush(0.5))
        turns = 0
        while not flushing.done():
            await asyncio.sleep(0.01)
            turns += 1

        assert flushing.result() is False
        assert turns >= 10
        running.shutdown(0.1)


# -- in processes of their own -----------------------------------------------------------------


def ended_well(program, **arguments):
    ended = run(program, **arguments)
    assert 0 == ended.code, ended.stderr
    return ended


def test_providers_are_never_overridden(sink):
    """Three inits and a shutdown, in a program that also uses the OTel API: nothing is said at all."""
    ended = ended_well(
        """
import logging
logging.basicConfig(level=logging.DEBUG)
import otelkit
from opentelemetry import trace, metrics
tracer = trace.get_tracer("early")
counter = metrics.get_meter("early").create_counter("n")
for name in ("one", "two", "one"):
    otelkit.init(name, log_setup="off")
    with tracer.start_as_current_span(name):
        counter.add(1)
    assert otelkit.flush()
otelkit.shutdown()
""",
        env={"OTEL_EXPORTER_OTLP_ENDPOINT": sink.http_endpoint},
    )

    assert "verrid" not in ended.stderr + ended.stdout
    assert "otelkit:" not in ended.stderr
    assert ["one", "two", "one"] == [span.name for span in sink.spans]


DISABLED = """
import asyncio, json, logging, threading
import otelkit, structlog
from opentelemetry import propagate, trace
from otelkit.correlation import CorrelationMiddleware

runtime = otelkit.init("shop")
assert type(runtime).__name__ == "Runtime" and runtime is otelkit.init("shop")
assert [] == [t.name for t in threading.enumerate() if t.name.startswith("otelkit")]
counter = otelkit.get_meter().create_counter("n")
trace_id = "0af7651916cd43dd8448eb211c80319c"
context = propagate.extract({"traceparent": f"00-{trace_id}-b7ad6b7169203331-01"})

async def app(scope, receive, send):
    otelkit.get_logger().info("in a request")

async def request():
    scope = {"type": "http", "headers": [(b"x-request-id", b"req-1")]}
    await CorrelationMiddleware(app)(scope, None, None)

with otelkit.bind(order="A-1"), trace.get_tracer("t").start_as_current_span("s", context=context) as span:
    counter.add(1)
    otelkit.get_logger().info("by otelkit", password="hunter2")
    logging.getLogger("std").warning("by logging, Bearer hunter2hunter2hunter2")
    carrier = {}
    propagate.inject(carrier)
    assert carrier["traceparent"].split("-")[1] == trace_id, carrier
    assert span.is_recording() is False and otelkit.trace_id() == trace_id
asyncio.run(request())
assert runtime.flush() and otelkit.shutdown() and runtime.stats() == {}
"""


def test_disabled_sdk_keeps_logs_ids_and_context(sink):
    """With OTEL_SDK_DISABLED no telemetry is made; lines, redaction, bind, ids and propagation work on."""
    ended = ended_well(
        DISABLED, env={"OTEL_EXPORTER_OTLP_ENDPOINT": sink.http_endpoint, "OTEL_SDK_DISABLED": "true"}
    )
    first, second, third = [json.loads(line) for line in ended.stdout.splitlines()]

    assert ("by otelkit", "[redacted]", "A-1") == (first["event"], first["password"], first["order"])
    assert {"0af7651916cd43dd8448eb211c80319c"} == {first["trace_id"], second["trace_id"]}
    assert "hunter2" not in ended.stdout
    assert "req-1" == third["correlation_id"]
    assert ((), "") == (sink.requests, ended.stderr)


def test_exporter_variables_mean_what_they_mean_to_the_sdk(sink):
    """`none` sends nothing of a signal, `console` prints it, `otlp` sends it."""
    ended = ended_well(
        """
import otelkit
otelkit.init("shop", log_setup="off")
with otelkit.span("told"):
    otelkit.get_meter().create_counter("counted").add(1)
otelkit.shutdown()
""",
        env={
            "OTEL_EXPORTER_OTLP_ENDPOINT": sink.http_endpoint,
            "OTEL_TRACES_EXPORTER": "console",
            "OTEL_METRICS_EXPORTER": "console,otlp",
            "OTEL_LOGS_EXPORTER": "none",
        },
    )

    assert '"name": "told"' in ended.stdout
    assert '"name": "counted"' in ended.stdout
    assert {"/v1/metrics"} == {request.path for request in sink.requests}
    assert "" == ended.stderr


def test_malformed_limits_do_not_stop_the_import(sink):
    """The SDK raises at import for a malformed limit; here it is one line, and spans arrive."""
    ended = ended_well(
        "import otelkit\notelkit.init('shop')\nwith otelkit.span('told'): pass\n",
        env={
            "OTEL_EXPORTER_OTLP_ENDPOINT": sink.http_endpoint,
            "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "many",
        },
    )
    lines = ended.stderr.splitlines()

    assert 1 == len(lines), lines
    assert "span_attribute_limit='many' (variable OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT)" in lines[0]
    assert ["told"] == [span.name for span in sink.spans]


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_malformed_headers_never_show_the_token(sink, protocol):
    """Neither our line nor one of the exporters', at whatever level the application logs."""
    ended = ended_well(
        """
import logging, sys
logging.basicConfig(level=logging.DEBUG, stream=sys.stderr)
import otelkit
otelkit.init("shop", log_setup="off")
with otelkit.span("told"): pass
assert otelkit.shutdown(30.0)
""",
        env={
            "OTEL_EXPORTER_OTLP_ENDPOINT": sink.http_endpoint if protocol != "grpc" else sink.grpc_endpoint,
            "OTEL_EXPORTER_OTLP_PROTOCOL": protocol,
            "OTEL_EXPORTER_OTLP_HEADERS": "Authorization Bearer hunter2hunter2,x-tenant=a",
        },
    )
    ours = [line for line in ended.stderr.splitlines() if line.startswith("otelkit:")]

    assert "hunter2" not in ended.stderr + ended.stdout
    assert 1 == len(ours), ours
    assert (["told"], "a") == ([span.name for span in sink.spans], sink.requests[0].headers["x-tenant"])


def test_diagnostics_go_to_stderr_only(sink):
    """A line about otelkit is on stderr, neither on stdout nor in the telemetry."""
    ended = ended_well(
        """
import otelkit
otelkit.init("shop", sample_ratio=7)
otelkit.get_logger().info("told")
otelkit.get_meter().create_counter("7 bad").add(1)
otelkit.shutdown()
""",
        env={"OTEL_EXPORTER_OTLP_ENDPOINT": sink.http_endpoint},
    )

    assert ["told"] == [json.loads(line)["event"] for line in ended.stdout.splitlines()]
    assert 2 == ended.stderr.count("otelkit: ")
    assert ["told"] == [record.body for record in sink.logs]


def test_excepthooks_are_chained_and_record(sink):
    """The application's own hooks run; uncaught exceptions of both kinds are one record each."""
    ended = run(
        """
import sys, threading
sys.excepthook = lambda kind, error, trace: print("main hook", error)
threading.excepthook = lambda args: print("thread hook", args.exc_value)
import otelkit
otelkit.init("shop")
otelkit.init("shop again")
def work(): raise KeyError("in a thread")
thread = threading.Thread(target=work, name="worker"); thread.start(); thread.join()
raise ValueError("in main")
""",
        env={"OTEL_EXPORTER_OTLP_ENDPOINT": sink.http_endpoint},
    )

    assert (1, ["thread hook 'in a thread'", "main hook in main"]) == (ended.code, ended.stdout.splitlines())
    assert [("FATAL", "KeyError", "worker"), ("FATAL", "ValueError", "MainThread")] == [
        (record.severity, record.attributes["exception.type"], record.attributes["thread.name"])
        for record in sink.logs
    ]
