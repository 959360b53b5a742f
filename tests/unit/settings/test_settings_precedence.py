"""Which source wins, setting by setting."""

from __future__ import annotations

import os
import sys
import time
import timeit

import pytest

from otelkit.settings import Settings, resolve


def test_argument_beats_everything(setenv, write_file):
    """An argument wins over both kinds of variables and the file."""
    setenv(OTEL_SERVICE_NAME="otel", OTELKIT_SERVICE_NAME="own")
    write_file('service_name = "file"')

    settings = resolve(service_name="argument")

    assert "argument" == settings.service_name == settings.origins["service_name"]


def test_sources_are_asked_in_order(setenv, write_file, monkeypatch):
    """OTEL_*, then its resource attribute, then OTELKIT_*, then the file, then the default."""
    write_file('service_name = "file"')
    assert ("file", "file") == _name_and_origin()
    setenv(OTELKIT_SERVICE_NAME="own")
    assert ("own", "variable OTELKIT_SERVICE_NAME") == _name_and_origin()
    setenv(OTEL_RESOURCE_ATTRIBUTES="service.name=attribute")
    assert ("attribute", "variable OTEL_RESOURCE_ATTRIBUTES") == _name_and_origin()
    setenv(OTEL_SERVICE_NAME="otel")
    assert ("otel", "variable OTEL_SERVICE_NAME") == _name_and_origin()


def _name_and_origin():
    settings = resolve()
    return settings.service_name, settings.origins["service_name"]


def test_defaults():
    """Nothing given: the documented defaults, no problems, no advice."""
    settings = resolve()

    assert f"unknown_service:{os.path.basename(sys.executable)}" == settings.service_name
    assert ("development", None, "http/protobuf") == (
        settings.environment,
        settings.endpoint,
        settings.protocol,
    )
    assert (1.0, "parentbased_traceidratio") == (settings.sample_ratio, settings.sampler)
    assert (20, None, "auto", 60.0) == (
        settings.log_level, settings.log_format, settings.log_setup, settings.metric_interval_s
    )  # fmt: skip
    assert (("otlp",), True, "auto") == (settings.traces_exporters, settings.redact, settings.instrument)
    assert ((), ()) == (settings.problems, settings.advice)
    assert {"default"} == set(settings.origins.values())


def test_empty_variable_counts_as_unset(setenv):
    """An empty or blank variable falls through to the next source."""
    setenv(OTEL_SERVICE_NAME="", OTELKIT_SERVICE_NAME=" ", OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT="")

    settings = resolve()

    assert settings.service_name.startswith("unknown_service")
    assert 128 == settings.span_attribute_limit
    assert () == settings.problems


def test_none_argument_counts_as_not_given(setenv):
    """None passes the question on to the environment."""
    setenv(OTEL_SERVICE_NAME="otel")

    assert "otel" == resolve(service_name=None).service_name


def test_auto_in_a_variable_beats_the_file(setenv, write_file):
    """The word auto is a value: it hides the weaker source."""
    setenv(OTELKIT_LOG_FORMAT="auto", OTELKIT_CONSOLE="auto")
    write_file('log_format = "json"\nconsole = true')

    settings = resolve()

    assert (None, None) == (settings.log_format, settings.console)


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=old,deployment.environment.name=new"}, "new"),
        ({"OTEL_RESOURCE_ATTRIBUTES": "deployment.environment=old", "OTELKIT_ENVIRONMENT": "own"}, "old"),
        ({"OTELKIT_ENVIRONMENT": "own", "ENVIRONMENT": "plain"}, "own"),
        ({"ENVIRONMENT": "plain"}, "plain"),
    ],
)
def test_environment_order(setenv, variables, expected):
    """The deployment environment is asked for in the documented order."""
    setenv(**variables)

    assert expected == resolve().environment


def test_resource_attributes_are_merged(setenv):
    """Attributes of all sources are put together, the argument on top; values are decoded."""
    setenv(OTEL_RESOURCE_ATTRIBUTES="a=1, b = x%2Cy ,team=core")

    settings = resolve(resource_attributes={"a": 2})

    assert {"a": 2, "b": "x,y", "team": "core"} == settings.resource_attributes


def test_attributes_with_a_setting_of_their_own_are_lifted(setenv):
    """service.name and its like become settings and leave the other attributes."""
    setenv(OTEL_RESOURCE_ATTRIBUTES="service.name=a,service.version=2,deployment.environment=e,x=y")

    settings = resolve(resource_attributes={"service.name": "b"})

    assert ("b", "2", "e") == (settings.service_name, settings.service_version, settings.environment)
    assert {"x": "y"} == settings.resource_attributes


