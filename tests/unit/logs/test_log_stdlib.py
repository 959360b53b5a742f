"""An application whose loggers have handlers of their own: formats stay, ids and secrets are seen to."""

from __future__ import annotations

import io
import json
import logging
import logging.config
import logging.handlers
import queue
from contextlib import contextmanager

import pytest
from opentelemetry.sdk._logs import LoggingHandler

from otelkit import _otel, correlation
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


@contextmanager
def seen_by_another(logger):
    """The records that a second handler of the logger gets."""
    seen = []
    handler = logging.Handler()
    handler.emit = seen.append
    logger.addHandler(handler)
    try:
        yield seen
    finally:
        logger.removeHandler(handler)


def test_records_stay_as_they_are(install, make_logger, out):
    """Another handler sees the record's own message, arguments and fields."""
    logger = make_logger("app", stream=out)
    install()
    with seen_by_another(logger) as seen:
        logger.info("a %s", "Bearer abcdefghijkl", extra={"password": "x"})
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


def everything_with(logger, error):
    logger.error("x %s and %r", error, error)
    logger.error("x %(e)s", {"e": error})
    logger.error("x %s", [error])
    logger.error(error)
    logger.error({"event": "x", "error": error})
    logger.error("x", extra={"error": error, "more": {"errors": [error]}})
    with correlation.bind(bound=error):
        logger.error("x")
    try:
        raise LookupError("outer") from error
    except LookupError as outer:
        logger.exception("x %s", RuntimeError(error))
        logger.error("x", exc_info=outer)


@pytest.mark.parametrize("formatter", [None, JsonFormatter()], ids=["text", "json"])
def test_exceptions_in_other_words(install, exported, make_logger, out, leaky, formatter):
    """An exception whose message may not be told is shown by its words: line and record, wherever it is."""
    logger = make_logger("app", stream=out, formatter=formatter)
    install()
    everything_with(logger, leaky)
    records = [(record.body, record.attributes) for record in exported()]
    assert "s3cr3t" not in out.getvalue() + repr(records)
    assert "x 6 characters and LeakyError('6 characters')" in out.getvalue()
    assert records[0][0] == "x 6 characters and LeakyError('6 characters')"
    assert len(records) == 9


def test_exceptions_in_other_words_on_our_lines(install, exported, lines, leaky):
    """On lines of otelkit's own it is the same."""
    install()
    everything_with(logging.getLogger("app"), leaky)
    shown = lines()
    assert "s3cr3t" not in repr(shown) + repr([record.attributes for record in exported()])
    assert shown[5]["error"] == "LeakyError: 6 characters"


def test_a_formatter_that_prints_exceptions_itself(install, make_logger, out, leaky):
    """A formatter that makes its own text of exc_info is given one without values."""

    class Own(logging.Formatter):
        def format(self, record):
            return f"{record.exc_info[0].__qualname__} {record.exc_info[1]}"

    logger = make_logger("app", stream=out, formatter=Own())
    install()
    logger.error("x", exc_info=leaky)
    assert out.getvalue() == "LeakyError 6 characters\n"


def test_other_handlers_see_the_exception_itself(install, make_logger, out, leaky):
    """A handler that is no line, such as an error tracker's, gets the record as it was logged."""
    logger = make_logger("app", stream=out)
    install()
    with seen_by_another(logger) as seen:
        logger.error("x %s", leaky, exc_info=leaky, extra={"error": leaky})
    (record,) = seen
    assert (record.args, record.exc_info[1], record.error) == ((leaky,), leaky, leaky)


class Talkative:
    """An argument that logs when it is made text, as an ORM's object does that loads an attribute."""

    def __init__(self):
        self.calls = 0

    def __str__(self):
        self.calls += 1
        logging.getLogger("app").warning("inner password=s3cr3t %s", "q")
        return f"call {self.calls}"


