"""The decorator with objects of which nothing can be asked: it decorates, and the calls are there."""

from __future__ import annotations

import pytest

import otelkit
from otelkit.testing import capture


def boom(*_args, **_kwargs):
    raise ZeroDivisionError


class Meta(type):
    __name__ = property(boom)
    __hash__ = __eq__ = boom


class Hostile:
    """Nothing can be asked of it."""

    __class__ = property(boom)
    __bool__ = __hash__ = __eq__ = __str__ = __repr__ = __iter__ = __len__ = __getattr__ = boom


class OddError(Exception, metaclass=Meta):
    pass


class Untold(Exception):
    """Says neither what it is nor where it was raised."""

    __traceback__ = __class__ = property(boom)
    __str__ = __repr__ = boom


class UntoldExit(BaseException):
    __traceback__ = __class__ = property(boom)


def calls(telemetry, **labels):
    return sum(point.value for point in telemetry.metric("agent_requests_total", **labels).points)


@pytest.mark.parametrize("name", ["track_tokens", "span", "log", "expected", "errors"])
@pytest.mark.parametrize("wrapped", [lambda odd: odd, lambda odd: [odd, LookupError]])
def test_arguments_of_the_decorator(name, wrapped):
    """Whatever is given, the function is decorated, and each call is a span that is measured."""
    with capture() as telemetry:

        @otelkit.monitor_performance(method="m", **{name: wrapped(Hostile())})
        def work():
            return 1

        assert 1 == work()

    assert 1 == calls(telemetry, method="m", status="success")
    assert telemetry.span("work")


def test_the_good_classes_among_bad_ones():
    """Exception classes beside what is none hold: expected ones as answers, others at 0."""
    with capture() as telemetry:

        @otelkit.monitor_performance(
            method="m", expected=[Hostile(), LookupError], errors=[OddError, ValueError, "OtherError"]
        )
        def work():
            raise LookupError

        with pytest.raises(LookupError):
            work()

    assert 1 == calls(telemetry, method="m", status="success")
    kinds = {
        point.attributes["error_type"] for point in telemetry.metric("agent_errors_total", method="m").points
    }
    assert {"OddError", "ValueError", "OtherError"} == kinds


def test_a_hostile_class_may_be_expected():
    """An exception whose metaclass raises is expected as any other, and reported as any other."""
    with capture() as telemetry:

        @otelkit.monitor_performance(method="m", expected=OddError)
        def work():
            raise OddError

        with pytest.raises(OddError):
            work()

    assert 1 == calls(telemetry, method="m", status="success")


@pytest.mark.parametrize(("kind", "status"), [(Untold, "error"), (UntoldExit, "cancelled")])
def test_exceptions_that_tell_nothing(kind, status):
    """The exception passes, the call counts, the span ends."""
    with capture() as telemetry:

        @otelkit.monitor_performance(method="m")
        def work():
            raise error

        error = kind()
        with pytest.raises(kind):
            work()

    assert 1 == calls(telemetry, method="m", status=status)
    assert ("ERROR" if kind is Untold else "UNSET") == telemetry.span("work").status
