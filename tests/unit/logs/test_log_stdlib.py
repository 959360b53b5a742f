"""An application whose loggers have handlers of their own: formats stay, ids and secrets are seen to."""

from __future__ import annotations

import io
import json
import logging
import logging.config
import logging.handlers
import queue

import pytest
from opentelemetry.sdk._logs import LoggingHandler

from otelkit import correlation
from otelkit.processors.context import suppress


class JsonFormatter(logging.Formatter):
    """As the usual JSON formatters do: the message and whatever else is on the record."""

    def format(self, record):
        standard = logging.LogRecord("", 0, "", 0, "", (), None).__dict__
        extra = {k: v for k, v in record.__dict__.items() if k not in standard and k != "message"}
        return json.dumps({"message": record.getMessage(), **extra}, default=str)


@pytest.fixture
def out():
    return io.StringIO()


def test_text_lines_gain_ids(install, exported, tracer, make_logger, out):
    """A text line keeps its format and gets ids and bound fields behind it; outside a span only the latter."""
    logger = make_logger("app", stream=out)
    install()
    logger.info("plain")
    with tracer.start_as_current_span("s"), correlation.bind(order=7):
        logger.info("in span")
    first, second = out.getvalue().splitlines()
    assert first == "INFO:plain"
    assert second.startswith("INFO:in span trace_id=") and second.endswith(" order=7")
    assert format(exported()[1].trace_id, "032x") in second


def test_ids_behind_the_first_line(install, tracer, make_logger, out):
    """With a traceback, the ids stand on the message's line."""
    logger = make_logger("app", stream=out)
    install()
    with tracer.start_as_current_span("s"):
        try:
            raise ValueError("bad")
        except ValueError:
            logger.exception("boom")
    first, *rest = out.getvalue().splitlines()
    assert first.startswith("ERROR:boom trace_id=")
    assert rest[-1] == "ValueError: bad"


@pytest.mark.parametrize("formatter", [JsonFormatter(), logging.Formatter('{"message": "%(message)s"}')])
def test_json_lines_stay_json(install, tracer, make_logger, out, formatter):
    """A line of JSON gets the ids as keys, by the record's attributes or put into the object."""
    logger = make_logger("app", stream=out, formatter=formatter)
    install()
    with tracer.start_as_current_span("s"):
        logger.info("hi")
    line = json.loads(out.getvalue())
    assert set(line) == {"message", "trace_id", "span_id", "trace_flags"}


def test_formats_may_name_the_ids(install, tracer, make_logger, out):
    """A format with %(trace_id)s has the id once."""
    logger = make_logger("app", stream=out, fmt="%(trace_id)s %(message)s")
    install()
    with tracer.start_as_current_span("s"):
        logger.info("hi")
    assert "trace_id=" not in out.getvalue()


def test_secrets_are_hidden_on_their_lines(install, exported, make_logger, out):
    """Message, arguments, extra fields, arguments by name and exception text are hidden on the line."""
    logger = make_logger("app", stream=out, formatter=JsonFormatter())
    text = make_logger("app", stream=out)
    install()
    logger.info("Authorization: Bearer %s", "s3cr3t-1aaaaaaaa", extra={"password": "s3cr3t-2", "n": 1})
    logger.info("by name %(password)s", {"password": "s3cr3t-3"})
    logger.info({"password": "s3cr3t-4"})
    try:
        raise ValueError("https://x/?token=s3cr3t-5")
    except ValueError:
        text.exception("boom")
    assert "s3cr3t" not in out.getvalue()
    assert "s3cr3t" not in repr([(r.body, r.attributes) for r in exported()])
    assert '"n": 1' in out.getvalue()


def test_records_stay_as_they_are(install, make_logger, out):
    """Another handler sees the record's own message, arguments and fields."""
    seen = []
    logger = make_logger("app", stream=out)
    handler = logging.Handler()
    handler.emit = seen.append
    logger.addHandler(handler)
    install()
    try:
        logger.info("a %s", "Bearer abcdefghijkl", extra={"password": "x"})
    finally:
        logger.removeHandler(handler)
    assert (seen[0].msg, seen[0].args, seen[0].password) == ("a %s", ("Bearer abcdefghijkl",), "x")


def test_extra_fields_are_attributes(install, exported, make_logger, out):
    """extra= becomes attributes of the record."""
    logger = make_logger("app", stream=out)
    install()
    logger.warning("x", extra={"a": 1, "b": [1, "c"]})
    record = exported.one()
    assert (record.attributes["a"], record.scope, record.text) == (1, "app", "WARN")


