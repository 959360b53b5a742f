"""An application with a structlog configuration of its own: its format stays, ids and secrets are seen to."""

from __future__ import annotations

import io
import json
import logging

import pytest
import structlog
from structlog.processors import JSONRenderer, TimeStamper, add_log_level

from otelkit import _otel, correlation, logs


def configure(*processors, **more):
    out = io.StringIO()
    structlog.configure(processors=list(processors), logger_factory=structlog.PrintLoggerFactory(out), **more)
    return out


USUAL = (structlog.contextvars.merge_contextvars, add_log_level, TimeStamper(fmt="iso"), JSONRenderer())


@pytest.mark.parametrize("setup", ["auto", "attach"])
def test_format_stays_and_gains_ids(install, exported, tracer, capsys, setup):
    """The application's line keeps its shape, has the ids, and leaves as one record."""
    out = configure(*USUAL)
    install(log_setup=setup)
    with tracer.start_as_current_span("s"):
        structlog.get_logger().info("hi", n=1)
    line, record = json.loads(out.getvalue()), exported.one()
    assert set(line) == {"n", "event", "level", "timestamp", "trace_id", "span_id", "trace_flags"}
    assert format(record.trace_id, "032x") == line["trace_id"]
    assert (record.body, record.attributes, record.scope) == ("hi", {"n": 1}, __name__)
    assert capsys.readouterr().out == ""


def test_secrets_are_hidden_before_the_renderer(install, exported):
    """Values hidden in the record are hidden on the application's own line; others keep their type."""
    out = io.StringIO()
    seen = []

    def spy(logger, name, event_dict):
        seen.append(dict(event_dict))
        return "line"

    structlog.configure(processors=[spy], logger_factory=structlog.PrintLoggerFactory(out))
    install()
    kept = {1, 2}
    structlog.get_logger().info("Bearer abcdefghijkl", password="x", kept=kept)
    assert seen[0]["password"] == exported.one().attributes["password"] != "x"
    assert "abcdefghijkl" not in seen[0]["event"] + exported.one().body
    assert seen[0]["kept"] is kept


@pytest.mark.parametrize("order", ["before", "after", "none"])
def test_exception_is_structured_whatever_the_order(install, exported, order):
    """dict_tracebacks or format_exc_info in the chain lose nothing of the record's exception."""
    middle = {
        "before": [structlog.processors.dict_tracebacks],
        "after": [structlog.processors.format_exc_info],
        "none": [],
    }[order]
    out = configure(add_log_level, *middle, JSONRenderer())
    install()
    try:
        raise ValueError("bad")
    except ValueError:
        structlog.get_logger().exception("boom", exc_info=True)
    attributes = exported.one().attributes
    assert (attributes["exception.type"], attributes["exception.message"]) == ("ValueError", "bad")
    assert attributes["exception.stacktrace"].startswith("Traceback")
    assert not {"exception", "exc_info"} & set(attributes)
    assert json.loads(out.getvalue())["event"] == "boom"


def renderers():
    yield "dict", (structlog.processors.dict_tracebacks, JSONRenderer())
    yield "text", (structlog.processors.format_exc_info, JSONRenderer())
    yield "console", (structlog.dev.ConsoleRenderer(colors=False),)
    yield (
        "plain",
        (structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),),
    )


@pytest.mark.parametrize("processors", [p for _, p in renderers()], ids=[n for n, _ in renderers()])
def test_no_locals_and_no_secrets_in_tracebacks(install, exported, processors):
    """structlog's own tracebacks show neither locals nor the secret in the exception's text."""
    out = configure(*processors)
    install()
    some_local = "-".join(["correct", *["horse"]])
    try:
        raise ValueError("https://x/?token=s3cr3t-aa" + some_local[:0])
    except ValueError:
        structlog.get_logger().exception("boom")
    assert "correct-horse" not in out.getvalue()
    assert "s3cr3t-aa" not in out.getvalue() + repr(exported.one().attributes)
    assert "ValueError" in out.getvalue()


def test_redact_off_leaves_locals(install):
    """Without redaction structlog's tracebacks are as the application configured them."""
    out = configure(structlog.processors.dict_tracebacks, JSONRenderer())
    install(redact=False)
    some_local = "-".join(["correct", *["horse"]])
    try:
        raise ValueError(some_local[:0])
    except ValueError:
        structlog.get_logger().exception("boom")
    assert "correct-horse" in out.getvalue()


@pytest.mark.parametrize("kind", ["list", "tuple", "own", "other list"])
def test_cached_loggers_are_exported(install, exported, kind):
    """A logger cached before the installation is reached, whatever holds its processors."""
    out = configure(*USUAL, cache_logger_on_first_use=True)
    if kind == "tuple":
        structlog.configure(processors=tuple(USUAL))
    log = structlog.get_logger()
    if kind == "own":
        log = structlog.wrap_logger(structlog.PrintLogger(out), processors=[JSONRenderer()])
    log.info("one")
    if kind == "other list":
        structlog.configure(processors=[JSONRenderer()])
    install()
    log.info("two")
    log.bind(a=1).info("three")
    assert [record.body for record in exported()] == ["two", "three"]
    assert len(out.getvalue().splitlines()) == 3


