"""structlog that is imported after otelkit was set up; each in a process of its own."""

import json
import subprocess
import sys

INIT = "import sys, otelkit; runtime = otelkit.init(service_name='shop', instrument=False)\n"
ENV = {"OTEL_TRACES_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}


def told(program):
    import os

    answer = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        env={**os.environ, **ENV},
        check=False,
    )
    assert (0, "") == (answer.returncode, answer.stderr)
    return answer.stdout.splitlines()


def test_a_program_without_structlog_does_not_load_it():
    """Setting up and logging by the standard library import neither structlog nor what it brings."""
    lines = told(
        INIT
        + "import logging; logging.getLogger('a').warning('hi %s', 1)\n"
        + "print('structlog' in sys.modules, 'rich' in sys.modules)"
    )

    assert ("hi 1", "a") == (json.loads(lines[0])["event"], json.loads(lines[0])["logger"])
    assert "False False" == lines[1]


def test_structlog_imported_later_is_hooked():
    """Lines of structlog are ours from its import on: format, ids, redaction."""
    lines = told(
        INIT
        + "import structlog\n"
        + "with otelkit.span('a'), otelkit.bind(user='bob'):\n"
        + "    structlog.get_logger('b').info('hi', password='hunter2')\n"
    )
    line = json.loads(lines[0])

    assert ("hi", "b", "bob", "[redacted]") == (line["event"], line["logger"], line["user"], line["password"])
    assert 32 == len(line["trace_id"])


def test_otelkits_own_logger_may_be_the_first_to_need_it():
    """`get_logger` imports structlog; its lines are ours at once, and nothing is said on stderr."""
    for first in ("log = otelkit.get_logger('b')\n" + INIT, INIT + "log = otelkit.get_logger('b')\n"):
        lines = told("import otelkit\n" + first + "log.info('hi', password='hunter2')\n")
        line = json.loads(lines[0])

        assert ("hi", "b", "shop", "[redacted]") == (
            line["event"],
            line["logger"],
            line["service"],
            line["password"],
        )


def test_looking_for_structlog_is_not_importing_it():
    """Somebody who only asks whether structlog is installed does not use up the hook."""
    lines = told(
        INIT
        + "import importlib.util\n"
        + "assert importlib.util.find_spec('structlog').name == 'structlog'\n"
        + "assert 'structlog' not in sys.modules\n"
        + "import structlog; structlog.get_logger().info('hi', token='x')\n"
        + "print(type(structlog.__spec__.loader).__name__, sum('arrival' in type(f).__module__ for f in sys.meta_path))"
    )

    assert "[redacted]" == json.loads(lines[0])["token"]
    assert "SourceFileLoader 0" == lines[1]


def test_structlog_configured_by_the_application_later_keeps_its_format():
    """Processors that the application configures after its import make the lines; ids are put in."""
    lines = told(
        INIT
        + "import structlog\n"
        + "structlog.configure(processors=[structlog.processors.JSONRenderer(sort_keys=True)])\n"
        + "with otelkit.span('a'):\n"
        + "    structlog.get_logger().info('hi', api_key='x')\n"
    )
    line = json.loads(lines[0])

    assert {"api_key", "event", "span_id", "trace_flags", "trace_id"} == set(line)
    assert "[redacted]" == line["api_key"]


def test_nothing_is_hooked_after_the_end():
    """structlog that is imported after the shutdown is as without otelkit."""
    lines = told(
        INIT
        + "runtime.shutdown()\n"
        + "import structlog\n"
        + "structlog.configure(processors=[structlog.processors.JSONRenderer()])\n"
        + "structlog.get_logger().info('hi', password='x')\n"
    )

    assert {"password": "x", "event": "hi"} == json.loads(lines[0])


def test_a_second_init_after_the_import_follows():
    """Another set-up after the import of structlog is in force for it."""
    lines = told(
        INIT
        + "import structlog\n"
        + "otelkit.init(service_name='second', instrument=False)\n"
        + "structlog.get_logger().info('hi')\n"
    )

    assert "second" == json.loads(lines[0])["service"]
