"""Where each signal goes: addresses, protocols, headers, TLS."""

from __future__ import annotations

import pytest

from otelkit.settings import SIGNALS, resolve


def _urls(settings):
    return [settings.otlp(signal).url for signal in SIGNALS]


def _given(settings):
    return [settings.endpoint_for(signal) for signal in SIGNALS]


def test_defaults_are_the_local_collector():
    """Without an address each protocol goes to its own port on localhost, without TLS."""
    assert [f"http://localhost:4318/v1/{signal}" for signal in SIGNALS] == _urls(resolve())
    grpc = resolve(protocol="grpc").otlp("traces")
    assert ("http://localhost:4317", "grpc", True) == (grpc.url, grpc.protocol, grpc.insecure)


@pytest.mark.parametrize(
    ("base", "expected"),
    [
        ("http://c:4318", "http://c:4318/v1/logs"),
        ("http://c:4318/", "http://c:4318/v1/logs"),
        ("https://c/otlp/", "https://c/otlp/v1/logs"),
        ("c:4318", "http://c:4318/v1/logs"),
        (" HTTP://[::1]:4318 ", "http://[::1]:4318/v1/logs"),
        ("http://c:1?tenant=a", "http://c:1/v1/logs?tenant=a"),
        ("c:443", "https://c:443/v1/logs"),
    ],
)
def test_base_address_gets_the_signal_path(base, expected):
    """The path of the signal is added to a base address, before its query."""
    settings = resolve(endpoint=base)

    assert expected == settings.otlp("logs").url
    assert () == settings.problems


def test_signal_variable_is_used_as_it_is(setenv):
    """An address for one signal gets no path and leaves the others alone."""
    setenv(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="http://t/x/", OTEL_EXPORTER_OTLP_ENDPOINT="http://c/")

    assert ["http://t/x/", "http://c/v1/metrics", "http://c/v1/logs"] == _urls(resolve())


def test_a_signal_variable_is_given_for_its_signal(setenv):
    """An address for one signal says nothing about where the others go."""
    setenv(OTEL_EXPORTER_OTLP_LOGS_ENDPOINT="http://l/")
    assert [None, None, "http://l/"] == _given(resolve())
    setenv(OTEL_EXPORTER_OTLP_ENDPOINT="http://c/")

    assert ["http://c/", "http://c/", "http://l/"] == _given(resolve())
    assert ["http://a/"] * 3 == _given(resolve(endpoint="http://a/"))


def test_argument_beats_signal_variables(setenv):
    """The endpoint argument holds for all signals, whatever the variables say."""
    setenv(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="http://t/", OTEL_EXPORTER_OTLP_TRACES_HEADERS="a=1")

    settings = resolve(endpoint="http://c", headers={"b": "2"})

    assert [f"http://c/v1/{signal}" for signal in SIGNALS] == _urls(settings)
    assert {"b": "2"} == settings.otlp("traces").headers


def test_signal_variables_beat_general_ones(setenv):
    """Each item of one signal stands in place of the general one."""
    setenv(
        OTEL_EXPORTER_OTLP_METRICS_PROTOCOL="grpc", OTEL_EXPORTER_OTLP_METRICS_TIMEOUT="3",
        OTEL_EXPORTER_OTLP_METRICS_HEADERS="m=1", OTEL_EXPORTER_OTLP_HEADERS="g=1",
        OTEL_EXPORTER_OTLP_METRICS_COMPRESSION="GZIP", OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE="/m.pem",
        OTEL_EXPORTER_OTLP_CERTIFICATE="/g.pem",
    )  # fmt: skip

    metrics, logs = resolve().otlp("metrics"), resolve().otlp("logs")

    assert ("grpc", 3.0, {"m": "1"}, "gzip", "/m.pem") == (
        metrics.protocol, metrics.timeout_s, metrics.headers, metrics.compression, metrics.certificate
    )  # fmt: skip
    assert ("http/protobuf", 10.0, {"g": "1"}, "gzip", "/g.pem") == (
        logs.protocol, logs.timeout_s, logs.headers, logs.compression, logs.certificate
    )  # fmt: skip


