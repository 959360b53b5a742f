"""The same data in Prometheus: its own unit tests, run by promtool, expect our readings to the last digit.

(Of a rate, to a millionth: Prometheus multiplies before it divides.)

Samples are a minute apart and windows begin at a sample: there Prometheus has nothing to extrapolate.
Prometheus 3 leaves the sample at the beginning out, so it is given a window that is a hair longer, and
its extrapolation of that hair is rounded away.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess

import pytest
from shops import Shop

from otelkit.readings import Series
from otelkit.readings._source import Collected, Sdk

PROMTOOL = shutil.which("promtool")
MINUTES = 10
BOUNDS = [0.1, 0.5, 1.0, 2.5]


@pytest.fixture
def promtool(tmp_path):
    """Runs PromQL over samples a minute apart and compares with what is expected; None is no sample."""
    if PROMTOOL is None:
        if os.environ.get("CI"):
            pytest.fail("promtool is not installed; it comes with the Debian package prometheus")
        pytest.skip("promtool is not installed; it comes with the Debian package prometheus")
    version = subprocess.run([PROMTOOL, "--version"], capture_output=True, text=True, check=True)
    major = int(re.search(r"version (\d+)", version.stdout + version.stderr)[1])

    def run(series, expected):
        tests = {
            "rule_files": [],
            "tests": [
                {
                    "interval": "1m",
                    "input_series": [
                        {"series": name, "values": " ".join(map(str, values))}
                        for name, values in series.items()
                    ],
                    "promql_expr_test": [
                        {
                            "expr": expression
                            if major < 3
                            else f"round({expression}, 0.001)".replace("m]", "m1ms]"),
                            "eval_time": f"{MINUTES}m",
                            "exp_samples": []
                            if value is None
                            else [{"labels": "{}", "value": value if major < 3 else round(value, 3)}],
                        }
                        for expression, value in expected.items()
                    ],
                }
            ],
        }
        path = tmp_path / "tests.yml"
        path.write_text(json.dumps(tests), encoding="utf-8")  # JSON is YAML
        ran = subprocess.run(
            [PROMTOOL, "test", "rules", str(path)], capture_output=True, text=True, check=False
        )
        assert ran.returncode == 0, ran.stdout + ran.stderr

    return run


def test_rates_of_counters_are_those_of_prometheus(promtool):
    """Sums over series of increase, rate and their ratio, over two windows."""
    shop = Shop(interval_s=60.0)
    requests = shop.meter.create_counter("requests")
    good, bad = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5], [0, 0, 2, 0, 1, 0, 0, 3, 0, 0, 2]
    samples = {'requests_total{status="success"}': [], 'requests_total{status="error"}': []}
    totals = [0, 0]
    for minute in range(MINUTES + 1):
        for place, (status, added) in enumerate((("success", good), ("error", bad))):
            requests.add(added[minute], {"status": status})
            totals[place] += added[minute]
            samples[f'requests_total{{status="{status}"}}'].append(totals[place])
        shop.windows.refresh()
        if minute < MINUTES:
            shop.clock.advance(60)
    read, errors = shop.windows, Series("requests", {"status": "error"})

    assert read.increase("requests", 300).value == (2 + 6 + 5 + 3 + 5) + (0 + 3 + 0 + 0 + 2)
    assert read.ratio(errors, "requests", 300).value == 5 / 26
    promtool(
        samples,
        {
            "sum(increase(requests_total[5m]))": read.increase("requests", 300).value,
            "sum(increase(requests_total[9m]))": read.increase("requests_total", 540).value,
            'round(sum(rate(requests_total{status="success"}[5m])), 0.000001)': round(
                read.rate("requests", 300, where={"status": "success"}).value, 6
            ),
            'round(sum(rate(requests_total{status="error"}[9m])), 0.000001)': round(
                read.rate(errors, 540).value, 6
            ),
            'sum(increase(requests_total{status="error"}[5m])) / sum(increase(requests_total[5m]))': read.ratio(
                errors, "requests", 300
            ).value,
        },
    )


@pytest.mark.parametrize("source", [Sdk, Collected])
def test_resets_are_those_of_prometheus(promtool, source):
    """A total that falls counts on from zero, also twice, also when it falls to the same."""
    shop = Shop(source=source, interval_s=60.0)
    values = [0, 3, 9, 9, 21, 30, 4, 10, 2, 25, 40]
    shop.observed("bytes", values)
    shop.windows.refresh()
    shop.tick(MINUTES)

    assert shop.windows.increase("bytes", 300).value == 4 + 6 + 2 + 23 + 15
    promtool(
        {"bytes_total": values},
        {
            "sum(increase(bytes_total[5m]))": shop.windows.increase("bytes", 300).value,
            "sum(increase(bytes_total[9m]))": shop.windows.increase("bytes", 540).value,
            "round(sum(rate(bytes_total[5m])), 0.000001)": round(shop.windows.rate("bytes", 300).value, 6),
        },
    )


def test_quantiles_are_those_of_prometheus(promtool):
    """Of two series together, in windows with a full, a half and an empty upper end; and of none."""
    shop = Shop(interval_s=60.0)
    wait = shop.meter.create_histogram("wait", unit="s", explicit_bucket_boundaries_advisory=BOUNDS)
    counts = {(endpoint, le): [] for endpoint in "ab" for le in (*BOUNDS, float("inf"))}
    reached = dict.fromkeys(counts, 0)
    for minute in range(MINUTES + 1):
        for endpoint, seconds in (("a", 0.05 * minute), ("b", 0.4 + 0.3 * minute), ("b", 0.3)):
            wait.record(seconds, {"endpoint": endpoint})
            for one, le in reached:
                reached[one, le] += one == endpoint and seconds <= le
        for key, value in reached.items():
            counts[key].append(value)
        shop.windows.refresh()
        if minute < MINUTES:
            shop.clock.advance(60)
    samples = {
        f'wait_seconds_bucket{{endpoint="{endpoint}",le="{"+Inf" if le == float("inf") else le}"}}': values
        for (endpoint, le), values in counts.items()
    }
    expected = {
        f"histogram_quantile({q}, sum by (le) (increase(wait_seconds_bucket[{minutes}m])))": shop.windows.quantile(
            "wait_seconds", q, minutes * 60
        ).value
        for q in (0, 0.25, 0.5, 0.9, 0.95, 0.99, 1)
        for minutes in (5, 9)
    }
    expected |= {
        f'histogram_quantile({q}, sum by (le) (rate(wait_seconds_bucket{{endpoint="a"}}[5m])) * 300)': shop.windows.quantile(
            "wait", q, 300, where={"endpoint": "a"}
        ).value
        for q in (0.5, 0.9)
    }
    # No observations: NaN in Prometheus, which equals nothing.
    silent = "histogram_quantile(0.5, sum by (le) (increase(silent_bucket[5m])))"
    expected[f"{silent} == {silent}"] = shop.windows.quantile("silent", 0.5, 300).value
    lowest = "histogram_quantile(0, sum by (le) (increase(wait_seconds_bucket[5m])))"
    assert expected.pop(lowest) is None
    assert expected.pop(lowest.replace("5m", "9m")) == 0.0
    expected[f"{lowest} == {lowest}"] = None
    samples |= {f'silent_bucket{{le="{le}"}}': [4] * 11 for le in ("1.0", "+Inf")}

    # 5 min: a fills (0.1, 0.5] with 5, b (0.1, 0.5] with 5 and (1, 2.5] with 3, and 2 lie above.
    assert expected[
        "histogram_quantile(0.5, sum by (le) (increase(wait_seconds_bucket[5m])))"
    ] == pytest.approx(0.4)
    assert expected["histogram_quantile(0.99, sum by (le) (increase(wait_seconds_bucket[5m])))"] == 2.5
    promtool(samples, expected)
