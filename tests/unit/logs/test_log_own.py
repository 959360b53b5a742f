"""An application that configured nothing: lines and records are ours."""

from __future__ import annotations

import asyncio
import logging
import sys

import pytest
import structlog

import otelkit
from otelkit import correlation, logs


def test_one_line_has_all_keys_in_order(install, lines, tracer):
    """A line inside a span carries time, level, event, logger, service, ids, then the fields."""
    install()
    with tracer.start_as_current_span("s"):
        logs.get_logger("orders").info("placed", order=7)
    (line,) = lines()
    assert list(line) == [
        "timestamp",
        "level",
        "event",
        "logger",
        "service",
        "trace_id",
        "span_id",
        "trace_flags",
        "order",
    ]
    assert (line["level"], line["event"], line["logger"], line["service"]) == (
        "info",
        "placed",
        "orders",
        "shop",
    )
    assert line["timestamp"].endswith("Z") and len(line["timestamp"]) == 27


def test_ids_only_in_a_span(install, lines):
    """Outside a span a line has no ids."""
    install()
    structlog.get_logger().info("x")
    assert "trace_id" not in lines()[0]


def test_line_and_record_agree(install, lines, exported, tracer):
    """The record carries the ids and the time of the line."""
    install()
    with tracer.start_as_current_span("s"):
        structlog.get_logger("orders").warning("slow", ms=3)
    (line,), record = lines(), exported.one()
    assert format(record.trace_id, "032x") == line["trace_id"]
    assert (record.body, record.scope, record.text, record.severity) == ("slow", "orders", "WARN", 13)
    assert record.attributes == {"ms": 3}
    assert f"{record.timestamp // 1000 % 1_000_000:06d}Z" == line["timestamp"][-7:]


def test_both_worlds_one_format(install, lines, exported):
    """structlog and the standard library write the same line."""
    install()
    structlog.get_logger("a").error("one", k=1)
    logging.getLogger("a").error("one", extra={"k": 1})
    first, second = lines()
    assert {**first, "timestamp": 0} == {**second, "timestamp": 0}
    assert [r.attributes["k"] for r in exported()] == [1, 1]


def test_stdlib_code_attributes(install, exported):
    """A record of the standard library says where it was logged, by convention."""
    install()
    logging.getLogger("a").warning("%s", "x")
    attributes = exported.one().attributes
    assert attributes["code.function.name"] == "test_stdlib_code_attributes"
    assert attributes["code.file.path"] == __file__
    assert isinstance(attributes["code.line.number"], int)


def test_level(install, lines, exported):
    """Below log_level there is neither line nor record, in both worlds."""
    install(log_level=logging.WARNING)
    structlog.get_logger().info("no")
    logging.getLogger("a").info("no")
    assert (lines(), exported()) == ([], [])


def test_clashing_names_are_kept(install, lines, exported):
    """A field named like one of ours keeps its value: with an underscore on the line, as it is in the record."""
    install()
    structlog.get_logger().info("x", level=3, logger="mine", level_=4)
    (line,) = lines()
    assert (line["level"], line["level__"], line["level_"], line["logger_"]) == ("info", 3, 4, "mine")
    assert exported.one().attributes == {"level": 3, "logger": "mine", "level_": 4}


def test_exception(install, lines, exported):
    """An exception is the traceback's text on the line and structured in the record, once."""
    install()
    try:
        raise KeyError("gone")
    except KeyError:
        structlog.get_logger().exception("boom")
        logging.getLogger("a").exception("boom")
    for line, record in zip(lines(), exported(), strict=True):
        assert line["exception"].startswith("Traceback") and line["exception"].endswith("KeyError: 'gone'")
        assert record.attributes["exception.type"] == "KeyError"
        assert record.attributes["exception.message"] == "'gone'"
        assert record.attributes["exception.stacktrace"] == line["exception"]
        assert "exc_info" not in record.attributes


def test_locals_are_never_shown(install, capsys, exported):
    """The values of local variables appear neither on stdout nor in the record."""
    install()
    hidden_value = "-".join(["correct", *["horse"]])
    try:
        len(hidden_value) / 0
    except ZeroDivisionError:
        structlog.get_logger().exception("boom")
    assert "correct-horse" not in capsys.readouterr().out
    assert "correct-horse" not in repr(exported.one().attributes)


