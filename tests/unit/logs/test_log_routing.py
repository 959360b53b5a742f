"""structlog routed through the standard library: one event, one record, fields as attributes."""

from __future__ import annotations

import io
import json
import logging

import pytest
import structlog
from structlog.processors import JSONRenderer
from structlog.stdlib import ProcessorFormatter, render_to_log_kwargs

BEFORE = (structlog.stdlib.add_log_level, structlog.stdlib.add_logger_name)


@pytest.fixture
def routed(make_logger):
    """Configures structlog on top of a stdlib logger; gives the logger and what its handler wrote."""

    def build(last, formatter=None, **more):
        out = io.StringIO()
        make_logger(
            "app", stream=out, formatter=formatter or logging.Formatter("%(message)s"), level=logging.INFO
        )
        processors = [*BEFORE, last]
        structlog.configure(
            processors=tuple(processors) if more.pop("as_tuple", False) else processors,
            logger_factory=structlog.stdlib.LoggerFactory(),
            wrapper_class=structlog.stdlib.BoundLogger,
            **more,
        )
        return structlog.get_logger("app"), out

    before = logging.getLoggerClass()
    yield build
    logging.setLoggerClass(before)


WRAP = ProcessorFormatter.wrap_for_formatter


def formatter():
    return ProcessorFormatter(processors=[ProcessorFormatter.remove_processors_meta, JSONRenderer()])


@pytest.mark.parametrize("as_tuple", [False, True])
@pytest.mark.parametrize("cached", [False, True])
@pytest.mark.parametrize("how", ["wrapped", "rendered", "kwargs"])
def test_one_record(install, exported, routed, tracer, caplog, how, cached, as_tuple):
    """Body is the event, fields are attributes, the exception is structured; nothing complains."""
    last, form = {
        "wrapped": (WRAP, formatter()),
        "rendered": (JSONRenderer(default=repr), None),
        "kwargs": (render_to_log_kwargs, None),
    }[how]
    log, _ = routed(last, form, cache_logger_on_first_use=cached, as_tuple=as_tuple)
    log.debug("cached now")
    install()
    with tracer.start_as_current_span("s"):
        try:
            raise ValueError("bad")
        except ValueError:
            log.exception("boom %s", "here", n=1, password="x")
    record = exported.one()
    assert (record.scope, record.text, record.trace_id > 0) == ("app", "ERROR", True)
    assert record.body == ("boom here" if how != "kwargs" else "boom here")
    assert record.attributes["n"] == 1
    assert record.attributes["password"] != "x"
    assert record.attributes["exception.type"] == "ValueError"
    assert not {"event", "level", "logger", "positional_args", "exc_info"} & set(record.attributes)
    assert "nvalid type" not in caplog.text


@pytest.mark.parametrize(("last", "form"), [(WRAP, formatter), (JSONRenderer(), lambda: None)])
def test_line_has_ids_and_no_secret(install, routed, tracer, exported, last, form):
    """The handler's line has the ids once and hides what the record hides."""
    log, out = routed(last, form())
    install()
    with tracer.start_as_current_span("s"):
        log.info("hi", password="s3cr3t", n=1)
    line = json.loads(out.getvalue())
    assert line["trace_id"] == format(exported.one().trace_id, "032x")
    assert out.getvalue().count("trace_id") == 1
    assert "s3cr3t" not in out.getvalue()


def test_levels_of_logging_decide(install, exported, routed):
    """What the wrapped logger's level filters, is not exported."""
    log, out = routed(JSONRenderer())
    install(log_level=logging.DEBUG)
    log.debug("no")
    assert (out.getvalue(), exported()) == ("", [])


def test_code_of_the_caller(install, exported, routed):
    """The record says where structlog was called, not where structlog or we called on."""
    log, _ = routed(WRAP, formatter())
    install()
    log.info("hi")
    assert exported.one().attributes["code.function.name"] == "test_code_of_the_caller"


def test_foreign_records_in_a_processor_formatter(install, exported, routed, tracer):
    """A plain record through a ProcessorFormatter has ids too, and its extra fields hidden."""
    form = ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.ExtraAdder()],
        processors=[ProcessorFormatter.remove_processors_meta, JSONRenderer()],
    )
    _, out = routed(WRAP, form)
    install()
    with tracer.start_as_current_span("s"):
        logging.getLogger("app").info("hi", extra={"n": 1, "password": "s3cr3t"})
    line = json.loads(out.getvalue())
    assert (line["n"], line["trace_id"]) == (1, format(exported.one().trace_id, "032x"))
    assert "s3cr3t" not in out.getvalue()
    assert exported.one().attributes["n"] == 1


def test_locals_in_a_processor_formatter(install, routed):
    """Tracebacks made by a formatter's own chain show no locals."""
    form = ProcessorFormatter(
        processors=[ProcessorFormatter.remove_processors_meta, structlog.dev.ConsoleRenderer(colors=False)]
    )
    log, out = routed(WRAP, form)
    install()
    some_local = "-".join(["correct", *["horse"]])
    try:
        raise ValueError(some_local[:0])
    except ValueError:
        log.exception("boom")
    assert "ValueError" in out.getvalue()
    assert "correct-horse" not in out.getvalue()


def test_stale_events_do_not_leak(install, exported, routed):
    """A structlog event that was filtered does not lend its fields to the next record."""
    log, _ = routed(JSONRenderer())
    install()
    log.debug("filtered", n=1)
    logging.getLogger("app").info("next")
    assert (exported.one().body, "n" in exported.one().attributes) == ("next", False)


def test_own_root_shows_structlogs_line(install, exported, routed, bare_root, capsys):
    """structlog configured, root logger not: the line comes out as structlog rendered it."""
    bare_root()
    routed(JSONRenderer())
    install()
    structlog.get_logger("elsewhere").info("hi", n=1)
    assert json.loads(capsys.readouterr().out) == {
        "n": 1,
        "event": "hi",
        "level": "info",
        "logger": "elsewhere",
    }
    assert exported.one().attributes["n"] == 1


def test_wrapper_around_logging(install, exported, make_logger):
    """A logger of the application's own that goes on to logging makes one record."""
    out = io.StringIO()
    inner = make_logger("app", stream=out)

    class Own:
        def info(self, message):
            inner.info(message)

    structlog.configure(processors=[JSONRenderer()], logger_factory=lambda *_: Own())
    install()
    structlog.get_logger().info("hi", n=1)
    assert (exported.one().body, exported.one().attributes["n"]) == ("hi", 1)


def test_a_handler_that_logs(install, exported, routed, bare_root, capsys):
    """A record logged while another one is handled takes nothing from it."""

    class Chatty(logging.Handler):
        def emit(self, record):
            logging.getLogger("inner").info("meanwhile")

    bare_root()
    routed(JSONRenderer())
    install()
    outer = logging.getLogger("outer")
    handler = Chatty()
    outer.addHandler(handler)
    structlog.get_logger("outer").info("hi", n=1)
    outer.removeHandler(handler)
    first, second = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert (first["event"], second) == (
        "meanwhile",
        {"n": 1, "event": "hi", "level": "info", "logger": "outer"},
    )
    assert [record.body for record in exported()] == ["hi", "meanwhile"]
