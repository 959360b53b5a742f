"""Exceptions in words, and packages whose messages must not be repeated."""

from __future__ import annotations

import sys

import pytest

import otelkit
from otelkit.processors import exceptions, limits


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


def test_an_exception_that_is_a_value(words):
    """As a value, at any depth, an exception shows the words as well."""
    found = limits.snapshot({"one": Leaky("secret"), "many": [Leaky("secret"), KeyError("k")]})

    assert found == {"one": "Leaky: 6 characters", "many": ("Leaky: 6 characters", "KeyError: 'k'")}


def test_an_exception_that_repeats_another(words):
    """What an exception quotes of one that it was made of, or made while it was handled, is replaced."""
    made_of = RuntimeError(Leaky("secret"))
    try:
        try:
            raise Leaky("secret")
        except Leaky as error:
            raise LookupError(f"failed: {error} ({error!r})") from None
    except LookupError as error:
        quoting = error

    assert exceptions.message(made_of) == "6 characters"
    assert exceptions.message(quoting) == "failed: 6 characters (Leaky('6 characters'))"


def test_a_stand_in_is_printed_alike(words):
    """A stand-in has the name, the traceback and the causes; the exception itself stays as it is."""
    error = LookupError("outer")
    error.__cause__ = Leaky("secret")

    shown = exceptions.stand_in(error)

    assert (repr(shown), repr(shown.__cause__)) == ("LookupError('outer')", "Leaky('6 characters')")
    assert str(error.__cause__) == "secret"
    assert exceptions.stand_in(shown) is shown
    assert "leaky.errors.Leaky: 6 characters" in exceptions.stacktrace(LookupError, error, None)


def test_no_stand_in_where_none_is_needed(words):
    """An exception of another package is not replaced, and neither is a value without one that is."""
    error = LookupError("x")
    value = {"error": error, "list": [1, {"a": "b"}]}

    assert exceptions.stand_in(error) is error
    assert exceptions.reworded(value) is value


def test_reworded_containers(words):
    """Exceptions in containers are replaced in a copy of the same type; one that holds itself is no matter."""
    error, circle = Leaky("secret"), [1]
    circle.append(circle)

    shown = exceptions.reworded(({"a": 1, "b": error}, [2], circle))

    assert repr(shown) == "({'a': 1, 'b': Leaky('6 characters')}, [2], [1, [...]])"
    assert str(error) == "secret"


class Unnamed(type):
    """A class of this one does not say what it is called."""

    def __getattribute__(cls, name):
        if name in {"__name__", "__qualname__", "__module__"}:
            raise RuntimeError
        return super().__getattribute__(name)


@pytest.mark.parametrize("hidden", [False, True])
def test_a_class_that_does_not_say_its_name(hidden, request):
    """It is named all the same, with its module, and so is one that lies about its class."""
    if hidden:
        request.getfixturevalue("words")

    class Odd(Exception, metaclass=Unnamed):
        @property
        def __class__(self):
            raise RuntimeError

    name = f"{__name__}.test_a_class_that_does_not_say_its_name.<locals>.Odd"

    assert name == exceptions.class_name(Odd)
    assert "Odd: told" == exceptions.status_text(Odd("told"))
    assert exceptions.stacktrace(Odd, Odd("told"), None).endswith("Odd: told")


def test_the_traceback_of_anything():
    """An exception's own property is not asked for it; what is no exception has none."""

    class Odd(Exception):
        @property
        def __traceback__(self):
            raise RuntimeError

    try:
        raise Odd
    except Odd as error:
        assert exceptions.traceback_of(error) is not None
    assert exceptions.traceback_of(7) is None


def test_broken_exceptions_do_not_raise(words):
    """A class that breaks what every exception has is printed somehow, without its value."""

    class Broken(Leaky):
        @property
        def args(self):
            raise RuntimeError

        def __repr__(self):
            raise RuntimeError

    Broken.__module__ = "leaky"

    assert "secret" not in exceptions.stacktrace(Broken, Broken("secret"), None)
    assert "secret" not in repr(exceptions.reworded([Broken("secret")]))