def test_later_configuration_is_followed(install, exported, lines):
    """structlog.configure after the installation: its format, our ids and records."""
    install()
    structlog.get_logger().info("ours")
    out = configure(*USUAL)
    structlog.get_logger().info("theirs")
    assert [line["event"] for line in lines()] == ["ours"]
    assert json.loads(out.getvalue())["event"] == "theirs"
    assert [record.body for record in exported()] == ["ours", "theirs"]


def test_bound_fields_without_merge_contextvars(install, exported):
    """Bound fields reach the line also where the application's chain does not merge them."""
    out = configure(JSONRenderer())
    install()
    with correlation.bind(order=7):
        structlog.get_logger().info("x")
    assert json.loads(out.getvalue())["order"] == exported.one().attributes["order"] == 7


def test_renderer_that_is_not_last(install, exported, tracer):
    """A chain that goes on after its renderer gets ids and redaction on the rendered line."""
    out = configure(JSONRenderer(), lambda _, __, text: text.upper().lower())
    install()
    with tracer.start_as_current_span("s"):
        structlog.get_logger().info("https://x/?token=s3cr3t", n=1)
    line = json.loads(out.getvalue())
    assert line["trace_id"] == format(exported.one().trace_id, "032x")
    assert "s3cr3t" not in out.getvalue()
    assert exported.one().attributes == {"n": 1}


def test_renamed_event(install, exported):
    """EventRenamer does not hide the body."""
    configure(structlog.processors.EventRenamer("message"), JSONRenderer())
    install()
    structlog.get_logger().info("hi", n=1)
    assert (exported.one().body, exported.one().attributes) == ("hi", {"n": 1})


def test_bytes_renderer(install, exported, tracer):
    """A chain that renders bytes works on."""
    raw = io.BytesIO()
    structlog.configure(
        processors=[JSONRenderer(serializer=lambda value, **_: json.dumps(value).encode())],
        logger_factory=structlog.BytesLoggerFactory(raw),
    )
    install()
    structlog.get_logger().info("hi")
    assert json.loads(raw.getvalue()) == {"event": "hi"}
    assert exported.one().body == "hi"


def test_dropped_events_are_not_exported(install, exported):
    """An event that a processor drops leaves no record."""

    def drop(logger, name, event_dict):
        raise structlog.DropEvent

    out = configure(drop, JSONRenderer())
    install()
    structlog.get_logger().info("hi")
    assert (out.getvalue(), exported()) == ("", [])


def test_a_processor_that_raises_is_the_applications(install, exported):
    """What the application's own processor raises, passes."""

    def fail(logger, name, event_dict):
        raise LookupError("theirs")

    configure(fail, JSONRenderer())
    install()
    with pytest.raises(LookupError, match="theirs"):
        structlog.get_logger().info("hi")


def test_callsite_parameters_become_code_attributes(install, exported):
    """What CallsiteParameterAdder finds is exported by convention, and once."""
    from structlog.processors import CallsiteParameter, CallsiteParameterAdder

    configure(
        CallsiteParameterAdder(
            [CallsiteParameter.PATHNAME, CallsiteParameter.FUNC_NAME, CallsiteParameter.LINENO]
        ),
        JSONRenderer(),
    )
    install()
    structlog.get_logger().info("hi")
    attributes = exported.one().attributes
    assert attributes["code.function.name"] == "test_callsite_parameters_become_code_attributes"
    assert set(attributes) == {"code.function.name", "code.file.path", "code.line.number"}


def test_opentelemetrys_own_processor_makes_no_doubles(install, exported):
    """An export processor of OpenTelemetry in the chain is passed over."""
    calls = []
    kind = type("StructlogProcessor", (), {"__call__": lambda self, lo, n, ed: calls.append(1) or ed})
    kind.__module__ = "opentelemetry.instrumentation.structlog"
    configure(kind(), JSONRenderer())
    install()
    structlog.get_logger().info("hi")
    assert (calls, len(exported())) == ([], 1)


@pytest.mark.parametrize("setup", ["auto", "configure", "attach"])
@pytest.mark.parametrize("configured", [True, False])
def test_capture_logs_sees_events_as_ever(install, exported, tracer, setup, configured):
    """structlog.testing.capture_logs gets the same entries as without otelkit; nothing is exported."""
    if configured:
        configure(*USUAL)
    install(log_setup=setup)
    with tracer.start_as_current_span("s"), structlog.testing.capture_logs() as entries:
        structlog.get_logger().info("hi", n=1)
        logs.get_logger("named").info("ho")
    assert entries == [{"event": "hi", "n": 1, "log_level": "info"}, {"event": "ho", "log_level": "info"}]
    assert exported() == []


