"""What README and docs show works as it is shown."""

from __future__ import annotations

import re
from importlib.metadata import entry_points
from importlib.util import find_spec

import pytest
from pages import DOCS, HOME, PAGES, README, Block, examples, links

from process import run
from sink import Sink

EXAMPLES = [block for page in (README, *DOCS) for block in examples(page)]
RUN = [block for block in EXAMPLES if "no-run" not in block.words]


def run_example(block: Block, sink: Sink, folder):
    """Run it in a process of its own; one with test functions under pytest, with the plugin."""
    env = {"OTEL_EXPORTER_OTLP_ENDPOINT": sink.http_endpoint, "NO_COLOR": "1"}
    if not block.is_test:
        return run(block.text, env=env, cwd=folder)
    (folder / "test_example.py").write_text(block.text, encoding="utf-8")
    plugin = [] if entry_points(group="pytest11", name="otelkit") else ["-p", "otelkit._pytest"]
    return run(
        ["-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:asyncio", *plugin, "test_example.py"],
        env=env,
        cwd=folder,
    )


@pytest.mark.parametrize("block", EXAMPLES, ids=lambda block: block.name)
def test_examples_are_python(block):
    """Each example compiles, also one that is not run, and knows no other way to be tested."""
    compile(block.text, block.name, "exec")

    assert block.words <= {"no-run"}


@pytest.mark.parametrize("block", RUN, ids=lambda block: block.name)
def test_examples_run(block, tmp_path):
    """Each example runs on its own, to a good end, and nothing is said on stderr; shown output is true."""
    absent = [name for name in block.imports if find_spec(name) is None]
    if absent:
        pytest.skip(f"{', '.join(absent)} not installed")
    with Sink() as sink:
        ended = run_example(block, sink, tmp_path)

    assert ended.code == 0, ended.stdout + ended.stderr
    assert ended.stderr == ""
    if block.output is not None:
        assert re.fullmatch(pattern(block.output), ended.stdout, re.DOTALL), ended.stdout


def pattern(shown: str) -> str:
    """A regular expression for output in which ``...`` stands for anything within a line."""
    return r"[^\n]*?".join(map(re.escape, shown.split("...")))


def test_the_first_example_sends_three_signals(tmp_path):
    """README's first example delivers its span, its log record with the span's ids, and its counter."""
    with Sink() as sink:
        run_example(EXAMPLES[0], sink, tmp_path)
        span, record = sink.spans[0], sink.logs[0]

    assert (span.name, record.span_id) == ("checkout", span.span_id)
    assert [(point.name, point.value) for point in sink.metrics if point.name == "orders"] == [("orders", 1)]


def test_readme_is_short():
    """README has under 100 lines and a working example before line 31."""
    lines = README.read_text(encoding="utf-8").splitlines()

    assert len(lines) < 100
    assert examples(README)[0].line + examples(README)[0].text.count("\n") < 31
    assert "no-run" not in examples(README)[0].words


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md"])
def test_named_commands_exist(page):
    """Each `make` command that a page names is a target of the Makefile, and README names two."""
    targets = re.findall(r"^([a-z]+):", (HOME / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    named = set(re.findall(r"\bmake ([a-z]+)\b", (HOME / page).read_text(encoding="utf-8")))

    assert {"demo", "test"} <= named <= set(targets)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page):
    """Each relative link of a page leads to a file or folder of this repository."""
    assert [target for target in links(page) if not (page.parent / target).exists()] == []