def test_levels_of_the_application_decide(install, exported, make_logger, out):
    """A logger's own level decides about its records."""
    logger = make_logger("app", stream=out, level=logging.ERROR)
    install(log_level=logging.DEBUG)
    logger.warning("no")
    assert exported() == []


def test_attach_leaves_the_root_logger(install, exported, capsys, bare_root):
    """attach adds no handler and sets no level."""
    root = bare_root()
    before = (root.level, list(root.handlers))
    install(log_setup="attach")
    assert (root.level, root.handlers) == before
    logging.getLogger("a").warning("x")
    assert exported.one().body == "x"
    assert capsys.readouterr() == ("", "x\n")


def test_configured_root_is_attached(install, exported, bare_root, out, capsys):
    """auto leaves a root logger that has handlers as it is."""
    root = bare_root()
    logging.basicConfig(stream=out, level=logging.WARNING, format="%(message)s")
    install()
    logging.getLogger("a").warning("x")
    logging.getLogger("a").info("no")
    root.handlers.clear()
    assert (out.getvalue(), exported.one().body, capsys.readouterr().out) == ("x\n", "x", "")


@pytest.mark.parametrize("how", ["basicConfig", "dictConfig"])
def test_later_configuration_is_followed(install, exported, bare_root, out, lines, how, tracer):
    """basicConfig(force=True) and dictConfig after the installation: their format, our ids and records."""
    root = bare_root()
    install()
    logging.getLogger("a").warning("ours")
    if how == "basicConfig":
        logging.basicConfig(stream=out, force=True, format="%(message)s")
    else:
        handler = {"class": "logging.StreamHandler", "stream": out}
        logging.config.dictConfig(
            {
                "version": 1,
                "disable_existing_loggers": False,
                "handlers": {"h": handler},
                "root": {"handlers": ["h"], "level": "INFO"},
            }
        )
    with tracer.start_as_current_span("s"):
        logging.getLogger("a").warning("theirs")
    assert [line["event"] for line in lines()] == ["ours"]
    assert out.getvalue().startswith("theirs trace_id=")
    assert [record.body for record in exported()] == ["ours", "theirs"]
    root.handlers.clear()


def test_loggers_that_do_not_propagate(install, exported, make_logger, out, lines):
    """A logger with propagate=False is exported once and does not come out on our stdout."""
    logger = make_logger("uvicorn.access", stream=out)
    install()
    logger.info("GET /")
    assert (out.getvalue(), lines(), exported.one().scope) == ("INFO:GET /\n", [], "uvicorn.access")


def test_two_handlers_one_record(install, exported, make_logger, out):
    """Several handlers and propagation make one record."""
    make_logger("app", stream=out, propagate=True)
    logger = make_logger("app", stream=out, propagate=True)
    install()
    logger.info("x")
    assert len(exported()) == 1


def test_queue_handler(install, exported, tracer, make_logger, out):
    """Through a QueueHandler and its listener the line is hidden and marked once."""
    logger = logging.getLogger("queued")
    handler = logging.handlers.QueueHandler(queue.Queue())
    target = logging.StreamHandler(out)
    target.setFormatter(logging.Formatter("%(levelname)s %(message)s"))
    listener = logging.handlers.QueueListener(handler.queue, target)
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
    try:
        install()
        listener.start()
        with tracer.start_as_current_span("s"):
            logger.info("https://x/?token=s3cr3t")
        listener.stop()
    finally:
        logger.removeHandler(handler)
        logger.propagate = True
    assert out.getvalue().count("trace_id=") == 1
    assert "s3cr3t" not in out.getvalue()
    assert len(exported()) == 1


@pytest.mark.filterwarnings("ignore:.*LoggingHandler.*:DeprecationWarning")
def test_opentelemetrys_handler_makes_no_doubles(install, exported):
    """OpenTelemetry's own handler on the root logger does not export what we export; afterwards it does."""
    handler = LoggingHandler(logger_provider=exported.provider)
    root = logging.getLogger()
    root.addHandler(handler)
    installed = install()
    logging.getLogger("a").warning("x")
    assert len(exported()) == 1
    installed.uninstall()
    logging.getLogger("a").warning("y")
    root.removeHandler(handler)
    assert len(exported()) == 2