@pytest.mark.parametrize(
    ("address", "insecure", "expected"),
    [
        ("http://c:4317", None, ("http://c:4317", True)),
        ("https://c:4317", "true", ("https://c:4317", False)),
        ("http://c:4317", "false", ("https://c:4317", False)),
        ("c:4317", None, ("https://c:4317", False)),
        ("c:4317", "true", ("http://c:4317", True)),
        ("localhost:4317", None, ("http://localhost:4317", True)),
        ("localhost:4317", "false", ("https://localhost:4317", False)),
    ],
)
def test_tls_of_grpc(setenv, address, insecure, expected):
    """https is TLS, then OTEL_EXPORTER_OTLP_INSECURE decides, then the scheme, as in the SDK."""
    setenv(OTEL_EXPORTER_OTLP_ENDPOINT=address, OTEL_EXPORTER_OTLP_PROTOCOL="grpc")
    if insecure:
        setenv(OTEL_EXPORTER_OTLP_INSECURE=insecure)

    target = resolve().otlp("traces")

    assert expected == (target.url, target.insecure)


def test_scheme_of_the_argument_beats_the_tls_variable(setenv):
    """An http address in code is plain, whatever the environment says about TLS."""
    setenv(OTEL_EXPORTER_OTLP_INSECURE="false", OTEL_EXPORTER_OTLP_TRACES_INSECURE="false")

    assert resolve(endpoint="http://c:4317", protocol="grpc").otlp("traces").insecure


def test_headers_of_text(setenv):
    """Names become lower-case, values are decoded; one with blanks is plain, as in the SDK."""
    setenv(OTEL_EXPORTER_OTLP_HEADERS="Authorization=Bearer%20abc==, x-a = b%20 c ,")

    settings = resolve()

    assert {"authorization": "Bearer abc==", "x-a": "b%20 c"} == settings.headers
    assert () == settings.problems


@pytest.mark.parametrize(
    "headers",
    ["Authorization: Bearer s3cret,ok=1", "s3cret,ok=1", "s3cret=,ok=1", "s3cret==,ok=1", "k=s3cret%0Aevil,ok=1",
     "bad key=s3cret,ok=1"],
)  # fmt: skip
def test_malformed_header_is_dropped_without_its_value(setenv, headers):
    """One bad entry is named without its value; the rest is sent."""
    setenv(OTEL_EXPORTER_OTLP_HEADERS=headers)

    settings = resolve()

    assert {"ok": "1"} == settings.headers
    (line,) = settings.problems
    assert line.startswith("headers (variable OTEL_EXPORTER_OTLP_HEADERS): ")
    assert "s3cret" not in line


@pytest.mark.parametrize(
    "headers", [{"k": 5, "ok": "1"}, {"a b": "s3cret", "ok": "1"}, {7: "s3cret", "ok": "1"}]
)
def test_malformed_header_of_a_mapping(headers):
    """A bad entry of a mapping is dropped and named; the rest is sent."""
    settings = resolve(headers=headers)

    assert {"ok": "1"} == settings.headers
    (line,) = settings.problems
    assert "s3cret" not in line


def test_grpc_sends_what_it_can(setenv):
    """A header that gRPC cannot carry is left out and named."""
    settings = resolve(protocol="grpc", headers={"k": "é", "ok": "1"})

    assert {"ok": "1"} == settings.otlp("traces").headers
    assert any("'k'" in line for line in settings.advice)


@pytest.mark.parametrize("name", ["OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT"])
def test_timeout_in_milliseconds_earns_advice(setenv, name):
    """1000 seconds and more are used as they are, with one line of advice and no problem."""
    setenv(**{name: "10000"})

    settings = resolve(strict=True)

    assert 10000.0 == settings.otlp("logs").timeout_s
    (line,) = settings.advice
    assert f"export_timeout_s=10000 (variable {name}) counts seconds" in line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"endpoint": "http://c:4317"}, "port 4317"),
        ({"endpoint": "http://c:4318", "protocol": "grpc"}, "port 4318"),
        ({"endpoint": "http://c/v1/traces"}, "requests go to http://c/v1/traces/v1/traces and will hardly"),
        (
            {"endpoint": "http://c/otlp/v1/logs/"},
            "/otlp/v1/logs/v1/logs and will hardly arrive; leave /v1/logs",
        ),
        (
            {"endpoint": "http://c/v1"},
            "requests go to http://c/v1/v1/traces and will hardly arrive; leave /v1 o",
        ),
        ({"endpoint": "http://c/v1/"}, "http://c/v1/v1/traces"),
        ({"endpoint": "c:4317", "protocol": "grpc"}, "no scheme"),
    ],
)
def test_unlikely_addresses_earn_advice(arguments, words):
    """What is probably a mistake is used and said in one line."""
    settings = resolve(**arguments)

    assert () == settings.problems
    (line,) = settings.advice
    assert words in line


