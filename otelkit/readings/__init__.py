"""The service reads itself: windows over the metrics that this process has collected.

::

    from otelkit import readings

    readings.rate("agent_requests", 300)                        # per second, over the last 5 minutes
    readings.ratio(readings.Series("agent_requests", {"status": "error"}), "agent_requests", 300)
    readings.quantile("agent_request_duration_seconds", 0.95, 300, where={"endpoint": "/query"})
    readings.last("agent_queue_size", where={"queue_name": "jobs"})

Each answers with a `Reading`: the value, how much of the window was observed, and how many events the
answer stands on. It begins with the first use; nothing runs and nothing is kept before. From then on a
background thread takes a snapshot every 10 s (``readings_interval_s``) in bounded memory
(``readings_max_bytes``). The readings themselves may be taken anywhere, also on an event loop: they look
at snapshots and sums, wait for nothing, run no callback of an observed instrument and never raise.

A capture of `otelkit.testing` has readings of its own and no thread: see `refresh`.
"""

from __future__ import annotations

from otelkit import _guard
from otelkit.readings._check import Use, check_series
from otelkit.readings._life import present
from otelkit.readings._reading import NOTHING, Reading, Selection, Series, Where, merged
from otelkit.readings._windows import Windows

__all__ = [
    "Reading",
    "Series",
    "Windows",
    "check",
    "increase",
    "last",
    "quantile",
    "rate",
    "ratio",
    "refresh",
    "start",
]


def rate(name: str | Series, window_s: float, *, where: Where | None = None) -> Reading:
    """How many events per second there were in a window; of a histogram, how many observations.

    Args:
        name: A counter or histogram by its OpenTelemetry name or its name on ``/metrics``, or a
            `Series`.
        window_s: How far back the window reaches, in seconds.
        where: Conditions on the attributes, see `Series.where`; all series that match are summed.

    Returns:
        The increase between the snapshot at the window's beginning and now, by the seconds between
        them. None without such a series, or with nothing observed.
    """
    windows = _present()
    return NOTHING if windows is None else windows.rate(name, window_s, where=where)


def increase(name: str | Series, window_s: float, *, where: Where | None = None) -> Reading:
    """How many events there were in a window: as counted, never extrapolated.

    Args:
        name: As for `rate`.
        window_s: As for `rate`.
        where: As for `rate`.
    """
    windows = _present()
    return NOTHING if windows is None else windows.increase(name, window_s, where=where)


def ratio(bad: Selection, total: Selection, window_s: float, *, where: Where | None = None) -> Reading:
    """The share of some events among all of them, in a window: a ratio of sums.

    ::

        ratio(Series("agent_requests", {"status": "error"}), "agent_requests", 300)
        ratio("cache_hits", ["cache_hits", "cache_misses"], 300)
        ratio("agent_request_duration_seconds_sum", "agent_request_duration_seconds_count", 300)  # mean

    Args:
        bad: What is above the line: a name, a `Series`, or several, which are summed.
        total: What is below it.
        window_s: How far back the window reaches, in seconds.
        where: Conditions that hold for both.

    Returns:
        ``events`` are those below the line; the value is None without any. Where there are some, a
        series above the line that does not exist counts as 0.
    """
    windows = _present()
    return NOTHING if windows is None else windows.ratio(bad, total, window_s, where=where)


def quantile(name: str | Series, q: float, window_s: float, *, where: Where | None = None) -> Reading:
    """A quantile of a histogram's observations in a window, as Prometheus' ``histogram_quantile`` has it.

    Args:
        name: A histogram, as for `rate`.
        q: 0 to 1; 0.95 is the value that 95 % of the observations do not exceed.
        window_s: How far back the window reaches, in seconds.
        where: As for `rate`; the buckets of all series that match are summed.

    Returns:
        Interpolated within its bucket; never above the last bound. None without observations.
    """
    windows = _present()
    return NOTHING if windows is None else windows.quantile(name, q, window_s, where=where)


def last(name: str | Series, *, where: Where | None = None) -> Reading:
    """What a gauge or up-down counter is now; of a counter, its total since the start.

    Args:
        name: A metric of any kind, as for `rate`.
        where: As for `rate`; the series that match are summed.

    Returns:
        ``events`` is the number of series. An observed instrument has the value of its latest
        snapshot; ``coverage`` is 0 when that is older than two intervals, else 1.
    """
    windows = _present()
    return NOTHING if windows is None else windows.last(name, where=where)


def check(name: str | Series, *, use: Use = "rate", where: Where | None = None) -> None:
    """Raise if a reading could never be answered; call it where alerts and objectives are declared.

    A reading itself answers None for a name that it does not know: its instrument may come later.

    Args:
        name: As for the reading.
        use: ``rate`` (also for `increase` and `ratio`), ``quantile`` or ``last``.
        where: As for the reading.

    Raises:
        ConfigurationError: No instrument has this name, or it is of a kind without such a reading, or
            it has no such bound, or (standard instruments) no such label.
    """
    windows = _present()
    if windows is None:
        check_series(merged(name, where), use)
    else:
        windows.check(name, use=use, where=where)


def start() -> None:
    """Begin now instead of at the first reading, so that this one has a history to look at."""
    _present()


def refresh() -> None:
    """Take a snapshot now, in this thread: for tests, and where no thread runs, as in a capture.

    It asks the callbacks of observed instruments, which may block; keep it off the path of requests.
    """
    windows = _present()
    if windows is not None:
        windows.refresh()


def _present() -> Windows | None:
    try:
        return present()
    except Exception:
        _guard.swallowed("readings")
        return None
