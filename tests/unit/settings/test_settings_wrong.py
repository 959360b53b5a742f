"""Values that cannot be used: one clear line each, and the rest works."""

from __future__ import annotations

import re

import pytest

from otelkit.errors import ConfigurationError
from otelkit.settings import Settings, describe, resolve

_NAN = float("nan")


class _Rude:
    def __iter__(self):
        raise RuntimeError("no")

    def __float__(self):
        raise RuntimeError("no")

    def __repr__(self):
        raise RuntimeError("no")


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("sample_ratio", 7, "7"),
        ("sample_ratio", -0.1, "-0.1"),
        ("sample_ratio", "abc", "'abc'"),
        ("sample_ratio", True, "True"),
        ("sample_ratio", _NAN, "nan"),
        ("sample_ratio", _Rude(), "<_Rude>"),
        ("protocol", "http/json", "'http/json'"),
        ("protocol", ["grpc"], "<list>"),
        ("endpoint", "http://[::1", "'http://[::1'"),
        ("endpoint", "ftp://x", "'ftp://x'"),
        ("endpoint", "http://x:99999", "'http://x:99999'"),
        ("endpoint", "http://x:http", "'http://x:http'"),
        ("endpoint", "http://", "'http://'"),
        ("endpoint", "two words", "'two words'"),
        ("endpoint", 4317, "4317"),
        ("service_name", "  ", "'  '"),
        ("service_name", 5, "5"),
        ("headers", ["s3cret"], "***"),
        ("resource_attributes", 5, "***"),
        ("log_format", "xml", "'xml'"),
        ("log_setup", "maybe", "'maybe'"),
        ("log_level", "LOUD", "'LOUD'"),
        ("log_level", -5, "-5"),
        ("log_level", True, "True"),
        ("prometheus_port", 99999, "99999"),
        ("prometheus_port", 80.5, "80.5"),
        ("metric_interval_s", -1, "-1"),
        ("metric_interval_s", 0, "0"),
        ("metric_interval_s", float("inf"), "inf"),
        ("span_queue_size", "many", "'many'"),
        pytest.param("span_queue_size", 10**5000, "<a very long number>", id="very-long"),
        ("console", "perhaps", "'perhaps'"),
        ("redact", 5, "5"),
        ("instrument", 5, "5"),
        ("disabled_scopes", 5, "5"),
        ("span_exporters", "console", "'console'"),
        ("span_processors", _Rude(), "<_Rude>"),
        ("strict", "perhaps", "'perhaps'"),
        ("compression", "zip", "'zip'"),
        ("metric_prefix", "9 lives", "'9 lives'"),
        ("exemplar_filter", "sometimes", "'sometimes'"),
    ],
)
def test_wrong_value_is_one_line_and_the_default(name, value, shown):
    """The line names setting, value, origin and remedy; the default is used."""
    settings = resolve(**{name: value})

    (line,) = settings.problems
    assert line.startswith(f"{name}={shown} (argument) cannot be used: it ")
    assert "using " in line
    assert "\n" not in line
    assert getattr(Settings(), name) == getattr(settings, name)


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("'http://127.0.0.1:4318'", "without quotes, which here are part of the value"),
        ('"c:4318"', "without quotes"),
        ("http://c:4318'", "without quotes"),
        ("http//c", "one http:// or https://"),
        ("https:/c:4318", "one http:// or https://"),
        ("http:c", "one http:// or https://"),
        ("http://http://c:4318", "one http:// or https://"),
        ("http://c d:4318", "without blanks"),
        ("http://${HOST}:4318", "without '$'"),
        ("http://a,b:4318", "without ','"),
        ("http://<c>", "without '<'"),
        ("a'b:4318", 'without "\'"'),
    ],
)
def test_address_of_no_host(address, words):
    """What no host can be called, quotes and a broken scheme are said at once, not by the resolver later."""
    (line,) = resolve(endpoint=address).problems

    assert "cannot be used: it must" in line
    assert words in line


@pytest.mark.parametrize(
    "address",
    ["my_c:4318", "http:4318", "http://https/x", "http://ünï.de", "[fe80::1%25eth0]:4318", "http://u:p'${@c"],
)
def test_address_of_an_unusual_host(address):
    """Names with underscores, beyond ASCII, of version 6, called http, and any password can be used."""
    settings = resolve(endpoint=address)

    assert (address, ()) == (settings.endpoint, settings.problems)


def test_wrong_value_of_settings_made_directly():
    """`Settings(...)` says the same line."""
    assert resolve(sample_ratio=7).problems == Settings(sample_ratio=7).problems
    assert 1 == len(Settings(span_processors=_Rude()).problems)