def test_suppressed_context(install, exported, lines):
    """In a suppressed context lines are written and records are not; OpenTelemetry's own loggers are silent."""
    install(log_level=logging.DEBUG)
    with suppress():
        logging.getLogger("urllib3").debug("connect")
        logging.getLogger("opentelemetry.exporter").warning("failed")
    logging.getLogger("opentelemetry.sdk").warning("outside")
    assert [line["event"] for line in lines()] == ["connect", "outside"]
    assert [record.body for record in exported()] == ["outside"]


def test_our_own_threads_are_silent(install, exported, lines):
    """What an exporter's HTTP client logs on our thread is neither a line nor a record."""
    import threading

    def work():
        with suppress():
            logging.getLogger("urllib3").debug("connect")

    install(log_level=logging.DEBUG)
    thread = threading.Thread(target=work, name="otelkit-courier-test")
    thread.start()
    thread.join()
    assert (lines(), exported()) == ([], [])


def test_exporting_that_logs_does_not_loop(install, exported, monkeypatch, lines):
    """A logs API that logs while it takes a record produces one record."""
    from otelkit import _otel

    fetch = _otel.get_logger

    class Chatty:
        def __init__(self, name):
            self.inner = fetch(name)

        def emit(self, record=None, **fields):
            logging.getLogger("urllib3").debug("sending")
            self.inner.emit(record, **fields)

    monkeypatch.setattr(_otel, "get_logger", Chatty)
    install(log_level=logging.DEBUG)
    logging.getLogger("a").debug("x")
    assert [record.body for record in exported()] == ["x"]


def test_caplog_sees_records_as_ever(install, caplog, tracer):
    """caplog keeps the records, messages and text of the application."""
    install()
    with tracer.start_as_current_span("s"), caplog.at_level(logging.INFO):
        logging.getLogger("a").info("hi %s", "Bearer abcdefghijkl")
    assert caplog.record_tuples == [("a", logging.INFO, "hi Bearer abcdefghijkl")]
    assert "trace_id" not in caplog.text


@pytest.mark.parametrize(
    ("level", "text", "number"),
    [(4, "LEVEL 4", 1), (10, "DEBUG", 5), (20, "INFO", 9), (25, "NOTICE", 12), (30, "WARN", 13),
     (40, "ERROR", 17), (50, "FATAL", 21), (99, "LEVEL 99", 24)],
)  # fmt: skip
def test_severities(install, exported, make_logger, out, level, text, number):
    """Every level has its severity, by the table of the logs data model."""
    logging.addLevelName(25, "NOTICE")
    logger = make_logger("app", stream=out, level=1)
    install()
    logger.log(level, "x")
    assert (exported.one().text, exported.one().severity) == (text, number)


def test_fields_named_like_ids(install, exported, make_logger, out, tracer):
    """An extra field called trace_id is the application's: kept in the record and on its line."""
    logger = make_logger("app", stream=out, fmt="%(trace_id)s %(message)s")
    install()
    with tracer.start_as_current_span("s"):
        logger.info("x", extra={"trace_id": "mine"})
    assert exported.one().attributes["trace_id"] == "mine"
    assert out.getvalue().startswith("mine x trace_id=")


def test_bound_fields_named_like_parts_of_a_record(install, exported, make_logger, out):
    """A bound field called msg, args or name does not break the application's record."""
    logger = make_logger("app", stream=out, fmt="%(name)s %(message)s")
    install()
    with correlation.bind(msg="a", args="b", name="c", message="d"):
        logger.info("hi %s", "there")
    assert out.getvalue().startswith("app hi there msg=a")
    assert exported.one().attributes["msg"] == "a"


def test_a_redaction_callback_reaches_their_lines(install, make_logger, out):
    """What a callback hides is hidden on the application's lines, message and traceback."""
    logger = make_logger("app", stream=out)
    install(redact=lambda _, value: value.replace("Jane", "J.") if isinstance(value, str) else value)
    try:
        raise ValueError("Jane" + " left")
    except ValueError:
        logger.exception("for %s", "Jane Doe")
    assert "ValueError: J. left" in out.getvalue()
    assert out.getvalue().startswith("ERROR:for J. Doe\n")


def test_a_callback_and_a_formatter_that_needs_the_arguments(install, make_logger, out):
    """A formatter that cannot do without the record's arguments gets them."""

    class Needy(logging.Formatter):
        def format(self, record):
            (one,) = record.args
            return f"needy {one}"

    logger = make_logger("app", stream=out, formatter=Needy())
    install(redact=lambda _, value: value.upper() if isinstance(value, str) else value)
    logger.info("x %s", "a")
    assert out.getvalue() == "needy a\n"
