"""Samplers, exporters and the other names that a package may register."""

from __future__ import annotations

import pytest

from otelkit.settings import resolve


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": "0.1"}, ("traceidratio", 0.1)),
        ({"OTEL_TRACES_SAMPLER": "traceidratio"}, ("traceidratio", 1.0)),
        ({"OTEL_TRACES_SAMPLER": "Always_Off"}, ("always_off", None)),
        ({"OTEL_TRACES_SAMPLER": "always_on", "OTELKIT_SAMPLE_RATIO": "0.2"}, ("always_on", None)),
        ({"OTEL_TRACES_SAMPLER": "traceidratio", "OTELKIT_SAMPLE_RATIO": "0.2"}, ("traceidratio", 0.2)),
        ({"OTELKIT_SAMPLE_RATIO": "0.2"}, ("parentbased_traceidratio", 0.2)),
        ({"OTEL_TRACES_SAMPLER_ARG": "0.1"}, ("parentbased_traceidratio", 1.0)),
    ],
)
def test_sampler_variables(setenv, variables, expected):
    """The standard variables mean what the SDK makes of them, and beat the weaker ratio."""
    setenv(**variables)

    settings = resolve()

    assert expected == (settings.sampler, settings.sample_ratio)
    assert () == settings.problems


@pytest.mark.parametrize("sampler", ["always_off", "traceidratio"])
def test_ratio_argument_beats_the_sampler_variable(setenv, sampler):
    """A ratio given in code holds; a ratio sampler keeps its kind."""
    setenv(OTEL_TRACES_SAMPLER=sampler, OTEL_TRACES_SAMPLER_ARG="0.9")

    settings = resolve(sample_ratio=0.5)

    assert 0.5 == settings.sample_ratio
    assert settings.sampler == ("parentbased_traceidratio" if sampler == "always_off" else sampler)


@pytest.mark.parametrize("argument", ["7", "many", "nan"])
def test_wrong_sampler_argument(setenv, argument):
    """A ratio the sampler cannot take is named; everything is kept, as in the SDK."""
    setenv(OTEL_TRACES_SAMPLER="parentbased_traceidratio", OTEL_TRACES_SAMPLER_ARG=argument)

    settings = resolve()

    assert 1.0 == settings.sample_ratio
    (line,) = settings.problems
    assert f"sampler_arg='{argument}' (variable OTEL_TRACES_SAMPLER_ARG)" in line


def test_unknown_sampler(setenv):
    """An unknown sampler is named with those that exist, and the default samples."""
    setenv(OTEL_TRACES_SAMPLER="sometimes")

    settings = resolve()

    assert "parentbased_traceidratio" == settings.sampler
    (line,) = settings.problems
    assert "sampler='sometimes' (variable OTEL_TRACES_SAMPLER)" in line
    assert "'always_on'" in line


def test_exporter_lists(setenv):
    """none alone means no way out; several names are kept in order, once each."""
    setenv(
        OTEL_TRACES_EXPORTER="none", OTEL_METRICS_EXPORTER="otlp, console,otlp", OTEL_LOGS_EXPORTER="Console"
    )

    settings = resolve()

    assert ((), ("otlp", "console"), ("console",)) == (
        settings.traces_exporters, settings.metrics_exporters, settings.logs_exporters
    )  # fmt: skip
    assert () == settings.problems


def test_exporter_name_fixes_the_protocol(setenv):
    """otlp_proto_grpc means OTLP over gRPC for that signal, unless the argument says otherwise."""
    setenv(OTEL_TRACES_EXPORTER="otlp_proto_grpc")

    assert ("grpc", "http/protobuf") == (resolve().otlp("traces").protocol, resolve().otlp("logs").protocol)
    assert ("otlp",) == resolve().traces_exporters
    assert "http/protobuf" == resolve(protocol="http/protobuf").otlp("traces").protocol


def test_unknown_exporter(setenv):
    """An exporter that nobody registers is named; the known ones beside it are used."""
    setenv(OTEL_TRACES_EXPORTER="otlp,jaegr", OTEL_LOGS_EXPORTER="nowhere")

    settings = resolve()

    assert ("otlp",) == settings.traces_exporters == settings.logs_exporters
    assert ["'jaegr'", "'nowhere'", "'nowhere'"] == [
        name for line in settings.problems for name in ("'jaegr'", "'nowhere'") if name in line
    ]


def test_prometheus_exporter_opens_its_port(setenv):
    """OTEL_METRICS_EXPORTER=prometheus listens on 9464 as in the SDK, or where a port is given."""
    setenv(OTEL_METRICS_EXPORTER="prometheus")

    assert 9464 == resolve().prometheus_port
    assert "variable OTEL_METRICS_EXPORTER" == resolve().origins["prometheus_port"]
    assert 9000 == resolve(prometheus_port=9000).prometheus_port


def test_propagators(setenv):
    """Propagators are read as a list; none switches them off."""
    assert ("tracecontext", "baggage") == resolve().propagators
    setenv(OTEL_PROPAGATORS="none")

    assert () == resolve().propagators


@pytest.mark.parametrize(
    ("text", "expected"), [("true", True), ("TRUE ", True), ("false", False), ("1", False), ("yes", False)]
)
def test_standard_booleans_know_two_words(setenv, text, expected):
    """OTEL_SDK_DISABLED is true by that word alone, as in the SDK; other words are named."""
    setenv(OTEL_SDK_DISABLED=text)

    settings = resolve()

    assert expected is settings.sdk_disabled
    assert (text in ("1", "yes")) is bool(settings.problems)


def test_general_limit_stands_in_for_particular_ones(setenv):
    """OTEL_ATTRIBUTE_COUNT_LIMIT holds where no more particular limit is set."""
    setenv(
        OTEL_ATTRIBUTE_COUNT_LIMIT="10",
        OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT="20",
        OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT="5",
    )

    s = resolve(max_attribute_length=50)

    assert (20, 10, 10, 128) == (
        s.span_attribute_limit, s.event_attribute_limit, s.log_attribute_limit, s.span_event_limit
    )  # fmt: skip
    assert (5, 50) == (s.span_attribute_length, s.log_attribute_length)
