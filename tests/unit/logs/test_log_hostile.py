"""Objects that raise whatever is asked of them: the event is logged, and nothing is raised."""

from __future__ import annotations

import logging

import pytest

import otelkit
from otelkit import _guard
from otelkit.processors.redact import Redactor
from otelkit.settings import Settings


def boom(*_args):
    raise RuntimeError("boom")


class Unasked(type):
    """Nothing can be asked of a class of this one."""

    __getattribute__ = __hash__ = boom


class Silent:
    __bool__ = __len__ = __str__ = __repr__ = __eq__ = boom
    __hash__ = object.__hash__
    __class__ = property(boom)


class EmptyError(Exception):
    """One that counts as false."""

    def __len__(self):
        return 0


class OddError(Exception):
    __bool__ = __str__ = boom
    __class__ = __traceback__ = property(boom)


ODD = [Silent(), Unasked("Odd", (), {})(), Unasked("Odd", (), {}), OddError()]


@pytest.mark.parametrize("odd", range(len(ODD)))  # pytest itself cannot bear these values
def test_fields_of_any_kind(install, exported, lines, odd):
    """A field, an event and an option that raise whatever is asked of them cost nothing else."""
    install(log_setup="configure")
    log = otelkit.get_logger("shop")
    log.info("field", odd=ODD[odd], n=1)
    log.info(ODD[odd], n=1)
    log.info("option", exc_info=ODD[odd], stack_info=ODD[odd], n=1)
    logging.getLogger("shop").warning("extra", extra={"odd": ODD[odd], "n": 1})

    assert [1] * 4 == [line["n"] for line in lines()]
    assert [1] * 4 == [record.attributes["n"] for record in exported()]


def test_an_exception_that_counts_as_false(install, exported):
    """It is recorded as any other."""
    install(log_setup="configure")
    otelkit.get_logger("shop").info("failed", exc_info=EmptyError("told"))

    assert "told" == exported.one().attributes["exception.message"]


def test_a_record_that_cannot_be_shaped(install, lines, capsys):
    """A record whose level and time say nothing has a line of its own, and nothing is raised."""
    install(log_setup="configure")
    record = logging.makeLogRecord(
        {"name": "shop", "msg": "x", "levelno": 40, "levelname": Silent(), "created": "?"}
    )
    with _guard.reraise(False):
        logging.getLogger("shop").handle(record)

    assert "[a log record that could not be shaped]" in capsys.readouterr().out


def test_a_record_of_somebody_elses_provider(telemetry):
    """What goes wrong with it is ours, not that of the provider that hands it on."""
    from otelkit.pipeline import logs, resource

    settings = Settings(service_name="shop")
    made = logs.build(settings, resource=resource.build(settings), redactor=Redactor.of(True), deliver=boom)
    with _guard.reraise(False):
        made.accept(Silent())

    assert {"logger.accept": 1} == _guard.failures()
