"""Wrong settings and broken values at the door: one clear line, nothing raised, the rest works."""

import logging
import os
import socket
import threading

import pytest
import structlog
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

import otelkit
from otelkit import _guard, _otel, _switch, prometheus, runtime

TOKEN = "hunter2hunter2hunter2"


class Memory:
    """Exporters for all three signals, and what reached them."""

    def __init__(self):
        self.spans = InMemorySpanExporter()
        self.logs = InMemoryLogRecordExporter()
        self.metrics = InMemoryMetricReader()

    @property
    def arguments(self):
        return {
            "span_exporters": [self.spans],
            "log_exporters": [self.logs],
            "metric_readers": [self.metrics],
            "console": False,
            "log_format": "json",
            "instrument": False,
        }

    def names(self):
        return [span.name for span in self.spans.get_finished_spans()]

    def bodies(self):
        return [record.log_record.body for record in self.logs.get_finished_logs()]

    def points(self):
        data = self.metrics.get_metrics_data()
        return {
            metric.name: [(dict(point.attributes), point.value) for point in metric.data.data_points]
            for scope in data.resource_metrics[0].scope_metrics
            for metric in scope.metrics
            if hasattr(metric.data.data_points[0], "value")
        }


@pytest.fixture
def memory():
    yield Memory()
    root = logging.getLogger()
    assert not [handler for handler in root.handlers if type(handler).__module__.startswith("otelkit")]


@pytest.fixture
def bare_root():
    """No handlers on the root logger, so that otelkit owns the lines as in a fresh program."""
    root = logging.getLogger()
    before, root.handlers[:] = list(root.handlers), []
    yield
    root.handlers[:] = before


def our_threads():
    return sorted(thread.name for thread in threading.enumerate() if thread.name.startswith("otelkit"))


def tell():
    """One of each signal."""
    with otelkit.span("told", {"n": 1}):
        otelkit.get_logger("told").warning("told")
        otelkit.get_meter("told").create_counter("told").add(1, {"n": 1})


WRONG = [
    ({"sample_ratio": 7}, ["sample_ratio=7", "from 0 to 1"]),
    ({"protocol": "http/json"}, ["protocol='http/json'", "http/protobuf", "grpc"]),
    ({"headers": f"Bearer {TOKEN}"}, ["headers", "entry 1 is malformed", "key=value"]),
    ({"headers": {"authorization": 7}}, ["headers", "'authorization' is no text"]),
    ({"headers": [TOKEN]}, ["headers=***", "mapping"]),
    ({"endpoint": f"ftp://user:{TOKEN}@host"}, ["endpoint='ftp://***@host'", "http://"]),
    ({"endpoint": "http://[::1"}, ["endpoint='http://[::1'", "readable URL"]),
    ({"endpoint": "http://host:99999"}, ["endpoint='http://host:99999'", "port from 1 to 65535"]),
    ({"endpoint": 7}, ["endpoint=7", "http://localhost:4318"]),
    ({"service_name": object()}, ["service_name=<object>", "text"]),
    ({"log_level": "loud"}, ["log_level='loud'"]),
    ({"log_format": "xml"}, ["log_format='xml'", "json", "console"]),
    ({"log_setup": "maybe"}, ["log_setup='maybe'", "attach"]),
    ({"metric_interval_s": "soon"}, ["metric_interval_s='soon'", "number"]),
    ({"metric_interval_s": -1}, ["metric_interval_s=-1", "above 0"]),
    ({"prometheus_port": 70_000}, ["prometheus_port=70000", "65535"]),
    ({"console": "perhaps"}, ["console='perhaps'", "true"]),
    ({"redact": 7}, ["redact=7"]),
    ({"redact": ["/(/"]}, ["redact", "item 1", "regular expression"]),
    ({"instrument": 7}, ["instrument=7", "auto"]),
    ({"disabled_scopes": 7}, ["disabled_scopes=7", "list"]),
    ({"resource_attributes": 7}, ["resource_attributes=***", "mapping"]),
    ({"span_processors": ["x"]}, ["span_processors", "str is no span processor"]),
    ({"span_processors": [object]}, ["span_processors", "object is a class"]),
    ({"strict": "hard"}, ["strict='hard'", "true"]),
]


@pytest.mark.parametrize(("arguments", "words"), WRONG)
def test_wrong_argument_is_one_line_and_the_rest_works(memory, said, arguments, words):
    """The line names setting, value and remedy, never a secret; all three signals are told."""
    with otelkit.init(**{"service_name": "shop", **memory.arguments, **arguments}):
        tell()
        points = memory.points()
    lines = said()

    assert (["told"], ["told"], 1) == (memory.names(), memory.bodies(), points["told"][0][1])
    assert 1 == len(lines), lines
    assert all(word in lines[0] for word in words), lines
    assert TOKEN not in lines[0]


