import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from otelkit.delivery.accounting import Counts, Ledger
from otelkit.pipeline import own_metrics

COUNTS = {
    "traces": Counts(
        created=100,
        adopted=3,
        delivered=40,
        rejected=5,
        dropped={"queue_full": 2, "processing_failed": 1, "evicted": 4},
        sampled_out=10,
        queued=20,
        unpacked=12,
        in_flight=6,
        spooled=15,
    ),
    "logs": Counts(),
    "metrics": Counts(created=7, delivered=7),
}


@pytest.fixture
def published():
    """Publishes counts and collects once: name → (unit, {attributes: value})."""
    providers = []

    def collect(read, **options):
        reader = InMemoryMetricReader()
        provider = MeterProvider(metric_readers=[reader], shutdown_on_exit=False)
        providers.append(provider)
        own_metrics.publish(provider.get_meter(own_metrics.SCOPE), read, **options)
        data = reader.get_metrics_data()
        metrics = data.resource_metrics[0].scope_metrics[0].metrics if data else []
        return {metric.name: (metric.unit, points(metric)) for metric in metrics}

    yield collect
    for provider in providers:
        provider.shutdown()


def points(metric):
    return {
        point.attributes.get("error.type") or point.attributes.get("otelkit.signal"): point.value
        for point in metric.data.data_points
    }


def test_what_left_the_queue_and_what_was_lost_before(published):
    """Processed are all that left the queue, by error.type where they were lost there."""
    found = published(lambda: COUNTS, signals=("traces",))

    assert ("{span}", {None: 75, "queue_full": 2, "processing_failed": 1}) == found[
        "otel.sdk.processor.span.processed"
    ]
    assert 75 + 2 + 1 + 12 + 10 == COUNTS["traces"].created


def test_what_was_exported_and_what_failed(published):
    """Exported are all whose export has ended, by error.type where it failed."""
    found = published(lambda: COUNTS, signals=("traces",))

    assert ("{span}", {None: 40, "rejected": 5, "evicted": 4}) == found["otel.sdk.exporter.span.exported"]


def test_what_waits_and_what_is_under_way(published):
    """The queue, the flight and the disk are up-down counters."""
    found = published(lambda: COUNTS, signals=("traces",))

    assert {None: 12} == found["otel.sdk.processor.span.queue.size"][1]
    assert {None: 6} == found["otel.sdk.exporter.span.inflight"][1]
    assert ("{item}", {"traces": 15}) == found["otelkit.spool.items"]
    assert ("{item}", {"traces": 3}) == found["otelkit.spool.adopted"]


def test_each_signal_has_the_names_of_the_conventions(published):
    """Log records and data points are named as semantic conventions say; metrics have no queue."""
    found = published(lambda: COUNTS, signals=("logs", "metrics"))

    assert {
        "otel.sdk.exporter.log.exported": "{log_record}",
        "otel.sdk.exporter.log.inflight": "{log_record}",
        "otel.sdk.processor.log.processed": "{log_record}",
        "otel.sdk.processor.log.queue.size": "{log_record}",
        "otel.sdk.exporter.metric_data_point.exported": "{data_point}",
        "otel.sdk.exporter.metric_data_point.inflight": "{data_point}",
        "otelkit.spool.items": "{item}",
        "otelkit.spool.adopted": "{item}",
    } == {name: unit for name, (unit, _) in found.items()}


@pytest.mark.parametrize("pattern", ["otelkit.delivery", "otelkit.*", "*"])
def test_a_disabled_scope_publishes_nothing(published, pattern):
    """It is switched off like any other scope."""
    assert {} == published(lambda: COUNTS, signals=("traces",), disabled=("x", pattern))


def test_other_disabled_scopes_do_not_matter(published):
    """Only a pattern that fits counts."""
    assert published(lambda: COUNTS, signals=("traces",), disabled=("otelkit", "x*"))


def test_the_processed_counter_never_goes_back():
    """A load that is put back after a failure has left the queue all the same."""
    ledger, seen = Ledger(), []
    ledger.take(5)
    ledger.hold(5)
    for _ in range(2):
        ledger.pick(5, spooled=False)
        seen.append(next(own_metrics._processed(ledger.snapshot(queued=0)))[0])
        ledger.put_back(5, spooled=False)
        seen.append(next(own_metrics._processed(ledger.snapshot(queued=0)))[0])

    assert sorted(seen) == seen
