"""Installing and uninstalling, in any order and number."""

from __future__ import annotations

import io
import json
import logging

import pytest
import structlog
from structlog.dev import RichTracebackFormatter
from structlog.tracebacks import ExceptionDictTransformer


def world():
    """Everything an installation may touch."""
    root = logging.getLogger()
    config = structlog.get_config()
    return (
        root.level,
        list(root.handlers),
        config["processors"],
        list(config["processors"]),
        config["logger_factory"],
        config["wrapper_class"],
        structlog.is_configured(),
        logging.Logger.__dict__["callHandlers"],
        logging.Handler.__dict__["format"],
        structlog.BoundLoggerBase.__dict__["_process_event"],
        structlog.BoundLoggerBase.__dict__["_proxy_to_logger"],
        structlog.PrintLoggerFactory.__dict__["__call__"],
        ExceptionDictTransformer.__dict__["__call__"],
        RichTracebackFormatter.__dict__["__call__"],
    )


@pytest.mark.parametrize("setup", ["auto", "configure", "attach", "off"])
@pytest.mark.parametrize("configured", [True, False])
def test_uninstall_puts_back(install, setup, configured):
    """After uninstalling, everything is the very object that was found."""
    if configured:
        structlog.configure(processors=[structlog.processors.JSONRenderer()])
        logging.getLogger().addHandler(logging.StreamHandler(io.StringIO()))
        logging.getLogger().setLevel(logging.ERROR)
    before = world()
    installed = install(log_setup=setup)
    if setup != "off":
        assert world() != before
    installed.uninstall()
    installed.uninstall()
    assert world() == before


def test_off_touches_nothing(install, exported):
    """off changes nothing and exports nothing."""
    before = world()
    install(log_setup="off")
    logging.getLogger("a").warning("x")
    assert (world(), exported()) == (before, [])


@pytest.mark.parametrize("order", [(0, 1, 2), (2, 1, 0), (1, 0, 2)])
def test_nested_installations(install, exported, lines, order):
    """Several installations write one line and one record, and go in any order."""
    before = world()
    installed = [install(), install(log_setup="configure"), install()]
    structlog.get_logger().info("x")
    logging.getLogger("a").info("y")
    assert [line["event"] for line in lines()] == ["x", "y"]
    assert len(exported()) == 2
    for index in order:
        installed[index].uninstall()
    assert world() == before


def test_the_last_installation_is_in_force(install, lines, exported):
    """A re-install with other settings follows at once, and the earlier one returns."""
    install(service_name="one")
    second = install(service_name="two", log_level=logging.DEBUG)
    log = structlog.get_logger()
    log.debug("x")
    logging.getLogger("a").debug("x")
    second.uninstall()
    log.debug("no")
    logging.getLogger("a").debug("no")
    log.info("y")
    assert [line["service"] for line in lines()] == ["two", "two", "one"]


def test_after_uninstall_as_before(install, exported, capsys):
    """After uninstalling, events have structlog's own lines and no records."""
    log = structlog.get_logger().bind(a=1)
    install().uninstall()
    log.info("x")
    assert "[" in capsys.readouterr().out
    assert exported() == []


def test_hook_of_somebody_else_on_top(install, exported, monkeypatch):
    """A patch laid on ours later stays, works, and nothing is doubled by the next installation."""
    installed = install()
    ours = logging.Logger.callHandlers
    calls = []

    def on_top(self, record):
        calls.append(record.getMessage())
        ours(self, record)

    logging.Logger.callHandlers = on_top
    try:
        installed.uninstall()
        assert logging.Logger.callHandlers is on_top
        logging.getLogger("a").warning("one")
        assert exported() == []
        again = install()
        logging.getLogger("a").warning("two")
        assert (calls, [r.body for r in exported()]) == (["one", "two"], ["two"])
    finally:
        logging.Logger.callHandlers = ours
        again.uninstall()


def test_configuration_made_meanwhile_stays(install, bare_root):
    """What the application configured after the installation is left alone by uninstalling."""
    root = bare_root()
    installed = install()
    out = io.StringIO()
    logging.basicConfig(stream=out, level=logging.ERROR, force=True)
    found = list(root.handlers)
    installed.uninstall()
    assert (root.handlers, root.level) == (found, logging.ERROR)
    root.handlers.clear()


def test_configure_takes_over(install, lines, exported, bare_root, make_logger):
    """configure writes every line on stdout itself, and puts the application's set-up back."""
    root = bare_root()
    theirs = io.StringIO()
    logging.basicConfig(stream=theirs, level=logging.ERROR)
    out = io.StringIO()
    structlog.configure(
        processors=[structlog.processors.JSONRenderer()], logger_factory=structlog.PrintLoggerFactory(out)
    )
    found = list(root.handlers)
    installed = install(log_setup="configure")
    structlog.get_logger().info("x")
    logging.getLogger("a").info("y")
    assert [line["event"] for line in lines()] == ["x", "y"]
    assert (out.getvalue(), theirs.getvalue()) == ("", "")
    installed.uninstall()
    assert root.handlers == found
    root.handlers.clear()


def test_configure_stays_in_force(install, lines, exported, bare_root):
    """Under configure, a later basicConfig and structlog.configure do not take stdout back."""
    root = bare_root()
    installed = install(log_setup="configure")
    theirs = io.StringIO()
    logging.basicConfig(stream=theirs, force=True)
    later = list(root.handlers)
    structlog.configure(processors=[structlog.processors.JSONRenderer()])
    logging.getLogger("a").info("x")
    structlog.get_logger().info("y")
    assert [line["event"] for line in lines()] == ["x", "y"]
    assert theirs.getvalue() == ""
    installed.uninstall()
    assert root.handlers == later
    root.handlers.clear()


