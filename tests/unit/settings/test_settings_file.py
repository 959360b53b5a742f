"""pyproject.toml of the working folder as a source."""

from __future__ import annotations

import os

import pytest

from otelkit.settings import resolve


def test_every_type_of_the_file(write_file):
    """Numbers, booleans, lists and tables are taken as they are; dashes and underscores are one."""
    write_file(
        'sample-ratio = 0.5\nlog_level = "debug"\nconsole = false\nredact = ["ssn", "/sk-[a-z]+/"]\n'
        'prometheus_port = 9100\ninstrument = ["redis"]\n'
        '[tool.otelkit.headers]\nX-Team = "core"\n[tool.otelkit.resource_attributes]\n"service.name" = "shop"\n'
    )

    s = resolve()

    assert () == s.problems
    assert (0.5, 10, False, 9100, ("redis",)) == (
        s.sample_ratio, s.log_level, s.console, s.prometheus_port, s.instrument
    )  # fmt: skip
    assert ("ssn", "sk-[a-z]+") == (s.redact[0], s.redact[1].pattern)
    assert ({"x-team": "core"}, "shop", "file") == (s.headers, s.service_name, s.origins["service_name"])


def test_unknown_key_is_named(write_file):
    """A misspelt key, and one that only code can set, is one line each."""
    write_file("sampel_ratio = 0.5\nspan_exporters = []")

    first, second = resolve().problems

    assert "'sampel_ratio' ([tool.otelkit] in pyproject.toml)" in first
    assert "did you mean 'sample_ratio'?" in first
    assert "'span_exporters'" in second


def test_wrong_value_in_the_file(write_file):
    """A wrong value says that it stands in the file."""
    write_file("sample_ratio = 7")

    (line,) = resolve().problems

    assert line.startswith("sample_ratio=7 ([tool.otelkit] in pyproject.toml) cannot be used")


@pytest.mark.parametrize("text", ["[tool.otelkit\n", "a = \udcff", "tool = 5\n[tool.otelkit]"])
def test_malformed_file_is_one_line(tmp_path, text):
    """A file that cannot be read is one line; the other sources work."""
    (tmp_path / "pyproject.toml").write_bytes(text.encode("utf-8", "surrogateescape"))

    settings = resolve(service_name="shop")

    assert "shop" == settings.service_name
    (line,) = settings.problems
    assert line.startswith("pyproject.toml in the working folder cannot be read")
    assert "\n" not in line


def test_otelkit_must_be_a_table(write_file):
    """tool.otelkit that is no table is one line."""
    write_file("otelkit = 5", head="[tool]\n")

    (line,) = resolve().problems

    assert "must be a table" in line


@pytest.mark.parametrize("text", ["", "[tool.other]\nx = 1", "tool = 5"])
def test_file_of_others_is_silent(tmp_path, text):
    """A file without [tool.otelkit] is no problem."""
    (tmp_path / "pyproject.toml").write_text(text, encoding="utf-8")

    assert () == resolve().problems


def test_changed_file_is_read_again(write_file, tmp_path):
    """The parsed file is kept until its time or size changes."""
    write_file("sample_ratio = 0.25")
    assert 0.25 == resolve().sample_ratio
    write_file("sample_ratio = 0.5")
    os.utime(tmp_path / "pyproject.toml", ns=(1, 1))

    assert 0.5 == resolve().sample_ratio


def test_folder_or_pipe_of_that_name_is_left_alone(tmp_path):
    """Only a regular file is opened: a pipe would block for ever."""
    os.mkfifo(tmp_path / "pyproject.toml")

    assert () == resolve().problems


def test_removed_working_folder(tmp_path, monkeypatch):
    """A working folder that is gone means no file."""
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()

    assert () == resolve().problems
