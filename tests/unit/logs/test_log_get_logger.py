"""otelkit.get_logger: a structlog logger with a name, before and after everything."""

from __future__ import annotations

import copy
import io
import json
import logging
import pickle

import pytest
import structlog

from otelkit import logs


def test_named_after_the_calling_module(install, lines):
    """Without a name, a logger has that of the module that called."""
    install()
    logs.get_logger().info("x")
    assert lines()[0]["logger"] == __name__


def test_works_before_and_follows(install, lines, capsys):
    """A logger fetched before the installation works, and follows it and what comes after."""
    log = logs.get_logger("early")
    bound = log.bind(a=1)
    log.info("before")
    assert "before" in capsys.readouterr().out
    installed = install()
    log.info("x")
    bound.info("y")
    assert [(line["event"], line["logger"]) for line in lines()] == [("x", "early"), ("y", "early")]
    installed.uninstall()
    log.info("after")
    assert not capsys.readouterr().out.startswith("{")


def test_the_name_is_no_field(install, exported):
    """On lines of the application's own format the name appears only where that format wants it."""
    out = io.StringIO()
    structlog.configure(
        processors=[structlog.processors.JSONRenderer()], logger_factory=structlog.PrintLoggerFactory(out)
    )
    install()
    logs.get_logger("mine").bind(a=1).info("x")
    assert json.loads(out.getvalue()) == {"a": 1, "event": "x"}
    assert exported.one().scope == "mine"


def test_names_the_logger_of_logging(install, exported, make_logger):
    """With structlog on top of logging, the name is that of the logger underneath."""
    out = io.StringIO()
    make_logger("mine", stream=out)
    structlog.configure(
        processors=[structlog.processors.JSONRenderer()], logger_factory=structlog.stdlib.LoggerFactory()
    )
    logs.get_logger("mine").info("x")
    assert "x" in out.getvalue()


def test_every_way_of_binding_keeps_the_name(install, lines):
    """bind, unbind, new and copies keep the name."""
    install()
    log = logs.get_logger("mine")
    log.bind(a=1).unbind("a").info("x")
    log.bind(a=1).new(b=2).info("x")
    copy.copy(log.bind(a=1)).info("x")
    assert {line["logger"] for line in lines()} == {"mine"}


def test_loggers_can_be_pickled():
    """A logger survives a trip to another process."""
    assert pickle.loads(pickle.dumps(logs.get_logger("mine")))


@pytest.mark.parametrize("cached", [False, True])
def test_follows_every_configuration(cached):
    """A logger that was used follows a later structlog.configure, whatever it changes."""
    out = io.StringIO()
    factory = structlog.PrintLoggerFactory(out)
    structlog.configure(
        processors=[lambda *_: "one"], logger_factory=factory, cache_logger_on_first_use=cached
    )
    log = logs.get_logger("mine")
    log.info("x")
    structlog.configure(processors=[lambda *_: "two"])
    log.info("x")
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    log.info("x")
    assert out.getvalue() == "one\ntwo\n"
