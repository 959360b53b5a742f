import pytest
from opentelemetry.sdk.metrics.export import MetricExportResult
from opentelemetry.sdk.trace.export import SpanExportResult
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from otelkit.exits.exporters import MetricExit, RecordExit


class Exporter(InMemorySpanExporter):
    def __init__(self, answer=None):
        super().__init__()
        self.answer = answer
        self.calls = []

    def export(self, spans):
        self.calls.append(("export", list(spans)))
        return self.answer

    def force_flush(self, timeout_millis=30_000):
        self.calls.append("force_flush")
        return True

    def shutdown(self):
        self.calls.append("shutdown")


class Metrics:
    """An exporter of metrics."""

    def __init__(self, *answers):
        self.answers = list(answers)
        self.seen = []
        self.closed = 0

    def export(self, data):
        self.seen.append(data)
        return self.answers.pop(0)

    def shutdown(self):
        self.closed += 1


@pytest.mark.parametrize(
    ("answer", "succeeded"),
    [(SpanExportResult.SUCCESS, True), (SpanExportResult.FAILURE, False), (None, False)],
)
def test_the_exporters_answer_counts(answer, succeeded):
    """Only an explicit success is one."""
    exporter = Exporter(answer)

    assert succeeded is RecordExit(name="x", exporter=exporter).send([1, 2])
    assert [("export", [1, 2])] == exporter.calls


def test_an_exporter_is_never_interrupted():
    """The user's own `shutdown` may block, and is called at the end only."""
    exporter = Exporter()
    RecordExit(name="own", exporter=exporter).interrupt()

    assert [] == exporter.calls


def test_an_exporter_is_shut_down_at_the_end():
    """Closing the exit is the exporter's end."""
    exporter = Exporter()
    RecordExit(name="x", exporter=exporter).close()

    assert ["shutdown"] == exporter.calls


def test_an_exporter_in_use_elsewhere_is_flushed_only():
    """Closing leaves it open for the other runtime."""
    exporter = Exporter()
    RecordExit(name="x", exporter=exporter, in_use=lambda thing: thing is exporter).close()

    assert ["force_flush"] == exporter.calls


def test_an_exporter_without_flush_may_be_in_use_elsewhere():
    """What has no ``force_flush`` is left alone."""

    class Small:
        def export(self, _):
            return None

    RecordExit(name="x", exporter=Small(), in_use=lambda _: True).close()


def test_metrics_are_exported_one_collection_at_a_time():
    """All collections must be taken for a success."""
    success, failure = MetricExportResult.SUCCESS, MetricExportResult.FAILURE
    good, bad = Metrics(success, success), Metrics(success, failure)

    assert MetricExit(name="x", exporter=good).send([1, 2]) is True
    assert MetricExit(name="x", exporter=bad).send([1, 2]) is False
    assert [1, 2] == good.seen


def test_a_metric_exporter_ends_with_its_exit():
    """It is shut down once, and not interrupted."""
    exporter = Metrics()
    exit_ = MetricExit(name="x", exporter=exporter)
    exit_.interrupt()
    exit_.close()

    assert 1 == exporter.closed
