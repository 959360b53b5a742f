"""Names on the page follow the compatibility specification."""

from __future__ import annotations

import pytest

from otelkit.prometheus._names import exposed_name


@pytest.mark.parametrize(
    ("name", "unit", "kind", "exposed"),
    [
        ("requests", "{request}", "counter", "requests_total"),
        ("requests_total", "{request}", "counter", "requests_total"),
        ("http.sent", "By", "counter", "http_sent_bytes_total"),
        ("sent_bytes", "By", "counter", "sent_bytes_total"),
        ("sent_bytes_total", "By", "counter", "sent_bytes_total"),
        ("a_total_total", "", "counter", "a_total_total"),
        ("hits", "1", "counter", "hits_total"),
        ("a.-.b", "", "counter", "a_b_total"),
        ("a.", "", "counter", "a_total"),
        ("speed", "m/s", "gauge", "speed_meters_per_second"),
        ("took", "s", "histogram", "took_seconds"),
        ("level:x", "a:b", "gauge", "level_x_a_b"),
        ("entries_total", "{entry}", "up_down_counter", "entries_total"),
        ("9lives", "", "gauge", "_lives"),
        ("_total", "", "counter", "unnamed_total"),
        ("", "", "gauge", "unnamed"),
    ],
)
def test_the_name_and_the_page_agree(make_bridge, name, unit, kind, exposed):
    """What `exposed_name` tells is what a scraper sees."""
    assert exposed_name(name, unit, kind) == exposed
    if not (name[:1].isalpha() and ":" not in name + unit):
        return  # the SDK takes no such name from an application
    bridge = make_bridge()
    made = getattr(bridge.meter, f"create_{kind}")(name, unit)
    getattr(made, {"gauge": "set", "histogram": "record"}.get(kind, "add"))(1)

    assert bridge.samples(exposed + ("_count" if kind == "histogram" else "")) == {(): 1}
