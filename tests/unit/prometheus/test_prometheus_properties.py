"""Whatever is measured, the page parses and no neighbour is lost."""

from __future__ import annotations

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Gauge,
    Histogram,
    HistogramDataPoint,
    Metric,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
    Sum,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_classic

from otelkit.processors.limits import metric_attributes
from otelkit.prometheus import Page

CUMULATIVE = AggregationTemporality.CUMULATIVE
NEIGHBOUR = "untouched.neighbour"

any_text = st.text(st.characters(), max_size=12) | st.sampled_from(
    ["", "\ud83d", '"', "\\", "\n", "a\r\nb", "\x00", "# EOF", "}", 'a"b\\n', " x ", "\u2028", "le"]
)
some_names = st.sampled_from(
    ["a", "a.b", "a_b", ":", "a:b", "a_", "_total", "a_total", "a_count", "a_bucket", "a_info", "target"]
)
units = st.sampled_from(["", "s", "By", "{x}", "1", "m/s", "total", "_", "a/b/c", "a:b", ":h"]) | any_text
scalars = any_text | st.booleans() | st.integers() | st.floats()
attributes = st.dictionaries(
    any_text | st.sampled_from(["a.b", "a_b", "le", "quantile", "1a", "__name__"]),
    scalars | st.lists(any_text, max_size=3),
    max_size=4,
)
numbers = st.integers() | st.floats() | st.sampled_from([10**400, -(10**30), 2**64, True])


@st.composite
def number_points(draw):
    return [NumberDataPoint(draw(attributes), 0, 1, draw(numbers)) for _ in range(draw(st.integers(0, 3)))]


@st.composite
def histogram_points(draw):
    points = []
    for _ in range(draw(st.integers(0, 3))):
        bounds = draw(st.lists(st.floats(allow_nan=True) | st.integers(-5, 5), max_size=4))
        counts = draw(st.lists(st.integers(0, 9), min_size=len(bounds) + 1, max_size=len(bounds) + 1))
        points.append(
            HistogramDataPoint(draw(attributes), 0, 1, sum(counts), draw(numbers), counts, bounds, 0.0, 1.0)
        )
    return points


data = st.one_of(
    number_points().map(lambda points: Sum(points, CUMULATIVE, True)),
    number_points().map(lambda points: Sum(points, CUMULATIVE, False)),
    number_points().map(Gauge),
    histogram_points().map(lambda points: Histogram(points, CUMULATIVE)),
)
metrics = st.builds(Metric, some_names | any_text, any_text, units, data)
neighbour = Metric(NEIGHBOUR, "", "", Sum([NumberDataPoint({"a": "b"}, 0, 1, 7)], CUMULATIVE, True))


def scope(name, some):
    return ScopeMetrics(InstrumentationScope(name), some, "")


def check(page):
    """Both formats parse, name nothing twice, and show the neighbour."""
    classic = page.render()[0].decode()
    families = list(parse_classic(classic))
    assert ("untouched_neighbour_total", {"a": "b"}, 7.0) in [
        (one.name, one.labels, one.value) for family in families for one in family.samples
    ]
    series = [(one.name, frozenset(one.labels.items())) for family in families for one in family.samples]
    assert len(set(series)) == len(series)
    assert len({family.name for family in families}) == len(families)
    strict = page.render("application/openmetrics-text")[0].decode()
    assert "untouched_neighbour" in [family.name for family in parse_openmetrics(strict)]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(metrics, max_size=4), st.lists(metrics, max_size=2), attributes)
def test_any_collected_data_gives_a_valid_page(one, other, resource):
    """Names, units, descriptions, labels, numbers and bounds of any content."""
    page = Page(extra_registry=False)
    scopes = [scope("one", one), scope("neighbour", [neighbour]), scope("other", other)]
    attributes = {key: value for key, value in resource.items() if isinstance(value, str)}
    collected = MetricsData([ResourceMetrics(Resource(attributes), scopes, "")])
    page.reader._set_collect_callback(lambda reader, timeout_millis: collected)

    check(page)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(
        st.tuples(
            st.from_regex(r"[a-zA-Z][-_./a-zA-Z0-9]{0,6}", fullmatch=True),
            st.sampled_from(["counter", "up_down_counter", "histogram", "gauge"]),
            st.sampled_from(["", "s", "By", "{x}", "1"]),
            attributes,
            st.integers(-5, 1000) | st.floats(),
        ),
        max_size=6,
    )
)
def test_any_measurement_gives_a_valid_page(measurements):
    """The same through the SDK's own instruments."""
    page = Page(extra_registry=False)
    provider = MeterProvider(metric_readers=[page.reader])
    provider.get_meter("neighbour").create_counter(NEIGHBOUR).add(7, {"a": "b"})
    record = {"counter": "add", "up_down_counter": "add", "histogram": "record", "gauge": "set"}
    for name, kind, unit, given_attributes, value in measurements:
        made = getattr(provider.get_meter("m"), f"create_{kind}")(name, unit)
        getattr(made, record[kind])(value, metric_attributes(given_attributes))

    check(page)
    provider.shutdown()