def test_milliseconds_become_seconds(setenv):
    """Intervals of the specification are milliseconds, the OTLP timeout is seconds as in the SDK."""
    setenv(
        OTEL_BSP_SCHEDULE_DELAY="250", OTEL_BLRP_SCHEDULE_DELAY="500", OTEL_METRIC_EXPORT_INTERVAL="15000",
        OTEL_METRIC_EXPORT_TIMEOUT="2000", OTEL_EXPORTER_OTLP_TIMEOUT="7",
    )  # fmt: skip

    s = resolve()

    assert (0.25, 0.5, 15.0, 2.0) == (s.span_delay_s, s.log_delay_s, s.metric_interval_s, s.metric_timeout_s)
    assert 7.0 == s.export_timeout_s


def test_variables_are_read_as_their_types(setenv):
    """Text of OTELKIT_* variables becomes numbers, booleans, lists and patterns."""
    setenv(
        OTELKIT_SAMPLE_RATIO="0.25", OTELKIT_CONSOLE="On", OTELKIT_LOG_LEVEL="warn", OTELKIT_STRICT="1",
        OTELKIT_DISABLED_SCOPES="a.*, b", OTELKIT_REDACT="ssn,/sk-[a-z]{2,4}/", OTELKIT_INSTRUMENT="redis,asyncpg",
        OTEL_EXPORTER_PROMETHEUS_PORT="9464", OTELKIT_SHUTDOWN_TIMEOUT_S="0.5",
    )  # fmt: skip

    s = resolve()

    assert (0.25, True, 30, True, ("a.*", "b")) == (
        s.sample_ratio, s.console, s.log_level, s.strict, s.disabled_scopes
    )  # fmt: skip
    assert ("ssn", "sk-[a-z]{2,4}") == (s.redact[0], s.redact[1].pattern)
    assert (("redis", "asyncpg"), 9464, 0.5) == (s.instrument, s.prometheus_port, s.shutdown_timeout_s)


def test_equality_ignores_where_values_come_from(setenv):
    """The same configuration from two sources is equal and has one hash; another is not."""
    by_argument = resolve(service_name="shop", headers={"K": "v"}, redact=["ssn"])
    setenv(OTEL_SERVICE_NAME="shop", OTEL_EXPORTER_OTLP_HEADERS="k=v", OTELKIT_REDACT="ssn")
    by_variable = resolve()

    assert by_argument == by_variable
    assert hash(by_argument) == hash(by_variable)
    assert by_argument != resolve(headers={"k": "other"}, redact=["ssn"])


def test_user_objects_count_in_equality():
    """Two different exporters make two different configurations."""
    one, other = _Exporter(), _Exporter()

    assert resolve(span_exporters=[one]) == resolve(span_exporters=(one,))
    assert resolve(span_exporters=[one]) != resolve(span_exporters=[other])


class _Exporter:
    def export(self, spans):
        """Take spans."""

    def shutdown(self):
        """End."""


def test_settings_made_directly_are_checked_too(setenv):
    """`Settings(...)` reads no environment, and is usable whatever it is given."""
    setenv(OTEL_SERVICE_NAME="otel")

    settings = Settings(service_name="shop", sample_ratio=7, log_level="debug", max_attribute_length=100)

    assert ("shop", 1.0, 10) == (settings.service_name, settings.sample_ratio, settings.log_level)
    assert ("argument", "default") == (settings.origins["service_name"], settings.origins["endpoint"])
    assert 100 == settings.span_attribute_length == settings.log_attribute_length
    assert 1 == len(settings.problems)


def test_settings_cannot_be_changed():
    """A value and its mappings are read-only."""
    settings = resolve(headers={"k": "v"})

    with pytest.raises(AttributeError):
        settings.service_name = "x"
    with pytest.raises(TypeError):
        settings.headers["k"] = "w"


def test_resolve_is_fast():
    """A resolution without pyproject.toml costs three times the making of the settings; ten at the most."""

    def cost_s(call):
        return timeit.timeit(call, number=20, timer=time.thread_time)

    rounds = [
        (cost_s(lambda: resolve(service_name="shop")), cost_s(lambda: Settings(service_name="shop")))
        for _ in range(10)
    ]
    resolving, making = (min(costs) for costs in zip(*rounds, strict=True))

    assert resolving < 10 * making