def test_redaction_reaches_line_and_record(install, capsys, exported):
    """Message, fields, nested fields, exception text: hidden on stdout and in the record."""
    install()
    try:
        raise ValueError("https://x/?token=s3cr3t-1")
    except ValueError:
        structlog.get_logger().exception(
            "Authorization: Bearer s3cr3t-2aaaaaaaa", password="s3cr3t-3", deep=[{"api_key": "s3cr3t-4"}]
        )
        logging.getLogger("a").exception(
            "Authorization: Bearer %s", "s3cr3t-5aaaaaaaa", extra={"password": "s3cr3t-6"}
        )
    assert "s3cr3t" not in capsys.readouterr().out
    assert "s3cr3t" not in repr([(r.body, r.attributes) for r in exported()])


def test_bound_fields_on_every_line(install, lines, exported):
    """What is bound appears on lines and in records of both worlds."""
    install()
    with correlation.bind(order=7):
        structlog.get_logger().info("x")
        logging.getLogger("a").info("x")
    assert [line["order"] for line in lines()] == [7, 7]
    assert [record.attributes["order"] for record in exported()] == [7, 7]


def test_events_that_are_no_text(install, lines, exported):
    """A message of any type becomes text."""
    install()
    structlog.get_logger().info({"a": 1})
    logging.getLogger("a").info({"a": 1})
    logging.getLogger("a").info(17)
    assert [line["event"] for line in lines()] == ['{"a": 1}', '{"a": 1}', "17"]
    assert [record.body for record in exported()] == ['{"a": 1}', '{"a": 1}', "17"]


def test_wrong_arguments_do_not_raise(install, bare_root, capsys):
    """A message whose arguments do not fit comes out with them beside it, without a complaint."""
    bare_root()
    install()
    too_few = ("x",)
    logging.getLogger("a").info("%d %s", *too_few)
    captured = capsys.readouterr()
    assert "%d %s" in captured.out and "x" in captured.out
    assert captured.err == ""


class Broken:
    def __str__(self):
        raise RuntimeError("no")

    __repr__ = __str__


def test_values_that_break(install, lines, exported):
    """Values whose text raises, circular ones, NaN and lone surrogates cost nothing but themselves."""
    install()
    ring: list[object] = []
    ring.append(ring)
    structlog.get_logger().info(
        "x", a=Broken(), b=ring, c=float("nan"), d="\ud83d", e=10**5000, f=b"\xff", g=1
    )
    logging.getLogger("a").info("x", extra={"a": Broken(), "g": 1})
    first, second = lines()
    assert (first["g"], second["g"], first["c"]) == (1, 1, "nan")
    assert "Broken" in first["a"]
    assert [record.attributes["g"] for record in exported()] == [1, 1]


def test_no_invalid_type_lines(install, capsys, caplog):
    """Attributes of any type make no complaint of the SDK."""
    install()
    structlog.get_logger().info("x", mixed=[1, "a", None, {"b": [2, "c"]}], nested={"a": {"b": object()}})
    captured = capsys.readouterr()
    assert len(captured.out.splitlines()) == 1
    assert "attribute value" not in captured.err + caplog.text


def test_unsendable_characters_on_a_utf8_stdout(install, monkeypatch):
    """A lone surrogate reaches a strict UTF-8 stdout as the replacement character."""
    import io

    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="utf-8"))
    install()
    structlog.get_logger().info("a\ud83db")
    assert "a\ufffdb".encode() in raw.getvalue()


def test_logger_of_the_calling_module(install, lines):
    """A structlog logger without a name is named after the module that logs, sync and async."""
    install()
    structlog.get_logger().info("x")

    async def main():
        await structlog.get_logger().ainfo("y")

    asyncio.run(main())
    assert [line["logger"] for line in lines()] == [__name__, __name__]


def test_stack_info(install, lines, exported):
    """stack_info gives the caller's stack on the line and as code.stacktrace."""
    install()
    structlog.get_logger().info("x", stack_info=True)
    (line,) = lines()
    assert line["stack"].rstrip().endswith('structlog.get_logger().info("x", stack_info=True)')
    assert exported.one().attributes["code.stacktrace"] == line["stack"]