def test_configure_with_structlog_on_logging(install, lines, exported):
    """Under configure, structlog on top of logging writes one line and one record, level included."""
    before = logging.getLoggerClass()
    structlog.configure(
        processors=[structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    install(log_setup="configure")
    log = structlog.get_logger("app")
    log.debug("no")
    log.info("hi %s", "there", n=1)
    logging.setLoggerClass(before)
    (line,) = lines()
    assert (line["event"], line["logger"], line["n"]) == ("hi there", "app", 1)
    assert len(exported()) == 1


@pytest.mark.parametrize("module", ["uvicorn.logging", "gunicorn"])
def test_servers_lines_are_ours_where_stdout_is(install, capsys, exported, make_logger, module):
    """uvicorn's and gunicorn's default lines have our format where the root logger is ours."""
    import sys

    kind = type("DefaultFormatter", (logging.Formatter,), {})
    kind.__module__ = module
    logger = make_logger("uvicorn.access", stream=sys.stdout, formatter=kind("%(message)s"))
    logger.handlers[0]._gunicorn = module == "gunicorn"
    install()
    logger.info('%s - "%s" %d', "127.0.0.1", "GET / HTTP/1.1", 200)
    assert json.loads(capsys.readouterr().out)["event"] == '127.0.0.1 - "GET / HTTP/1.1" 200'
    assert exported.one().scope == "uvicorn.access"


def test_servers_lines_are_theirs_where_stdout_is(install, exported, make_logger, bare_root, tracer):
    """Where the application configured the root logger, uvicorn's access lines keep their format."""
    uvicorn_logging = pytest.importorskip("uvicorn.logging")
    root = bare_root()
    root.addHandler(logging.StreamHandler(io.StringIO()))
    out = io.StringIO()
    form = uvicorn_logging.AccessFormatter(
        '%(client_addr)s "%(request_line)s" %(status_code)s', use_colors=False
    )
    logger = make_logger("uvicorn.access", stream=out, formatter=form)
    install()
    with tracer.start_as_current_span("s"):
        logger.info('%s - "%s %s HTTP/%s" %d', "127.0.0.1:1", "GET", "/?token=s3cr3t", "1.1", 200)
    root.handlers.clear()
    assert out.getvalue().startswith('127.0.0.1:1 "GET /?token=')
    assert "trace_id=" in out.getvalue()
    assert "s3cr3t" not in out.getvalue()
    assert len(exported()) == 1


def test_own_failures_are_swallowed_and_the_line_comes_out(install, exported, capsys, monkeypatch):
    """When our chain fails, nothing is raised, the failure is said once, and a line comes out."""
    from otelkit import _guard

    install(redact=True)

    class Failing:
        def fields(self, fields):
            raise RuntimeError("ours")

        def text(self, text):
            return text

        value = None

    from otelkit.logs import running

    monkeypatch.setattr(running, "_current", _replaced(running._current, redactor=Failing()))
    with _guard.reraise(False):
        structlog.get_logger().info("one", n=1)
        logging.getLogger("a").info("two", extra={"n": 1})
    captured = capsys.readouterr()
    assert "one" in captured.out and "two" in captured.out or "could not be shaped" in captured.out
    assert "internal failure in logs.structlog" in captured.err


def test_attached_failures_are_swallowed(install, exported, monkeypatch, make_logger):
    """When our part fails on the application's lines, those come out as without us."""
    from otelkit import _guard
    from otelkit.logs import running

    out = io.StringIO()
    structlog.configure(
        processors=[structlog.processors.JSONRenderer()], logger_factory=structlog.PrintLoggerFactory(out)
    )
    logger = make_logger("app", stream=out)
    install()
    monkeypatch.setattr(running, "_current", _replaced(running._current, redactor=None))
    with _guard.reraise(False):
        structlog.get_logger().info("one", n=1)
        logger.info("two %s", 2)
    assert out.getvalue() == '{"n": 1, "event": "one"}\nINFO:two 2\n'


def _replaced(chain, **changes):
    import dataclasses

    return dataclasses.replace(chain, **changes)


def test_threads_do_not_interleave(install, monkeypatch):
    """Each line is one write."""
    import sys
    from concurrent.futures import ThreadPoolExecutor

    writes = []

    class Out:
        def write(self, text):
            writes.append(text)

    install()
    monkeypatch.setattr(sys, "stdout", Out())
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda n: structlog.get_logger().info("x", n=n), range(40)))
    assert len(writes) == 40
    assert sorted(json.loads(text)["n"] for text in writes) == list(range(40))


def test_uvicorns_own_configuration(install, capsys, exported):
    """uvicorn's dictConfig after the installation: its loggers are exported once, in our format."""
    uvicorn = pytest.importorskip("uvicorn")
    names = ("uvicorn", "uvicorn.access", "uvicorn.error", "uvicorn.asgi")
    found = {
        n: (logging.getLogger(n).handlers[:], logging.getLogger(n).propagate, logging.getLogger(n).level)
        for n in names
    }
    install()
    try:
        uvicorn.Config("app:app")
        logging.getLogger("uvicorn.error").info("started")
        logging.getLogger("uvicorn.access").info(
            '%s - "%s %s HTTP/%s" %d', "127.0.0.1", "GET", "/", "1.1", 200
        )
        captured = capsys.readouterr()
    finally:
        for name, (handlers, propagate, level) in found.items():
            logger = logging.getLogger(name)
            logger.handlers[:], logger.propagate = handlers, propagate
            logger.setLevel(level)
    assert json.loads(captured.err)["event"] == "started"
    assert json.loads(captured.out)["event"] == '127.0.0.1 - "GET / HTTP/1.1" 200'
    assert [record.scope for record in exported()] == ["uvicorn.error", "uvicorn.access"]
