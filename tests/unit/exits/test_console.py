import io

import pytest
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import NonRecordingSpan, SpanContext, Status, StatusCode, TraceFlags

from otelkit.exits.console import ConsoleExit, render_tree

MS = 1_000_000


@pytest.fixture
def made():
    """Finished spans of a real tracer; `made.span` makes one with times in milliseconds."""
    return Made()


class Made:
    def __init__(self):
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = provider.get_tracer("test")

    def span(self, name, begin, end, *, parent=None, attributes=None, error=None):
        context = None if parent is None else trace.set_span_in_context(parent)
        span = self.tracer.start_span(name, context=context, start_time=begin * MS, attributes=attributes)
        if error is not None:
            span.set_status(Status(StatusCode.ERROR, error))
        span.end(end * MS)
        return span

    @property
    def spans(self):
        return list(self._exporter.get_finished_spans())


def test_children_stand_below_their_parents_in_order_of_start(made):
    """One line per span: name and duration, branches drawn, whatever the order in which spans ended."""
    root = made.span("root", 0, 100)
    second = made.span("second", 50, 90, parent=root)
    made.span("grandchild", 60, 70, parent=second)
    made.span("first", 10, 20, parent=root)

    assert (
        "root  100.0ms\n"
        "├─ first  10.0ms\n"
        "└─ second  40.0ms\n"
        "   └─ grandchild  10.0ms"
    ) == render_tree(made.spans)  # fmt: skip


def test_branches_go_past_deeper_levels(made):
    """A line is drawn beside the descendants of all but the last child."""
    root = made.span("root", 0, 100)
    made.span("a1", 2, 3, parent=made.span("a", 1, 5, parent=root))
    made.span("b", 6, 7, parent=root)

    assert ["root", "├─ a", "│  └─ a1", "└─ b"] == [
        line.split("  ")[0] if not line.startswith("│") else line[:8]
        for line in render_tree(made.spans).splitlines()
    ]


def test_attributes_and_errors_are_shown_short(made):
    """Values are cut, line ends folded, the error stands last; both can be left out."""
    made.span(
        "a", 0, 1500, attributes={"n": 3, "text": "x" * 100, "lines": "a\nb"}, error="ValueError: no\ncart"
    )
    line = render_tree(made.spans)

    assert f"a  1.50s  n=3  text={'x' * 59}…  lines=a b  ! ValueError: no cart" == line
    assert "a  1.50s" == render_tree(made.spans, attributes=False)


def test_brief_leaves_out_what_the_name_says(made):
    """On a terminal a request is its name, its status and what the application said of it."""
    attributes = {"server.address": "127.0.0.1", "http.route": "/items", "http.response.status_code": 200}
    made.span("GET /items", 0, 1, attributes={**attributes, "cart.items": 3})
    out = io.StringIO()
    ConsoleExit(out).send(made.spans)

    assert "GET /items  1.0ms  http.response.status_code=200  cart.items=3\n" == out.getvalue()
    assert "server.address=127.0.0.1" in render_tree(made.spans)


def test_an_error_without_description_is_its_exception(made):
    """Where the status says nothing, the last exception event does, else the attribute `error.type`."""
    span = made.tracer.start_span("a", start_time=0)
    span.record_exception(ZeroDivisionError("division by zero"))
    span.set_status(Status(StatusCode.ERROR))
    span.end(MS)
    span = made.tracer.start_span("c", start_time=4 * MS, attributes={"error.type": "500"})
    span.set_status(Status(StatusCode.ERROR))
    span.end(5 * MS)

    lines = render_tree(made.spans).splitlines()
    assert lines[0].endswith("! ZeroDivisionError: division by zero")
    assert lines[-1].endswith("! 500")


def test_colours_are_asked_for(made):
    """Without colour there is no escape sequence; with it errors are red."""
    made.span("bad", 0, 1, error="x")

    assert "\x1b" not in render_tree(made.spans)
    assert "\x1b[31mbad\x1b[0m" in render_tree(made.spans, colour=True)