@pytest.mark.parametrize("where", ["argument", "field", "message"])
def test_what_an_argument_logs(install, exported, make_logger, out, where):
    """A line that is logged while an argument is made text is hidden and recorded like any other."""
    logger = make_logger("app", stream=out)
    install()
    {
        "argument": lambda one: logger.info("outer %s", one),
        "field": lambda one: logger.info("outer", extra={"one": one}),
        "message": lambda one: logger.info(one),
    }[where](Talkative())
    assert "s3cr3t" not in out.getvalue()
    assert exported()[0].body == "inner password=[redacted] q"
    assert out.getvalue().startswith("WARNING:inner password=[redacted] q\n")


def test_an_argument_is_made_text_once(install, exported, make_logger, out):
    """The text of a record is made once, for the record and for all handlers."""
    argument = Talkative()
    logger = make_logger("app", stream=out)
    make_logger("app", stream=out, formatter=JsonFormatter())
    install()
    logger.info("outer %s", argument)
    assert argument.calls == 1
    assert [record.body for record in exported()] == ["inner password=[redacted] q", "outer call 1"]


def test_a_filter_of_a_handler_changes_the_text(install, make_logger, out):
    """A record that a handler's filter changes, or whose arguments it changes in place, is printed as changed."""

    def change(record):
        if record.msg == "replace %s":
            record.args = ("b",)
        else:
            record.args[0]["a"] = "b"
        return True

    logger = make_logger("app", stream=out, fmt="%(message)s")
    logger.handlers[-1].addFilter(change)
    install()
    logger.info("replace %s", "a")
    logger.info("in place %s %s", {"a": "a"}, 1)
    assert out.getvalue() == "replace b\nin place {'a': 'b'} 1\n"


def test_what_is_logged_while_a_record_leaves(install, exported, monkeypatch, make_logger, out):
    """What is logged while we hand a record on is a line without secrets, and no record."""
    logger = make_logger("app", stream=out)

    class Chatty:
        def emit(self, record=None, **fields):
            logger.debug("sending password=s3cr3t")

    monkeypatch.setattr(_otel, "get_logger", lambda name: Chatty())
    install()
    logger.info("x")
    assert out.getvalue() == "DEBUG:sending password=[redacted]\nINFO:x\n"


def test_an_argument_that_logs_itself_ends(install, exported, lines, bare_root):
    """An object whose text logs the object does not go on for ever."""

    class Endless:
        def __str__(self):
            logging.getLogger("endless").info("inner %s", self)
            return "endless"

    bare_root()  # pytest's own handlers would go on without end
    install()
    logging.getLogger("endless").info("outer %s", Endless())
    assert exported()[-1].body == "outer endless"
    assert 1 < len(lines()) < 9


class FieldsFormatter(logging.Formatter):
    """As python-json-logger: a dict is the fields of the line."""

    def format(self, record):
        return json.dumps(record.msg if isinstance(record.msg, dict) else {"message": record.getMessage()})


@pytest.mark.parametrize("redact", [True, lambda key, value: value])
def test_a_dict_stays_one(install, make_logger, out, redact):
    """A dict as message keeps its fields on the application's line when one of them is hidden."""
    logger = make_logger("app", stream=out, formatter=FieldsFormatter())
    install(redact=redact)
    given = {"event": "login", "n": 1, "password": "s3cr3t", 5: "five", "to": {"token": "s3cr3t"}}
    logger.info(given)
    logger.info({"event": "login", "password": "s3cr3t"}, extra={"password": "s3cr3t"})
    first, second = map(json.loads, out.getvalue().splitlines())
    assert first == {
        "event": "login", "n": 1, "password": "[redacted]", "5": "five", "to": {"token": "[redacted]"},
    }  # fmt: skip
    assert second == {"event": "login", "password": "[redacted]"}
    assert given["password"] == "s3cr3t"


def test_what_a_formatter_sets_is_on_the_record(install, make_logger, out):
    """A handler that formats a record and then reads record.message finds it, without the secret."""

    class Reading(logging.Handler):
        def emit(self, record):
            self.format(record)
            out.write(record.message)

    logger = make_logger("app", stream=io.StringIO())
    handler = Reading()
    logger.addHandler(handler)
    install()
    try:
        logger.info("password %(password)s", {"password": "s3cr3t"})
    finally:
        logger.removeHandler(handler)
    assert out.getvalue() == "password [redacted]"
