"""Answers that are not a plain yes: only what was really refused is lost, it is counted and said once."""

from __future__ import annotations

import behaviours
import pytest
from books import assert_balanced, lost
from cells import size

BOTH = pytest.mark.parametrize("protocol", ["http/protobuf", "grpc"])
RETRY_AFTER_S = size(3, 60)
MADE = 200
# A record of this many bytes is above any limit of these cells, the rest below.
LIMIT_BYTES, BIG_BYTES = 6_000, 9_000


def said(ended):
    return [line for line in ended.stderr.splitlines() if line.startswith("otelkit:")]


def work(cell, *args, signals="traces", rate=400):
    """Some items; returns when all of them are made."""
    app = cell.start("only", "--count", MADE, "--rate", rate, "--signals", signals, "--hold", *args).ready()
    app.wait_for_line("made ")
    return app


def end(cell, app):
    """The application ends; returns its end and its stats, which add up."""
    app.go()
    ended = app.end()
    stats = app.report(ended)["stats"]
    assert 0 == ended.code, ended.stderr
    assert_balanced(stats)
    return ended, stats


def assert_only(cell, app, ended, stats, signal, missing):
    """Of a signal so many items are missing at the collector, they are counted, and said in one line."""
    made = app.made()[signal]
    assert MADE == made
    assert missing == made - cell.collector.arrived().distinct(signal) == lost(stats, signal), stats
    assert (1 if missing else 0) == len(said(ended)), ended.stderr


@pytest.mark.parametrize(
    ("protocol", "code"), [("http/protobuf", 429), ("http/protobuf", 503), ("grpc", 429), ("grpc", 503)]
)
def test_retry_after(cell, code):
    """What was told to wait is delivered, and nothing is sent earlier than asked."""
    cell.behave(behaviours.status(code, retry_after_s=RETRY_AFTER_S, times=1, signals=["traces"]))
    app = work(cell)
    cell.count(app, metrics=False)
    cell.collector.wait_until(cell.complete, timeout_s=RETRY_AFTER_S + 10)
    _, stats = end(cell, app)

    first, *others = cell.collector.requests("traces")
    assert str(code) == first.answer
    # A request that was under way beside it is nobody's fault.
    waited_s = [other.at_s - first.at_s for other in others if other.at_s - first.at_s > 0.2]
    assert min(waited_s) >= RETRY_AFTER_S - 0.05, waited_s
    assert 0 == lost(stats, "traces")
    cell.assert_nothing_lost(metrics=False)
    cell.assert_few_duplicates(requests=0)


@BOTH
def test_one_signal_told_to_wait(cell):
    """Log records are told to wait; spans arrive meanwhile, and the log records afterwards."""
    wait_s = size(8, 60)
    cell.behave(behaviours.status(429, retry_after_s=wait_s, signals=["logs"]))
    app = cell.start("only", "--count", 2_000, "--rate", 1_000, "--hold").ready()
    cell.collector.wait_until(lambda _: cell.collector.requests("logs"), timeout_s=10)
    told_at_s = cell.collector.requests("logs")[0].at_s
    app.wait_for_line("made ")
    cell.count(app)
    arrived = cell.collector.wait_until(lambda arrived: arrived.distinct("traces") == 2_000, timeout_s=wait_s)
    assert wait_s > arrived.last_s("traces") - told_at_s
    assert 0 == arrived.distinct("logs")
    cell.behave(behaviours.OK)
    cell.collector.wait_until(cell.complete, timeout_s=wait_s + 10)
    _, stats = end(cell, app)

    assert [0, 0] == [lost(stats, signal) for signal in ("traces", "logs")]
    cell.assert_nothing_lost()
    cell.assert_few_duplicates(requests=0)


@BOTH
def test_partial_success(cell):
    """Seven spans of one request are rejected: seven are lost."""
    cell.behave(behaviours.partial(7, times=1))
    app = work(cell)
    cell.count(app, metrics=False)
    ended, stats = end(cell, app)

    assert 7 == cell.collector.arrived().rejected["traces"]
    assert_only(cell, app, ended, stats, "traces", 7)


@BOTH
def test_partial_success_many_times(cell):
    """The same at each request is said at most twice within a minute: when it begins, and at the end."""
    cell.behave(behaviours.partial(2))
    app = work(cell, rate=50)
    cell.count(app, metrics=False)
    ended, stats = end(cell, app)

    missing = cell.collector.arrived().rejected["traces"]
    assert missing == MADE - cell.collector.arrived().distinct("traces") == lost(stats, "traces"), stats
    assert 1 <= len(said(ended)) <= 2, ended.stderr
    assert len(cell.collector.requests("traces")) > 1


def test_redirect(cell):
    """A redirect is neither a success nor followed: the spans come later, or are counted and said."""
    cell.behave(behaviours.redirect("http://127.0.0.1:9/v1/traces", times=1, signals=["traces"]))
    app = work(cell)
    cell.count(app, metrics=False)
    ended, stats = end(cell, app)
    missing = lost(stats, "traces")

    first = cell.collector.requests("traces")[0]
    assert "307" == first.answer
    assert missing in {0, first.items}
    assert missing == MADE - cell.collector.arrived().distinct("traces")
    assert 1 == len(said(ended)), ended.stderr


@BOTH
@pytest.mark.parametrize("signal", ["traces", "logs"])
def test_one_bad_record(cell, signal):
    """One record that the collector cannot read costs itself and no other."""
    cell.behave(behaviours.bad_record())
    app = work(cell, "--bad", 57, signals=signal)
    cell.count(app, metrics=False)
    ended, stats = end(cell, app)

    assert [57] == cell.collector.missing(signal, "only", MADE)
    assert_only(cell, app, ended, stats, signal, 1)


@BOTH
def test_too_large(cell):
    """Requests above the collector's limit are split until they fit."""
    cell.behave(behaviours.too_large(LIMIT_BYTES))
    app = work(cell, "--pad", 100)
    cell.count(app, metrics=False)
    ended, stats = end(cell, app)

    assert_only(cell, app, ended, stats, "traces", 0)


def test_one_record_too_large(cell):
    """A record that is above the limit by itself costs itself and no other."""
    cell.behave(behaviours.too_large(LIMIT_BYTES))
    app = work(cell, "--bad", 57, "--bad-pad", BIG_BYTES)
    cell.count(app, metrics=False)
    ended, stats = end(cell, app)

    assert [57] == cell.collector.missing("traces", "only", MADE)
    assert_only(cell, app, ended, stats, "traces", 1)


@BOTH
def test_answer_lost(cell):
    """A request that was stored and not answered is sent again: nothing is lost, one request is there twice."""
    cell.behave(behaviours.answer_lost(times=1, signals=["traces"]))
    app = work(cell)
    cell.count(app, metrics=False)
    cell.collector.wait_until(lambda a: a.duplicates("traces"), timeout_s=20)
    _, stats = end(cell, app)

    unanswered = next(r for r in cell.collector.requests("traces") if r.answer == "lost")
    assert 0 == lost(stats, "traces")
    assert cell.collector.arrived().duplicates("traces") <= unanswered.items
    cell.assert_nothing_lost(metrics=False)
    cell.assert_few_duplicates()
