"""What the demo shows at the end: one request from all sides, then the numbers of all of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from examples.agent.drive import Reply, request_id
from examples.agent.readback import Page, read_red

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from examples.agent.terminal import Terminal

__all__ = ["choices", "disagreements", "show_counts", "show_errors", "show_logs", "show_red", "show_trace"]

_ALWAYS = (
    "timestamp",
    "level",
    "event",
    "logger",
    "service",
    "trace_id",
    "span_id",
    "trace_flags",
    "correlation_id",
)
_LEVELS = {"warning": "yellow", "error": "red", "critical": "red"}
_NAMES = {"traces": "spans", "logs": "log records", "metrics": "metric points"}


def choices(replies: Sequence[Reply]) -> list[Reply]:
    """The requests worth a look: answered questions of ordinary length, the most ordinary one first."""
    answered = [r for r in replies if not r.failed and r.trace_id and 20 <= len(r.query) <= 60]
    answered.sort(key=lambda reply: reply.seconds)
    middle = len(answered) // 2
    return [answered[n] for n in sorted(range(len(answered)), key=lambda n: abs(n - middle))]


def show_trace(terminal: Terminal, reply: Reply, tree: str) -> None:
    """The spans of one request."""
    terminal.heading("One request", f"trace {reply.trace_id}")
    answer = f"→ {reply.status}, from topic {reply.topic!r}"
    terminal.line(f"  “{reply.query}” {terminal.paint(answer, 'dim')}")
    terminal.line()
    for line in tree.splitlines():
        terminal.line(f"  {line}")


def show_logs(terminal: Terminal, reply: Reply, lines: Sequence[Mapping[str, Any]]) -> None:
    """The log lines of one request: those with its trace id."""
    terminal.heading("Its log lines", f"request {request_id(reply.number)}")
    for line in lines:
        if line.get("trace_id") == reply.trace_id:
            terminal.line("  " + _log_line(terminal, line))


def _log_line(terminal: Terminal, line: Mapping[str, Any]) -> str:
    level, time = str(line.get("level", "")), str(line.get("timestamp", ""))[11:23]
    ids = f"trace={line.get('trace_id', '')!s:.8} span={line.get('span_id', '')!s:.8}"
    fields = " ".join(f"{key}={value}" for key, value in line.items() if key not in _ALWAYS)
    room = terminal.width - len(f"  {time} {level:<7} {ids}  ")
    event = f"{line.get('event', '')!s:<16}"[:room]
    return (
        f"{terminal.paint(time, 'dim')} {terminal.paint(f'{level:<7}', _LEVELS.get(level, 'green'))} "
        f"{terminal.paint(ids, 'cyan')} {terminal.paint(event, 'bold')} "
        f"{terminal.paint(_cut(fields, room - len(event)), 'dim')}"
    ).rstrip()


def _cut(text: str, room: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= room else text[: max(0, room - 1)] + "…" * (room > 1)


def show_red(terminal: Terminal, page: Page, *, seconds: float) -> None:
    """Rate, errors and duration of the service, from its ``/metrics``."""
    terminal.heading("Rate, errors, duration", "read back from /metrics")
    rows = [
        (
            row.method,
            row.endpoint,
            f"{row.requests:,}",
            f"{row.per_second:.1f}/s",
            f"{row.errors:,}",
            f"{100 * row.errors / max(1, row.requests):.1f} %",
            _milliseconds(row.p50_s),
            _milliseconds(row.p95_s),
        )
        for row in read_red(page, seconds=seconds)
    ]
    terminal.table(("method", "endpoint", "requests", "rate", "errors", "share", "p50", "p95"), rows, left=2)
    tokens, answers = page.total("llm_tokens_used_sum"), page.total("llm_tokens_used_count")
    size = page.total("response_size_bytes_sum")
    note = f"{answers:,.0f} answers: {tokens:,.0f} tokens, {size / 1024:,.0f} KiB of text"
    terminal.line("  " + terminal.paint(note, "dim"))


def show_errors(
    terminal: Terminal, page: Page, replies: Sequence[Reply], lines: Sequence[Mapping[str, Any]]
) -> None:
    """The errors by type, each with a trace to look at."""
    terminal.heading("Errors by type", "read back from /metrics")
    statuses = {request_id(reply.number): reply.status for reply in replies}
    examples: dict[str, Mapping[str, Any]] = {}
    for line in lines:
        if "error_type" in line and "correlation_id" in line:
            examples.setdefault(str(line["error_type"]), line)
    rows = []
    for kind, count in sorted(page.by("agent_errors_total", "error_type").items(), key=lambda item: -item[1]):
        line = examples.get(kind, {})
        status = statuses.get(str(line.get("correlation_id")), "")
        rows.append((kind, f"{count:,.0f}", str(status), str(line.get("trace_id", ""))))
    terminal.table(("error", "count", "HTTP", "for example trace"), rows)


def show_counts(terminal: Terminal, counts: Mapping[str, Mapping[str, Any]], *, to: str) -> None:
    """What became of every span, log record and metric point."""
    terminal.heading("Telemetry", to)
    rows = []
    for signal, name in _NAMES.items():
        count = {"dropped": {}, **counts.get(signal, {})}
        dropped = sum(count["dropped"].values())
        numbers = [count.get("created", 0), count.get("delivered", 0), dropped, count.get("sampled_out", 0)]
        rows.append((name, *(f"{number:,}" for number in numbers)))
    head = ("signal", "created", "delivered", "dropped", "sampled out")
    shown = len(head) if any(row[-1] != "0" for row in rows) else len(head) - 1
    terminal.table(head[:shown], [row[:shown] for row in rows])


def disagreements(replies: Sequence[Reply], page: Page) -> list[str]:
    """What does not fit between the replies that came and the numbers of ``/metrics``."""
    found = []
    unanswered = sum(reply.status == 0 for reply in replies)
    if unanswered:
        found.append(f"{unanswered} queries got no answer from the service")
    expected = {
        "agent_requests_total": len(replies),
        "agent_errors_total": sum(reply.failed for reply in replies),
        "agent_request_duration_seconds_count": len(replies),
        "response_size_bytes_count": sum(not reply.failed for reply in replies),
        "agent_active_connections": 0,
    }
    for name, number in expected.items():
        if page.total(name) != number:
            found.append(f"{name} is {page.total(name):g} on /metrics, but {number} were seen")
    return found


def _milliseconds(seconds: float) -> str:
    return "-" if math.isnan(seconds) else f"{seconds * 1000:.1f} ms"
