import pwd
from pathlib import Path

import pytest
from opentelemetry.sdk import metrics
from opentelemetry.sdk.metrics.export import AggregationTemporality
from opentelemetry.sdk.metrics.view import (
    ExplicitBucketHistogramAggregation,
    ExponentialBucketHistogramAggregation,
)

from otelkit import ConfigurationError, Settings
from otelkit.delivery.parcel import Parcel
from otelkit.pipeline import otlp
from otelkit.pipeline.plan import plan
from otelkit.settings import resolve


@pytest.fixture
def lines():
    """The lines of some settings; closed at the end."""
    made = []

    def make(settings=None, **chosen):
        settings = settings or Settings(**chosen)
        found = otlp.lines(plan(settings, terminal=False))
        made.extend(found.values())
        return found

    yield make
    for line in made:
        line.transport.close()


@pytest.fixture
def spool(tmp_path):
    made = []

    def make(settings=None, signals=("traces", "logs", "metrics"), **chosen):
        settings = settings or Settings(**chosen)
        spool = otlp.spool(settings, plan(settings, terminal=False), signals)
        made.append(spool)
        return spool

    yield make
    for one in made:
        if one is not None:
            one.close()


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_each_signal_has_a_line(lines, protocol):
    """One way for each signal, with the time-outs and delays of the settings."""
    found = lines(endpoint="http://collector:4318", protocol=protocol, span_delay_s=2.0, export_timeout_s=7.0)

    assert ["traces", "logs", "metrics"] == list(found)
    assert (2.0, 7.0) == (found["traces"].delay_s, found["traces"].timeout_s)
    assert 0.0 == found["metrics"].delay_s


def test_lines_to_one_receiver_share_a_breaker(lines, monkeypatch):
    """A receiver is one machine and port; the signal's path does not matter."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4318")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "http://elsewhere:4318/v1/logs")
    found = lines(resolve())

    assert found["traces"].receiver is found["metrics"].receiver
    assert found["traces"].receiver is not found["logs"].receiver


def test_a_given_endpoint_is_no_guess(lines):
    """Where the user says that there is a receiver, nobody looks first."""
    assert {None} == {line.guess for line in lines(endpoint="http://collector:4318").values()}


def test_the_collector_on_localhost_is_a_guess(lines):
    """Without an endpoint it is looked first whether somebody listens."""
    assert ("localhost", 4318) == lines()["traces"].guess._address


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
@pytest.mark.parametrize("name", ["certificate", "client_key", "client_certificate"])
def test_an_unreadable_file_costs_the_lines_and_is_said(lines, said, protocol, name):
    """Where TLS is used, a file that cannot be read is named with its setting; the rest works."""
    found = lines(endpoint="https://collector:4318", protocol=protocol, **{name: "/nowhere"})

    assert {} == found
    assert any(f"{name}=/nowhere" in line for line in said())


def test_strict_refuses_what_cannot_be_made(lines):
    """With ``strict`` the mistake is raised in `init`."""
    with pytest.raises(ConfigurationError, match="certificate=/nowhere"):
        lines(endpoint="https://collector:4318", certificate="/nowhere", strict=True)


@pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
def test_files_for_tls_do_not_matter_without_it(lines, said, protocol):
    """On a plain connection nobody asks for the files."""
    assert 3 == len(lines(endpoint="http://collector:4318", protocol=protocol, certificate="/nowhere"))


def test_an_error_of_ours_costs_one_line(lines, said, monkeypatch):
    """A way that cannot be made for any reason is left out and said; the others are made."""
    connect = otlp.connect

    def failing(target, *, signal):
        return 1 / 0 if signal == "logs" else connect(target, signal=signal)

    monkeypatch.setattr(otlp, "connect", failing)
    found = lines(endpoint="http://collector:4318")

    assert ["traces", "metrics"] == list(found)
    assert any("receiver of logs cannot be made: ZeroDivisionError" in line for line in said())


# -- the spool ------------------------------------------------------------------------------------------


def test_without_an_endpoint_there_is_no_spool(spool):
    """A laptop and a test suite never fill a disk."""
    assert spool() is None


def test_only_what_has_an_endpoint_is_spooled(monkeypatch, spool, lines, said):
    """What goes to localhost as a guess may never be wanted there; that is said by the signals' names."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://jaeger:4318/v1/traces")
    found = lines(resolve())
    found["logs"].guess.say_so()

    assert {"traces"} == spool(resolve()).signals
    assert ["logs", "metrics"] == [signal for signal, line in found.items() if line.guess is not None]
    (line,) = said()
    assert "logs and metrics are not delivered to http://localhost:4318: nobody listens there" in line
    assert "OTEL_LOGS_EXPORTER=none and OTEL_METRICS_EXPORTER=none" in line


