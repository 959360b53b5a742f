"""What a sink has of the telemetry that the programs under test tell."""

from __future__ import annotations

__all__ = ["arrived", "environment", "total"]


def environment(sink):
    # What is tested is that nothing is lost; on a busy machine that may take longer than the default.
    return {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.http_endpoint, "OTELKIT_SHUTDOWN_TIMEOUT_S": "10"}


def total(sink, name):
    """The sum over all processes of a cumulative counter's last values."""
    last = {
        (point.resource["service.instance.id"], *sorted(point.attributes.items())): point.value
        for point in sink.metrics
        if point.name == name
    }
    return sum(last.values())


def arrived(sink, *, again=False):
    """How many of the answers arrived, by signal; each once.

    ``again``: a process was ended while it still waited for an acknowledgement, so the next one may have
    sent the same request once more.
    """
    spans = [span.span_id for span in sink.spans if span.name == "answer"]
    logs = [log.span_id for log in sink.logs if log.body == "answered"]
    assert again or (len(spans), len(logs)) == (len(set(spans)), len(set(logs)))
    return len(set(spans)), len(set(logs)), total(sink, "answers")