@pytest.mark.parametrize("address", ["http://c/v1/x", "http://c/api/v10", "http://c/v1beta", "http://c/otlp"])
def test_other_paths_earn_no_advice(address):
    """A path of the receiver's own is no mistake."""
    assert () == resolve(endpoint=address).advice


@pytest.mark.parametrize("address", ["http://u:s3cret@c:4318", "http://c:4318/"])
def test_signal_address_without_a_path_earns_advice(setenv, address):
    """It is used as it is, with one line; the general address, gRPC and one with a path earn none."""
    setenv(OTEL_EXPORTER_OTLP_LOGS_ENDPOINT=address, OTEL_EXPORTER_OTLP_ENDPOINT="http://c:4318")
    setenv(OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="http://c:4318/v1/traces")
    setenv(OTEL_EXPORTER_OTLP_METRICS_ENDPOINT="http://c:4317", OTEL_EXPORTER_OTLP_METRICS_PROTOCOL="grpc")

    settings = resolve(strict=True)

    assert address == settings.otlp("logs").url
    (line,) = settings.advice
    assert "(variable OTEL_EXPORTER_OTLP_LOGS_ENDPOINT) is used as it is, without /v1/logs; add" in line
    assert "s3cret" not in line


def test_path_of_a_signal_beside_that_signals_own_address(setenv):
    """The line about a base address shows an address that is really used."""
    setenv(
        OTEL_EXPORTER_OTLP_ENDPOINT="http://c/v1/traces",
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="http://c/v1/traces",
    )

    (line,) = resolve().advice

    assert "requests go to http://c/v1/traces/v1/metrics" in line


@pytest.mark.parametrize("protocol", ["grpc", "http/protobuf"])
@pytest.mark.parametrize("by", ["argument", "variable"])
def test_insecure_beside_https_earns_advice(setenv, protocol, by):
    """OTEL_EXPORTER_OTLP_INSECURE has no say over https, and that is one line."""
    setenv(OTEL_EXPORTER_OTLP_INSECURE="true", OTEL_EXPORTER_OTLP_PROTOCOL=protocol)
    if by == "variable":
        setenv(OTEL_EXPORTER_OTLP_ENDPOINT="https://u:s3cret@c")

    (line,) = resolve(endpoint="https://u:s3cret@c" if by == "argument" else None).advice

    assert line.startswith("OTEL_EXPORTER_OTLP_INSECURE=true has no effect on endpoint https://***@c, ")


def test_insecure_that_is_followed_earns_no_advice(setenv):
    """No line where there is no TLS, nor where the signal's own variable wants TLS."""
    setenv(OTEL_EXPORTER_OTLP_INSECURE="true", OTEL_EXPORTER_OTLP_LOGS_INSECURE="false")
    setenv(OTEL_EXPORTER_OTLP_ENDPOINT="http://c", OTEL_EXPORTER_OTLP_LOGS_ENDPOINT="https://c/v1/logs")

    assert () == resolve().advice


def test_insecure_of_the_file_beside_https(write_file):
    """Where no variable says it, the line names the setting's own source."""
    write_file('insecure = true\nendpoint = "https://c"')

    (line,) = resolve().advice

    assert line.startswith("insecure=true ([tool.otelkit] in pyproject.toml) has no effect on endpoint ")


def test_wrong_signal_variable_falls_back(setenv):
    """A wrong value for one signal is named, and what holds for all signals is used."""
    setenv(
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="ftp://u:s3cret@x", OTEL_EXPORTER_OTLP_LOGS_PROTOCOL="http/json"
    )

    settings = resolve(endpoint=None)

    assert "http://localhost:4318/v1/traces" == settings.otlp("traces").url
    assert "http/protobuf" == settings.otlp("logs").protocol
    assert 2 == len(settings.problems)
    assert "(variable OTEL_EXPORTER_OTLP_TRACES_ENDPOINT)" in settings.problems[0] + settings.problems[1]
    assert "s3cret" not in str(settings.problems)


def test_repr_shows_no_secret():
    """Neither settings nor targets print credentials."""
    settings = resolve(endpoint="https://user:s3cret@c?api_key=s3cret", headers={"authorization": "s3cret"})

    assert "s3cret" not in f"{settings!r}{settings.otlp('traces')!r}{settings.signal_overrides!r}"
    assert "authorization=***" in repr(settings)