def test_guesses_are_told_by_their_place(monkeypatch, lines, said):
    """Each line names the signals that go to the address in it."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://jaeger:4318/v1/traces")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "grpc")
    found = lines(resolve())
    found["logs"].guess.say_so()
    found["metrics"].guess.say_so()

    logs, metrics = said()
    assert "logs are not delivered to http://localhost:4318" in logs
    assert "metrics are not delivered to http://localhost:4317" in metrics


def test_a_guess_waits_for_no_receiver_that_was_named(monkeypatch, lines):
    """At one address, too: a named one is tried again and again, a guess is given up at once."""
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://localhost:4318/v1/traces")
    found = lines(resolve())

    assert found["logs"].receiver is found["metrics"].receiver is not found["traces"].receiver


@pytest.mark.parametrize("options", [{"spool": "off"}, {"signals": ()}])
def test_there_may_be_no_spool(spool, options):
    """Switched off, or nothing to keep."""
    assert spool(endpoint="http://collector:4318", **options) is None


def test_the_spool_lies_in_the_state_folder(spool, monkeypatch, tmp_path):
    """Where the XDG variable says, and nothing is touched before there is something to keep."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))

    assert tmp_path / "otelkit" / "spool" == spool(endpoint="http://collector:4318")._path
    assert [] == list(tmp_path.iterdir())


@pytest.mark.parametrize("state", ["", "relative/path"])
def test_a_relative_state_folder_is_ignored(spool, monkeypatch, state):
    """As the XDG specification says; the home folder it is then."""
    monkeypatch.setenv("XDG_STATE_HOME", state)
    expected = Path("~/.local/state/otelkit/spool").expanduser()

    assert expected == spool(endpoint="http://collector:4318")._path


def test_a_user_without_a_home_has_no_spool(spool, monkeypatch, said):
    """A container's user that the system does not know: memory, said in one line with the remedy."""
    for variable in ("XDG_STATE_HOME", "HOME"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", {}.__getitem__)

    assert spool(endpoint="http://collector:4318") is None
    (line,) = said()
    assert "OTELKIT_SPOOL_DIR" in line


def test_a_folder_may_be_given(spool, tmp_path):
    """The setting wins."""
    given = spool(endpoint="http://collector:4318", spool_dir=str(tmp_path / "here"))

    assert tmp_path / "here" == given._path


ME = {"endpoint": "http://collector:4318", "service_name": "a", "environment": "x"}


@pytest.mark.parametrize(
    ("other", "same"),
    [
        ({}, True),
        ({"endpoint": "http://user:secret@collector:4318"}, True),
        ({"headers": {"authorization": "other"}}, True),
        ({"endpoint": "http://elsewhere:4318"}, False),
        ({"endpoint": "https://collector:4318"}, False),
        ({"service_name": "b"}, False),
        ({"environment": "y"}, False),
        ({"protocol": "grpc"}, False),
    ],
)
def test_only_ones_own_are_adopted(spool, tmp_path, other, same):
    """User, destination, service and environment make the identity; credentials do not."""
    dead = spool(**ME, spool_dir=str(tmp_path / "s"))
    dead.append([Parcel("traces", 2, b"x", 0)])
    dead.close()
    heir = spool(**{**ME, **other}, spool_dir=str(tmp_path / "s"))

    assert ({"traces": 2} if same else {}) == heir.adopt()


# -- metrics over OTLP ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "delta"),
    [
        ("cumulative", ()),
        ("delta", (metrics.Counter, metrics.Histogram, metrics.ObservableCounter)),
        ("lowmemory", (metrics.Counter, metrics.Histogram)),
    ],
)
def test_temporality_by_name(name, delta):
    """Which kinds of instruments are told as differences."""
    assert dict.fromkeys(delta, AggregationTemporality.DELTA) == otlp.temporality(name)


def test_aggregation_by_name():
    """Histograms have explicit buckets, unless exponential ones are asked for."""
    explicit = otlp.aggregation("explicit_bucket_histogram")[metrics.Histogram]
    exponential = otlp.aggregation("base2_exponential_bucket_histogram")[metrics.Histogram]

    assert isinstance(explicit, ExplicitBucketHistogramAggregation)
    assert isinstance(exponential, ExponentialBucketHistogramAggregation)