def test_loggers_of_before_are_reached(install, lines, exported):
    """Proxies, bound loggers and cached loggers made before the installation follow it."""
    proxy = structlog.get_logger("early")
    bound = structlog.get_logger().bind(a=1)
    cached = structlog.wrap_logger(None, cache_logger_on_first_use=True)
    assert cached.bind() is cached.bind()
    install()
    proxy.info("one")
    bound.info("two")
    cached.info("three")
    assert [line["event"] for line in lines()] == ["one", "two", "three"]
    assert len(exported()) == 3


@pytest.mark.parametrize("stdout", [None, "closed"])
def test_closed_stdout_is_counted(install, exported, monkeypatch, tmp_path, stdout):
    """Without a stdout nothing raises; the line is counted, the record exported."""
    if stdout == "closed":
        stdout = (tmp_path / "out").open("w")
        stdout.close()
    monkeypatch.setattr(sys, "stdout", stdout)
    install()
    before = logs.lost_lines()
    structlog.get_logger().info("x")
    logging.getLogger("a").info("y")
    assert logs.lost_lines() == before + 2
    assert len(exported()) == 2


def test_stdout_that_logs(install, monkeypatch, exported):
    """A stdout that writes into logging does not loop, makes no second record and loses no line."""
    import io

    terminal = io.StringIO()
    monkeypatch.setattr(sys, "__stdout__", terminal)

    class IntoLogging:
        def write(self, text):
            if text.strip():
                logging.getLogger("stdout").warning(text)

        def flush(self):
            pass

    install()
    monkeypatch.setattr(sys, "stdout", IntoLogging())
    structlog.get_logger().info("x")
    assert len(exported()) == 1
    assert '"logger":"stdout"' in terminal.getvalue()


@pytest.mark.parametrize("inner", [logging.getLogger("inner"), structlog.get_logger()])
def test_a_redaction_that_logs_does_not_loop(install, lines, exported, inner):
    """A redaction callback may log: a line, no record, no loop."""

    def callback(key, value):
        inner.info("looking")
        return value

    install(redact=callback)
    logging.getLogger("a").info("x", extra={"k": 1})
    structlog.get_logger().info("x", k=1)
    assert [line["event"] for line in lines() if line["event"] != "looking"] == ["x", "x"]
    assert [record.body for record in exported()] == ["x", "x"]


def test_a_long_exception_is_cut_before_the_sdk_complains(telemetry, caplog):
    """Of a long exception the record has 32,768 characters, and nobody warns about that in the log."""
    try:
        raise ValueError("x" * 100_000)
    except ValueError:
        otelkit.get_logger().exception("failed")

    attributes = telemetry.log("failed").attributes
    assert {32_768} == {len(attributes[name]) for name in ("exception.message", "exception.stacktrace")}
    assert [] == [record.name for record in caplog.records if record.name.startswith("opentelemetry")]


def test_exceptions_in_other_words(install, exported, lines, leaky):
    """An exception whose message may not be told is shown by its words: line and record, wherever it is."""
    install()
    log = structlog.get_logger()
    log.error("x", error=leaky, more={"errors": [leaky]})
    log.error("x", positional_args=(leaky,))
    log.error("x %s", positional_args=(leaky,))
    log.error(leaky, exc_info=leaky)
    shown = lines()
    assert "s3cr3t" not in repr(shown) + repr([(record.body, record.attributes) for record in exported()])
    assert (shown[0]["error"], shown[2]["event"]) == ("LeakyError: 6 characters", "x 6 characters")


def test_what_a_field_logs(install, exported, lines):
    """A line that is logged while a field is made text is hidden and recorded like any other."""

    class Talkative:
        def __str__(self):
            structlog.get_logger().info("inner password=s3cr3t")
            return "talkative"

    install()
    structlog.get_logger().info("outer", one=Talkative())
    assert [line["event"] for line in lines()] == ["inner password=[redacted]", "outer"]
    assert [record.body for record in exported()] == ["inner password=[redacted]", "outer"]