def test_ours_again_after_capture_logs(install, lines, exported):
    """capture_logs calls structlog.configure; lines are ours again afterwards, also after a re-install."""
    install()
    with structlog.testing.capture_logs():
        pass
    structlog.get_logger().info("one")
    install().uninstall()
    install()
    structlog.get_logger().info("two")
    assert [line["event"] for line in lines()] == ["one", "two"]


def test_attach_on_defaults(install, exported, capsys):
    """attach keeps structlog's default console lines."""
    install(log_setup="attach")
    structlog.get_logger().info("hi", n=1)
    assert "[info     ]" in structlog_line(capsys.readouterr().out)
    assert exported.one().attributes == {"n": 1}


def structlog_line(text):
    import re

    return re.sub(r"\x1b\[[0-9;]*m", "", text)


def test_stdlib_wrapper_class_with_print_logger(install, exported):
    """Level methods of every wrapper class are reached."""
    configure(JSONRenderer(), wrapper_class=structlog.BoundLogger)
    install()
    structlog.get_logger().error("hi")
    assert exported.one().text == "ERROR"


def test_wrapper_class_with_its_own_proxy(install, exported):
    """A wrapper class that calls `_process_event` itself is exported."""

    class Own(structlog.BoundLoggerBase):
        def say(self, event, **kw):
            args, kwargs = self._process_event("info", event, kw)
            self._logger.msg(*args, **kwargs)

    out = configure(JSONRenderer(), wrapper_class=Own)
    install()
    structlog.get_logger().say("hi", n=1)
    assert (exported.one().body, json.loads(out.getvalue())["n"]) == ("hi", 1)


def test_filtered_levels_stay_filtered(install, exported):
    """The application's level decides where the format is its own."""
    configure(JSONRenderer(), wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
    install(log_level=logging.DEBUG)
    structlog.get_logger().warning("no")
    assert exported() == []


def exceptions_renderers():
    yield "repr", (JSONRenderer(),)
    yield from renderers()


@pytest.mark.parametrize(
    "processors", [p for _, p in exceptions_renderers()], ids=[n for n, _ in exceptions_renderers()]
)
def test_exceptions_in_other_words(install, exported, leaky, processors):
    """An exception whose message may not be told is shown by its words: line and record, wherever it is."""
    out = configure(
        structlog.stdlib.PositionalArgumentsFormatter(),
        *processors,
        wrapper_class=structlog.stdlib.BoundLogger,
    )
    install()
    log = structlog.get_logger()
    log.error("x", error=leaky, more={"errors": [leaky]})
    log.error("x %s %r", leaky, leaky)
    log.error(leaky)
    with correlation.bind(bound=leaky):
        log.error("x", exc_info=leaky)
    try:
        raise LookupError("outer") from leaky
    except LookupError:
        log.exception("x")
    records = [(record.body, record.attributes) for record in exported()]
    assert "s3cr3t" not in out.getvalue() + repr(records)
    assert records[0][1]["error"] == "LeakyError: 6 characters"
    assert records[1][0] == "x 6 characters LeakyError('6 characters')"
    assert out.getvalue().count("LeakyError: 6 characters") >= 3


def test_processors_see_the_exception_itself(install, leaky):
    """The application's own processors get the exception; only what renders it gets another one."""
    seen = []
    configure(
        lambda _, __, values: seen.append(values["exc_info"]) or values, structlog.dev.ConsoleRenderer()
    )
    install()
    structlog.get_logger().error("x", exc_info=leaky)
    assert seen == [leaky]


def test_what_a_field_logs(install, exported):
    """A line that is logged while a field is made text is hidden and recorded like any other."""

    class Talkative:
        def __str__(self):
            structlog.get_logger().info("inner password=s3cr3t")
            return "talkative"

    out = configure(JSONRenderer(default=str))
    install()
    structlog.get_logger().info("outer", one=Talkative())
    assert "s3cr3t" not in out.getvalue()
    assert [record.body for record in exported()][0] == "inner password=[redacted]"
    assert exported()[-1].attributes == {"one": "talkative"}


@pytest.mark.parametrize("renderer", [JSONRenderer(), lambda _, __, values: values])
def test_what_is_logged_while_a_record_leaves(install, monkeypatch, renderer):
    """What is logged while we hand a record on is a line without secrets, and no record."""

    class Chatty:
        def emit(self, record=None, **fields):
            structlog.get_logger().info("sending password=s3cr3t")

    monkeypatch.setattr(_otel, "get_logger", lambda name: Chatty())
    lines = []

    class Sink:
        def info(self, *args, **fields):
            lines.append((args, fields))

    structlog.configure(processors=[renderer], logger_factory=lambda *_: Sink())
    install()
    structlog.get_logger().info("x")
    assert len(lines) == 2
    assert "s3cr3t" not in repr(lines)
