"""Exceptions in words, and packages whose messages must not be repeated."""

from __future__ import annotations

import sys

import pytest

import otelkit
from otelkit.processors import exceptions


class Leaky(Exception):
    """As of a package whose messages hold values."""

    __module__ = "leaky.errors"


@pytest.fixture
def words():
    """Messages of the package `leaky` are only their length."""
    undo = exceptions.put_words("leaky", lambda error: f"{len(str(error))} characters")
    yield
    undo()


def test_messages_of_others_stay(words):
    """What other packages say stays as it is."""
    assert "no such item" == exceptions.message(LookupError("no such item"))
    assert "6 characters" == exceptions.message(Leaky("secret"))


def test_traceback_has_the_words(words):
    """Message, causes, contexts and notes are replaced; frames and other messages stay."""
    try:
        try:
            raise Leaky("secret")
        except Leaky as error:
            if sys.version_info >= (3, 11):
                error.add_note("secret note")
            raise LookupError("outer") from error
    except LookupError as error:
        text = exceptions.stacktrace(type(error), error, error.__traceback__)

    lines = text.splitlines()
    assert "LookupError: outer" in lines
    assert "leaky.errors.Leaky: 6 characters" in lines
    assert not [line for line in lines if "secret" in line and 'Leaky("secret")' not in line]  # the source
    assert "The above exception was the direct cause of the following exception:" in lines


@pytest.mark.skipif(sys.version_info < (3, 11), reason="groups came with Python 3.11")
def test_members_of_groups(words):
    """In a group each member has its own words."""
    group = ExceptionGroup("several", [Leaky("secret"), ValueError("plain")])  # noqa: F821

    text = exceptions.stacktrace(type(group), group, None)

    assert "secret" not in text
    assert "6 characters" in text
    assert "ValueError: plain" in text


def test_words_that_fail_say_nothing():
    """A failing function costs the message, and nothing else."""
    undo = exceptions.put_words("leaky", lambda error: 1 / 0)
    error = Leaky("secret")

    assert "" == exceptions.message(error)
    assert "secret" not in exceptions.stacktrace(Leaky, error, None)
    undo()
    assert "secret" == exceptions.message(error)


def test_every_way_out(words, telemetry):
    """Span events, span status, log records of both kinds and stdout show the words only."""
    with pytest.raises(Leaky):
        with otelkit.span("fails"):
            raise Leaky("sec" + "ret")
    try:
        raise Leaky("sec" + "ret")
    except Leaky:
        otelkit.get_logger().exception("caught")

    shown = repr((telemetry.spans, telemetry.logs))
    assert "6 characters" in shown
    assert "secret" not in shown


def test_a_status_that_repeats_the_message(words, telemetry):
    """What the API's own helpers say in the status of a span is put in the same words."""
    from opentelemetry import trace

    span = otelkit.get_tracer().start_span("api")
    with pytest.raises(Leaky):
        with trace.use_span(span, end_on_exit=True):
            raise Leaky("sec" + "ret")

    assert "Leaky: 6 characters" == telemetry.span("api").error
    assert "secret" not in repr([span.events for span in telemetry.spans])


def test_the_last_words_count_and_others_stay():
    """Two who put words for one package: the last one's are used, and the first one's when he goes."""
    first = exceptions.put_words("leaky", lambda error: "first")
    second = exceptions.put_words("leaky", lambda error: "second")

    assert "second" == exceptions.message(Leaky())
    second()
    assert "first" == exceptions.message(Leaky())
    first()
    assert "plain" == exceptions.message(Leaky("plain"))