def test_next_weaker_source_is_used(setenv, write_file):
    """A wrong argument falls back to the variable, a wrong variable to the file; each has its line."""
    setenv(OTELKIT_SAMPLE_RATIO="lots")
    write_file("sample_ratio = 0.3")

    settings = resolve(sample_ratio=7)

    assert (0.3, "file") == (settings.sample_ratio, settings.origins["sample_ratio"])
    first, second = settings.problems
    assert first.endswith("using 0.3 ([tool.otelkit] in pyproject.toml).")
    assert "sample_ratio='lots' (variable OTELKIT_SAMPLE_RATIO)" in second


def test_milliseconds_are_named_as_given(setenv):
    """A wrong interval shows the text of the variable."""
    setenv(OTEL_METRIC_EXPORT_INTERVAL="soon", OTEL_BSP_SCHEDULE_DELAY="-5")

    settings = resolve()

    assert (60.0, 1.0) == (settings.metric_interval_s, settings.span_delay_s)
    assert ["span_delay_s='-5'", "metric_interval_s='soon'"] == [p.split(" ")[0] for p in settings.problems]


def test_strict_raises_every_line(setenv):
    """With strict=True all problems come in one ConfigurationError."""
    setenv(OTELKIT_LOG_LEVEL="LOUD")

    with pytest.raises(ConfigurationError) as caught:
        resolve(strict=True, sample_ratio=7)

    assert "sample_ratio=7" in str(caught.value)
    assert "log_level='LOUD' (variable OTELKIT_LOG_LEVEL)" in str(caught.value)


def test_strict_by_variable_and_directly(setenv):
    """strict may come from OTELKIT_STRICT, and holds for `Settings(...)`; describe never raises."""
    with pytest.raises(ConfigurationError):
        Settings(strict=True, sample_ratio=7)
    setenv(OTELKIT_STRICT="true", OTELKIT_SAMPLE_RATIO="7")

    with pytest.raises(ConfigurationError):
        resolve()
    assert describe()


def test_credentials_are_never_repeated():
    """An address that cannot be used is shown without user, password and query values."""
    for address in (
        "ftp://user:s3cret@x", "http://user:s3c/r3t@x:99999", "http://[::1?api_key=s3cret", "u:s3cret@x:0",
        "ftp://x#s3cret", "ftp://x?s3cret",
    ):  # fmt: skip
        (line,) = resolve(endpoint=address).problems
        assert not re.search(r"s3c", line), line


def test_secrets_in_the_wrong_setting_are_masked():
    """An address that lands in another setting is masked there too."""
    (line,) = resolve(protocol="https://user:s3cret@x").problems

    assert "s3cret" not in line


def test_unknown_argument_is_named_with_its_neighbour():
    """A misspelt argument is one line that knows the right name."""
    (line,) = resolve(sampel_ratio=0.5).problems

    assert "'sampel_ratio' (argument)" in line
    assert "did you mean 'sample_ratio'?" in line


def test_unknown_variable_earns_advice(setenv):
    """A misspelt OTELKIT_* variable is said, but is no error."""
    setenv(OTELKIT_SAMPEL_RATIO="0.5", OTELKIT_RERAISE="1")

    settings = resolve(strict=True)

    (line,) = settings.advice
    assert "OTELKIT_SAMPEL_RATIO" in line
    assert "OTELKIT_SAMPLE_RATIO" in line


def test_wrong_items_leave_the_good_ones():
    """Of a list only the wrong items are dropped, each named by its place."""
    exporter = _Exporter()

    settings = resolve(
        span_exporters=[_Exporter, exporter, object()], redact=["ssn", "/(/", re.compile(b"x")]
    )

    assert (exporter,) == settings.span_exporters
    assert ("ssn",) == settings.redact
    assert ["item 2", "item 3", "item 1", "item 3"] == [
        re.search(r"item \d", line).group() for line in sorted(settings.problems)
    ]


class _Exporter:
    def export(self, spans):
        """Take spans."""

    def shutdown(self):
        """End."""


def test_wrong_resource_attributes_leave_the_good_ones(setenv):
    """A part without a key or a plain value is dropped and named without its value."""
    setenv(OTEL_RESOURCE_ATTRIBUTES="s3cret,=s3cret,a=b")

    settings = resolve(resource_attributes={"c": object(), "d": [1, 2], "e": [1, "x"], "f": None})

    assert {"a": "b", "d": (1, 2)} == settings.resource_attributes
    assert 5 == len(settings.problems)
    assert "s3cret" not in str(settings.problems)


def test_text_is_repaired():
    """A lone surrogate does not reach the resource."""
    settings = resolve(service_name="shop\ud83d")

    assert "shop\ufffd" == settings.service_name
    assert 1 == len(settings.problems)


def test_batch_is_never_larger_than_the_queue(setenv):
    """The batch shrinks to the queue, where the SDK would refuse both."""
    setenv(OTEL_BSP_MAX_QUEUE_SIZE="100")

    settings = resolve()

    assert (100, 100) == (settings.span_queue_size, settings.span_batch_size)
    assert "span_batch_size=512" in settings.problems[0]