def test_spans_do_not_reach_the_terminal_as_commands(made):
    """Control characters of names, values and errors are not written to the terminal."""
    made.span("a\x1b[2J", 0, 1, attributes={"k\x1b": "\x1b]0;title\x07"}, error="\x9b31m")

    assert not set("\x1b\x07\x9b") & set(render_tree(made.spans))


def test_surrogates_do_not_break_the_terminal(made):
    """A lone surrogate, which no stream can write, is shown as another character."""
    made.span("a\ud83d", 0, 1, attributes={"k": "\ud83d"})
    out = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    ConsoleExit(out).send(made.spans)
    out.flush()

    assert b"a" in out.buffer.getvalue()


def test_no_spans_are_no_text():
    """An empty trace is an empty text."""
    assert "" == render_tree([])


def test_a_span_whose_parent_is_elsewhere_is_a_root(made):
    """A child of a remote span, or of one that was not kept, stands at the left."""
    remote = NonRecordingSpan(SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(1)))
    made.span("served", 0, 1, parent=remote)

    assert "served  1.0ms" == render_tree(made.spans)


def test_deep_traces_are_shown(made):
    """A trace that is deeper than Python's own stack is rendered."""
    parent = None
    for depth in range(1_500):
        parent = made.span(f"level {depth}", depth, 2_000, parent=parent)

    assert 1_500 == len(render_tree(made.spans).splitlines())


# -- the live view -----------------------------------------------------------------------------


def test_a_trace_is_shown_once_when_its_root_has_ended(made):
    """Children that came in earlier batches are in the tree; nothing is shown before the root."""
    root = made.span("root", 0, 100)
    child = made.span("child", 1, 2, parent=root)
    out = io.StringIO()
    exit_ = ConsoleExit(out)
    by_name = {span.name: span for span in made.spans}

    assert exit_.send([by_name["child"]]) is True
    assert "" == out.getvalue()
    exit_.send([by_name["root"]])
    assert "root  100.0ms\n└─ child  1.0ms\n" == out.getvalue()
    assert child is not None


def test_a_server_span_below_a_remote_parent_shows_its_trace(made):
    """The root in this process is what counts."""
    remote = NonRecordingSpan(SpanContext(1, 2, is_remote=True, trace_flags=TraceFlags(1)))
    made.span("inner", 0, 1, parent=made.span("served", 0, 2, parent=remote))
    out = io.StringIO()
    ConsoleExit(out).send(made.spans[::-1])

    assert "served  2.0ms\n└─ inner  1.0ms\n" == out.getvalue()


def test_unfinished_traces_are_bounded(made):
    """Of traces whose root never ends only the newest 200 are kept, of one trace 1,000 spans."""
    open_roots = [made.tracer.start_span("never ends") for _ in range(250)]
    for root in open_roots:
        made.span("child", 0, 1, parent=root)
    for _ in range(1_200):
        made.span("many", 0, 1, parent=open_roots[-1])
    exit_ = ConsoleExit(io.StringIO())
    exit_.send(made.spans)

    assert 200 == len(exit_._traces)
    assert 1_000 == max(map(len, exit_._traces.values()))
    exit_.close()
    assert 0 == len(exit_._traces)


@pytest.mark.parametrize("stream", ["closed", "broken"])
def test_a_terminal_that_went_away_is_no_error(made, stream):
    """A closed stream or a broken pipe loses the view only."""

    class Broken(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    made.span("a", 0, 1)
    out = Broken() if stream == "broken" else io.StringIO()
    if stream == "closed":
        out.close()

    assert ConsoleExit(out).send(made.spans) is True


def test_no_color_is_honoured(made, monkeypatch):
    """NO_COLOR switches colours off on a terminal too."""

    class Terminal(io.StringIO):
        def isatty(self):
            return True

    made.span("a", 0, 1)
    coloured, plain = Terminal(), Terminal()
    monkeypatch.delenv("NO_COLOR", raising=False)
    ConsoleExit(coloured).send(made.spans)
    monkeypatch.setenv("NO_COLOR", "1")
    ConsoleExit(plain).send(made.spans)

    assert (True, False) == ("\x1b[" in coloured.getvalue(), "\x1b[" in plain.getvalue())
