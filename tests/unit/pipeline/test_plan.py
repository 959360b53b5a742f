import pytest
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otelkit import Settings
from otelkit.pipeline.plan import plan
from otelkit.settings import resolve

SIGNALS = ("traces", "logs", "metrics")


def otlp_of(settings):
    made = plan(settings, terminal=False)
    return {signal: made.way(signal).otlp and made.way(signal).otlp.url for signal in SIGNALS}


def test_default_is_the_collector_on_localhost():
    """Without any setting all three signals go to the default port, as a guess."""
    made = plan(Settings(), terminal=False)

    assert {signal: f"http://localhost:4318/v1/{signal}" for signal in SIGNALS} == otlp_of(Settings())
    assert [False] * 3 == [way.endpoint_given for way in made.ways]
    assert "http://localhost:4318" == made.where(SIGNALS)


def test_an_endpoint_of_one_signal_says_nothing_of_the_others(monkeypatch):
    """Who names a receiver of traces may have none of logs: those are a guess, and not kept on disk."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://jaeger:4318/v1/traces")
    made = plan(resolve(), terminal=False)

    assert ([True, False, False], "always") == ([way.durable for way in made.ways], made.spool)
    assert "http://localhost:4318/v1/logs" == made.way("logs").otlp.url
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "none")
    assert "off" == plan(resolve(), terminal=False).spool


def test_a_guess_gives_way_to_exporters_of_ones_own():
    """Who gives exporters and no endpoint wants these only; a named endpoint is used besides."""
    own = {"span_exporters": [InMemorySpanExporter()]}

    assert otlp_of(Settings(**own))["traces"] is None
    assert "http://localhost:4318/v1/logs" == otlp_of(Settings(**own))["logs"]
    assert "http://a:4318/v1/traces" == otlp_of(Settings(endpoint="http://a:4318", **own))["traces"]


def test_a_guess_gives_way_whatever_the_others_have(monkeypatch):
    """An endpoint of the logs is no reason to guess one for spans that have an exporter."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://loki:4318/v1/logs")

    assert otlp_of(resolve(span_exporters=[InMemorySpanExporter()]))["traces"] is None


@pytest.mark.parametrize(
    ("value", "otlp", "named"),
    [
        ("none", False, ()),
        ("otlp", True, ()),
        ("console", False, ("console",)),
        ("otlp,console", True, ("console",)),
    ],
)
def test_exporter_variables_choose_the_ways(monkeypatch, value, otlp, named):
    """OTEL_{TRACES,METRICS,LOGS}_EXPORTER mean what they mean to the SDK."""
    for signal in SIGNALS:
        monkeypatch.setenv(f"OTEL_{signal.upper()}_EXPORTER", value)
    made = plan(resolve(), terminal=False)

    assert [(otlp, named)] * 3 == [(way.otlp is not None, way.named) for way in made.ways]


def test_prometheus_by_the_variable_is_the_server(monkeypatch):
    """OTEL_METRICS_EXPORTER=prometheus opens the standard port and is no exporter of ours."""
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "prometheus")
    made = plan(resolve(), terminal=False)

    assert (("127.0.0.1", 9464), (), None) == (
        made.server,
        made.way("metrics").named,
        made.way("metrics").otlp,
    )


@pytest.mark.parametrize(
    ("setting", "terminal", "shown"),
    [(None, True, True), (None, False, False), (True, False, True), (False, True, False)],
)
def test_console_follows_the_terminal_unless_set(setting, terminal, shown):
    """The live view is on where a person watches, or where it was asked for."""
    assert shown is plan(Settings(console=setting), terminal=terminal).console


def test_queue_settings_reach_their_signals():
    """Sizes and delays of spans and records are kept apart; metrics wait for their interval."""
    settings = Settings(
        span_queue_size=10, span_batch_size=5, span_delay_s=0.1,
        log_queue_size=20, log_batch_size=6, log_delay_s=0.2, metric_interval_s=3,
    )  # fmt: skip
    made = plan(settings, terminal=False)

    assert [(10, 5, 0.1), (20, 6, 0.2), (None, 0, 3)] == [
        (way.capacity, way.batch_size, way.delay_s) for way in made.ways
    ]


def test_a_plan_prints_where_everything_goes_without_secrets():
    """One line per signal, and one for the server; credentials in addresses are masked."""
    settings = Settings(
        endpoint="http://user:hunter2@collector:4318/?api_key=hunter2",
        prometheus_port=9000,
        span_exporters=[InMemorySpanExporter()],
        metrics_exporters=("none",),
    )
    lines = str(plan(settings, terminal=False)).splitlines()

    assert lines[0].startswith("traces: OTLP http/protobuf to http://***@collector:4318/v1/traces")
    assert lines[0].endswith("1 of your own")
    assert ["metrics: nowhere", "spool: always", "/metrics: http://127.0.0.1:9000/metrics"] == lines[2:]
    assert "hunter2" not in str(lines) + plan(settings, terminal=False).where(SIGNALS)


def test_a_disabled_sdk_says_so():
    """The plan of a process without telemetry is one line."""
    made = plan(Settings(sdk_disabled=True), terminal=True)

    assert "telemetry is disabled (OTEL_SDK_DISABLED)" == str(made)
    assert made.prometheus is False


def test_where_names_each_place_once(monkeypatch):
    """Signals with addresses of their own are all named, paths left out."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://a:4318")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://b:4318/v1/logs")
    made = plan(resolve(), terminal=False)

    assert "http://a:4318, http://b:4318" == made.where(SIGNALS)
    assert "http://b:4318" == made.where(["logs"])
