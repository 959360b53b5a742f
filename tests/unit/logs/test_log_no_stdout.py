"""A stdout that takes no lines: closed, broken, full, missing; and one that is replaced."""

from __future__ import annotations

import contextlib
import copy
import io
import logging
import os
import pickle
import subprocess
import sys

import pytest
import structlog

import otelkit
from otelkit import logs


class Broken(io.StringIO):
    def write(self, _text):
        raise BrokenPipeError


class Unreferable:
    """Nothing can refer to it weakly, as to None."""

    __slots__ = ()

    def write(self, _text):
        raise OSError(28, "No space left on device")


def closed():
    stream = io.StringIO()
    stream.close()
    return stream


STDOUTS = {"missing": lambda: None, "closed": closed, "broken": Broken, "full": Unreferable}

PROGRAM = """
import sys
if "import" in sys.argv: import structlog
if "none-before" in sys.argv: sys.stdout = None
import otelkit
from otelkit.logs import lost_lines
from opentelemetry.sdk._logs.export import InMemoryLogRecordExporter
exporter = InMemoryLogRecordExporter()
if "early" in sys.argv: otelkit.get_logger().info("early")
otelkit.init(
    service_name="shop", instrument=False, log_exporters=[exporter],
    log_setup="attach" if "attach" in sys.argv else "auto",
)
if "none-after" in sys.argv: sys.stdout = None
if "close" in sys.argv: sys.stdout.close()
otelkit.get_logger().info("x")
otelkit.get_logger("a").bind(k=1).warning("y")
import structlog
structlog.get_logger().info("z") if "attach" not in sys.argv else otelkit.get_logger().info("z")
otelkit.flush()
said = [data.log_record.body for data in exporter.get_finished_logs()]
print(said, lost_lines(), file=sys.stderr)
sys.stdout = None
"""
ENV = {"OTEL_TRACES_EXPORTER": "none", "OTEL_LOGS_EXPORTER": "none", "OTEL_METRICS_EXPORTER": "none"}


def said_by(how, *, redirection=""):
    """What the program says on stderr, run by a shell that redirects its stdout."""
    answer = subprocess.run(
        ["/bin/sh", "-c", f'exec "$0" -c "$1" {how} {redirection}', sys.executable, PROGRAM],
        capture_output=True,
        text=True,
        env={**os.environ, **ENV},
        check=False,
    )
    assert 0 == answer.returncode, answer.stderr
    return answer.stderr.strip()


@pytest.mark.parametrize("how", ["", "import", "attach", "none-after", "none-before attach"])
@pytest.mark.skipif(os.name != "posix", reason="a shell starts the program")
def test_a_program_without_stdout(how):
    """Started with a closed stdout: nothing raises, each record leaves, each line is counted."""
    assert "['x', 'y', 'z'] 3" == said_by(how, redirection=">&-")


@pytest.mark.parametrize("how", ["none-before", "none-after", "close", "none-before attach", "close attach"])
@pytest.mark.skipif(os.name != "posix", reason="a shell starts the program")
def test_a_program_that_takes_its_stdout_away(how):
    """A stdout that is closed or removed, before or after `init`, loses lines and no records."""
    assert "['x', 'y', 'z'] 3" == said_by(how)


@pytest.mark.parametrize("how", ["early", "early attach"])
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_program_whose_stdout_is_full(how):
    """A stdout on a full disk loses lines and no records, those before `init` too."""
    assert "['x', 'y', 'z'] 4" == said_by(how, redirection=">/dev/full")


@pytest.mark.parametrize("mode", ["auto", "attach", "configure"])
@pytest.mark.parametrize("kind", STDOUTS)
def test_a_line_that_cannot_be_written_is_counted(install, exported, monkeypatch, kind, mode):
    """Whoever's format it is: the line of our logger is counted, its record made."""
    monkeypatch.setattr(sys, "stdout", STDOUTS[kind]())
    install(log_setup=mode)
    before = logs.lost_lines()

    otelkit.get_logger().info("x")

    assert (before + 1, ["x"]) == (logs.lost_lines(), [record.body for record in exported()])


@pytest.mark.parametrize("kind", STDOUTS)
def test_before_the_set_up_too(monkeypatch, kind):
    """A logger of ours raises nothing where nothing is installed."""
    monkeypatch.setattr(sys, "stdout", STDOUTS[kind]())
    before = logs.lost_lines()

    otelkit.get_logger().info("x")

    assert before + 1 == logs.lost_lines()


@pytest.mark.parametrize("mode", ["auto", "attach"])
def test_the_stdout_of_the_moment(install, monkeypatch, mode):
    """A line goes to the stdout that is there when it is logged, also after one that took none."""
    monkeypatch.setattr(sys, "stdout", closed())
    install(log_setup=mode)
    log = otelkit.get_logger()
    log.info("lost")
    for text in ("one", "two"):
        with contextlib.redirect_stdout(io.StringIO()) as out:
            log.info(text)
            logging.getLogger("a").info("stdlib")
        assert text in out.getvalue() and "lost" not in out.getvalue()
        assert ("stdlib" in out.getvalue()) is (mode == "auto")


def test_the_applications_format_stays(install, capsys):
    """Processors that make the line, and show the logger's name, find what they found before."""
    structlog.configure(
        processors=[structlog.stdlib.add_logger_name, structlog.processors.KeyValueRenderer()]
    )
    install()

    otelkit.get_logger("orders").info("x", a=1)

    assert "a=1 event='x' logger='orders'\n" == capsys.readouterr().out


@pytest.mark.parametrize("before", [[], ["auto"], ["configure"]], ids=str)
def test_a_file_of_the_applications_is_written_to(install, capsys, before):
    """A factory that was told a file prints there, as ever, whatever was installed before and taken out."""
    for mode in before:
        install(log_setup=mode).uninstall()
    file = io.StringIO()
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(file))
    install()

    otelkit.get_logger().info("x")

    assert ("x" in file.getvalue(), "") == (True, capsys.readouterr().out)


@pytest.mark.parametrize(
    "ours, configuration",
    [
        (False, lambda file: {"logger_factory": structlog.PrintLoggerFactory(file)}),
        (True, lambda _: {"wrapper_class": structlog.make_filtering_bound_logger(logging.INFO)}),
        (True, lambda _: {"cache_logger_on_first_use": False}),
    ],
    ids=["a file", "a level", "a cache"],
)
def test_configured_after_the_installation(install, capsys, ours, configuration):
    """Where the application says later who takes the lines, they are its own from then on; else they stay ours."""
    install()
    structlog.configure(**configuration(file := io.StringIO()))

    otelkit.get_logger().info("x")

    line = capsys.readouterr().out + file.getvalue()
    assert ("x" in line, ours) == (True, line.startswith("{"))


@pytest.mark.parametrize("again", [copy.deepcopy, lambda log: pickle.loads(pickle.dumps(log))])  # noqa: S301
def test_bound_loggers_are_copied_and_pickled(install, capsys, again):
    """A logger of ours with bound fields can be copied and pickled, and goes on to log."""
    structlog.configure(processors=[structlog.processors.KeyValueRenderer()])
    install()
    bound = otelkit.get_logger("orders").bind(a=1)

    again(bound).info("x")

    assert "a=1 event='x'\n" == capsys.readouterr().out