@pytest.mark.parametrize("arguments", [arguments for arguments, _ in WRONG if "strict" not in arguments])
def test_strict_raises_and_leaves_nothing_behind(memory, said, arguments):
    """With strict=True `init` raises; no runtime runs, no thread, no logging is set up."""
    configured = structlog.is_configured()
    with pytest.raises(otelkit.ConfigurationError) as error:
        otelkit.init(**{"service_name": "shop", "strict": True, **memory.arguments, **arguments})

    assert next(iter(arguments)) in str(error.value)
    assert TOKEN not in str(error.value)
    assert (None, _switch.OFF, []) == (runtime.current(), _switch.present(), our_threads())
    assert configured == structlog.is_configured()
    assert [] == said()


VARIABLES = [
    (
        {"OTEL_TRACES_EXPORTER": "zipkin"},
        ["traces_exporters='zipkin' (variable OTEL_TRACES_EXPORTER)", "otlp"],
    ),
    (
        {"OTEL_TRACES_SAMPLER": "sometimes"},
        ["sampler='sometimes' (variable OTEL_TRACES_SAMPLER)", "always_on"],
    ),
    (
        {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "much"},
        ["sampler_arg='much' (variable OTEL_TRACES_SAMPLER_ARG)", "from 0 to 1"],
    ),
    (
        {"OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT": "many"},
        ["span_attribute_limit='many'", "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT"],
    ),
    ({"OTEL_BSP_MAX_QUEUE_SIZE": "-3"}, ["span_queue_size='-3' (variable OTEL_BSP_MAX_QUEUE_SIZE)"]),
    (
        {"OTEL_METRIC_EXPORT_INTERVAL": "1m"},
        ["metric_interval_s='1m' (variable OTEL_METRIC_EXPORT_INTERVAL)"],
    ),
    ({"OTEL_PROPAGATORS": "pigeon"}, ["propagators='pigeon' (variable OTEL_PROPAGATORS)"]),
    ({"OTEL_METRICS_EXEMPLAR_FILTER": "some"}, ["exemplar_filter='some'"]),
    ({"OTEL_PYTHON_ID_GENERATOR": "dice"}, ["id_generator='dice'"]),
    ({"OTEL_RESOURCE_ATTRIBUTES": f"=x,{TOKEN}"}, ["resource_attributes", "entry 2 is malformed"]),
    ({"OTEL_EXPORTER_OTLP_HEADERS": f"Authorization Bearer {TOKEN}"}, ["headers", "entry 1 is malformed"]),
    (
        {"OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "smoke"},
        ["protocol='smoke'", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"],
    ),
    ({"OTEL_EXPORTER_OTLP_TIMEOUT": "10000"}, ["export_timeout_s=10000", "seconds, not milliseconds"]),
    ({"OTELKIT_SAMPLE_RATOI": "0.5"}, ["OTELKIT_SAMPLE_RATOI", "did you mean 'OTELKIT_SAMPLE_RATIO'"]),
]


@pytest.mark.parametrize(("variables", "words"), VARIABLES)
def test_wrong_variable_is_named_and_the_rest_works(memory, said, monkeypatch, variables, words):
    """The line names the variable and the remedy, never a secret; spans are told all the same."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    with otelkit.init(service_name="shop", **memory.arguments):
        tell()
    lines = said()

    assert (["told"], ["told"]) == (memory.names(), memory.bodies())
    assert any(all(word in line for word in words) for line in lines), lines
    assert TOKEN not in str(lines)


# -- what only running shows -------------------------------------------------------------------


@pytest.fixture
def taken_port():
    """A port of the loopback interface on which somebody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_port_in_use_is_one_line_and_the_rest_works(memory, said, taken_port):
    """The server stays off; the line names the setting, the port and the remedies."""
    with otelkit.init(service_name="shop", prometheus_port=taken_port, **memory.arguments) as running:
        tell()
        page = prometheus.render()[0].decode()
    lines = said()

    assert (["told"], None) == (memory.names(), running.prometheus_port)
    assert 'told_total{n="1"} 1.0' in page
    assert 1 == len(lines), lines
    assert f"prometheus_port={taken_port}" in lines[0]
    assert "choose a free port" in lines[0]


def test_strict_with_a_port_in_use_leaves_the_former_runtime_running(memory, said, taken_port):
    """A re-init that raises changes nothing: the former runtime still has its server and takes spans."""
    with otelkit.init(service_name="shop", prometheus_port=0, **memory.arguments) as former:
        with _guard.reraise(False), pytest.raises(otelkit.ConfigurationError, match=f"port={taken_port}"):
            otelkit.init(service_name="shop", prometheus_port=taken_port, strict=True)

        assert former is runtime.current()
        assert ["otelkit-courier", "otelkit-guests", "otelkit-prometheus"] == our_threads()
        assert isinstance(former.prometheus_port, int)
        tell()
    assert (["told"], []) == (memory.names(), said())
    assert [] == our_threads()


def test_unreadable_certificate_is_one_line_and_the_rest_works(memory, said, monkeypatch):
    """The line names the file; OTLP is off, the exporters of one's own get their spans."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "https://127.0.0.1:1")
    with otelkit.init(service_name="shop", **memory.arguments) as running:
        tell()
        assert running.flush() is True
    lines = said()

    assert ["told"] == memory.names()
    assert 1 == len(lines), lines
    assert "certificate=/nowhere/ca.pem (OTEL_EXPORTER_OTLP_CERTIFICATE)" in lines[0]
    assert "give a PEM file that can be read" in lines[0]


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_unreadable_certificate_raises_when_strict(monkeypatch, protocol):
    """Both protocols find it in `init`; nothing is left running."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere/ca.pem")
    with pytest.raises(otelkit.ConfigurationError, match="/nowhere/ca.pem"):
        otelkit.init(service_name="shop", endpoint="https://127.0.0.1:1", protocol=protocol, strict=True)

    assert runtime.current() is None


def test_unknown_instrumentation_raises_when_strict():
    """A library that cannot be instrumented is found before anything is started."""
    with _guard.reraise(False), pytest.raises(otelkit.ConfigurationError, match="instrument='pigeon'"):
        otelkit.init(service_name="shop", instrument=["pigeon"], strict=True)

    assert runtime.current() is None


def test_refused_instrument_names_are_one_line_each(memory, said):
    """A name that OpenTelemetry refuses is said once; the meter's other instruments count."""
    with otelkit.init(service_name="shop", **memory.arguments):
        meter = otelkit.get_meter("shop")
        for _ in range(3):
            meter.create_counter("7 bad names!").add(1)
            meter.create_histogram("").record(1)
        tell()
        points = memory.points()
    lines = said()

    assert [({"n": 1}, 1)] == points["told"]
    assert 2 == len(lines), lines
    assert "'7 bad names!' cannot be made" in lines[0]


def test_broken_units_and_callbacks_cost_only_themselves(memory, said):
    """A unit that OpenTelemetry refuses is left out, the instrument counts; callbacks of no kind are named."""
    with otelkit.init(service_name="shop", **memory.arguments):
        meter = otelkit.get_meter("shop")
        meter.create_counter("n", unit="µs").add(1)
        meter.create_observable_gauge("level", callbacks=7)
        meter.create_counter(["a", "list"], unit={"a": "dict"})
        points = memory.points()
    lines = said()

    assert [({}, 1)] == points["n"]
    assert 2 == len(lines), lines
    assert "unit of the instrument 'n'" in lines[0]
    assert "callbacks of the instrument 'level'" in lines[1]


def test_readers_of_ones_own_get_clean_metrics(memory):
    """What cannot be encoded, and secrets, are mended for the user's readers as on every way out."""
    with otelkit.init(service_name="shop", **memory.arguments):
        counter = otelkit.get_meter("shop").create_counter("n")
        counter.add(1, {"k": "\ud83d"})
        counter.add(2, {"password": TOKEN})
        counter.add(3, {"good": "yes"})
        points = memory.points()["n"]

    assert [{"k": "\ufffd"}, {"password": "[redacted]"}, {"good": "yes"}] == [labels for labels, _ in points]


# -- values that break ordinary telemetry ------------------------------------------------------


class Unprintable:
    def __str__(self):
        raise RuntimeError("no text")


class UnprintableError(Exception):
    def __str__(self):
        raise RuntimeError("no text")


def circular():
    found = {}
    found["self"] = found
    return found


def deep():
    found = []
    for _ in range(3_000):
        found = {"inner": found}
    return found


@pytest.mark.parametrize("make", [Unprintable, circular, deep], ids=["unprintable", "circular", "deep"])
def test_hostile_values_reach_nobody(memory, bare_root, said, caplog, make):
    """Attributes, events, fields, %-arguments and labels of any kind: nothing raised, nothing lost, no line."""
    with otelkit.init(service_name="shop", **memory.arguments):
        with otelkit.span("hostile", {"value": make(), "good": 1}) as span:
            span.add_event("event", {"value": make()})
        otelkit.get_logger("a").warning("fields", value=make(), good=1)
        logging.getLogger("b").warning("extra", extra={"value": make()})
        _otel.get_logger("c").emit(body=make(), attributes={"value": make()})
        otelkit.get_meter("d").create_counter("n").add(1, {"value": make()})
        tell()
        points = memory.points()

    assert ["hostile", "told"] == memory.names()
    assert 1 == memory.spans.get_finished_spans()[0].attributes["good"]
    assert (4, ["fields", "extra"]) == (len(memory.bodies()), memory.bodies()[:2])
    assert (1, 1) == (len(points["n"]), len(points["told"]))
    assert [] == said()
    assert [] == [record for record in caplog.records if record.name.startswith("opentelemetry")]


def test_unprintable_exception_is_the_applications_own(memory, bare_root):
    """It leaves span and log call as the object that was raised, and is recorded by its class."""
    error = UnprintableError()
    with otelkit.init(service_name="shop", **memory.arguments):
        with pytest.raises(UnprintableError) as raised, otelkit.span("failing"):
            try:
                raise error
            except UnprintableError:
                otelkit.get_logger().exception("logged")
                raise
    span = memory.spans.get_finished_spans()[0]

    assert error is raised.value
    assert span.events[0].attributes["exception.type"].endswith("UnprintableError")
    assert ["logged"] == memory.bodies()


def test_surrogates_never_break_a_later_scrape(memory):
    """A lone surrogate in a label, a name or a description: every later page is served, and complete."""
    with otelkit.init(service_name="shop", **memory.arguments):
        meter = otelkit.get_meter("scope \ud83d")
        meter.create_counter("broken", description="\ud83d").add(1, {"k\ud83d": "\ud83d"})
        tell()
        pages = [prometheus.render()[0].decode() for _ in range(3)]

    assert [True] * 3 == ['told_total{n="1"} 1.0' in page and "broken_total{" in page for page in pages]


def test_labels_that_are_no_labels_make_one_series(memory, caplog):
    """NaN is not equal to itself and an empty key is refused by the SDK: each is one series, without a word."""
    with otelkit.init(service_name="shop", **memory.arguments):
        counter = otelkit.get_meter("shop").create_counter("n")
        for _ in range(3):
            counter.add(1, {"k": float("nan")})
            counter.add(1, {"": "empty"})
        points = memory.points()["n"]

    assert [({"k": "NaN"}, 3), ({"_": "empty"}, 3)] == points
    assert "Dropping" not in caplog.text


def test_two_instruments_of_one_exposed_name_are_told_apart(memory, said):
    """`/metrics` keeps the first and names the second in one line; the exporters get both."""
    with otelkit.init(service_name="shop", **memory.arguments):
        meter = otelkit.get_meter("shop")
        meter.create_counter("req.count").add(1)
        meter.create_up_down_counter("req_count_total").add(2)
        for _ in range(3):
            page = prometheus.render()[0].decode()
        points = memory.points()
    lines = said()

    assert 1 == page.count("# TYPE req_count_total ")
    assert {"req.count", "req_count_total"} <= set(points)
    assert 1 == len(lines), lines
    assert "req_count_total" in lines[0]


def test_exponential_histograms_of_otlp_leave_the_page_alone(memory, monkeypatch):
    """With exponential histograms over OTLP, `/metrics` answers with explicit buckets at each scrape."""
    monkeypatch.setenv(
        "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION", "base2_exponential_bucket_histogram"
    )
    with otelkit.init(service_name="shop", **memory.arguments):
        otelkit.get_meter("shop").create_histogram("took", unit="s").record(0.2)
        pages = [prometheus.render()[0].decode() for _ in range(2)]

    assert ['took_seconds_bucket{le="0.25"} 1.0' in page for page in pages] == [True, True]


def test_lines_about_losses_hide_the_keys_of_the_endpoint(said):
    """A destination that refuses is named without the credentials in its address."""
    endpoint = f"http://user:{TOKEN}@127.0.0.1:1/?api_key={TOKEN}"
    running = otelkit.init(service_name="shop", endpoint=endpoint, console=False, instrument=False)
    tell()
    running.shutdown(0.5)
    lines = said()

    assert any("not delivered to http" in line for line in lines), lines
    assert TOKEN not in str(lines)


def test_a_closed_stderr_is_no_error(memory, monkeypatch):
    """Where nothing can be said, a wrong setting still does not stop the application."""
    with open(os.devnull, "w") as closed:
        pass
    monkeypatch.setattr("sys.stderr", closed)
    with otelkit.init(service_name="shop", sample_ratio=7, **memory.arguments):
        tell()

    assert ["told"] == memory.names()
