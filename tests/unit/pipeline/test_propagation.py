from opentelemetry import propagate

import otelkit
from otelkit.pipeline import propagation


def test_default_propagators_are_left_alone():
    """Trace context and baggage are OpenTelemetry's own default; nothing is replaced."""
    before = propagate.get_global_textmap()
    propagation.install(("tracecontext", "baggage"))()

    assert propagate.get_global_textmap() is before


def test_chosen_propagators_are_used_and_taken_back(telemetry):
    """Without propagators nothing is injected; afterwards trace context is again."""
    restore = propagation.install(())
    silent, spoken = {}, {}
    with otelkit.span("a"):
        propagate.inject(silent)
        restore()
        propagate.inject(spoken)

    assert {} == silent
    assert telemetry.span("a").trace_id in spoken["traceparent"]
