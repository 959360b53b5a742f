"""The scraper gets the format it asks for."""

from __future__ import annotations

import pytest

from otelkit.prometheus._text import CLASSIC, OPENMETRICS, negotiate

PROMETHEUS_3 = (
    "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
    "application/openmetrics-text;version=0.0.1;q=0.5,"
    "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)


@pytest.mark.parametrize(
    ("accept", "answer"),
    [
        ("", CLASSIC),
        ("*/*", CLASSIC),
        ("text/html,application/xhtml+xml,*/*;q=0.8", CLASSIC),
        ("text/plain", CLASSIC),
        ("application/openmetrics-text", OPENMETRICS),
        (PROMETHEUS_3, OPENMETRICS),
        ("text/plain;q=0.9, application/openmetrics-text;q=0.1", CLASSIC),
        ("application/openmetrics-text;q=0", CLASSIC),
        ("Application/OpenMetrics-Text; version=x", OPENMETRICS),
        ("application/openmetrics-text;q=much", OPENMETRICS),
        (";;,,=;q", CLASSIC),
    ],
)
def test_the_accept_header_decides(accept, answer):
    """OpenMetrics when it is wanted at least as much as text, in whatever condition the header is."""
    assert negotiate(accept) == answer


def test_both_formats_come_with_their_content_type(bridge):
    """The body is what the content type says."""
    bridge.meter.create_counter("requests").add(1)
    classic, classic_type = bridge.page.render()
    strict, strict_type = bridge.page.render("application/openmetrics-text")

    assert (classic_type, strict_type) == (CLASSIC, OPENMETRICS)
    assert b"# TYPE requests_total counter" in classic
    assert b"# TYPE requests counter" in strict
    assert strict.endswith(b"# EOF\n")
    assert strict.count(b"# EOF") == 1
