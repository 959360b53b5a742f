"""What the demo shows at the end: one request from all sides, then the numbers of all of them."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from examples.agent.drive import Reply, request_id
from examples.agent.readback import Page, read_calls, read_red

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from examples.agent.terminal import Terminal

__all__ = [
    "choices",
    "disagreements",
    "show_counts",
    "show_databases",
    "show_errors",
    "show_logs",
    "show_red",
    "show_trace",
]

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
    "function",
    "method",
    "endpoint",
)
_LEVELS = {"warning": "yellow", "error": "red", "critical": "red"}
_NAMES = {"traces": "spans", "logs": "log records", "metrics": "metric points"}


def choices(replies: Sequence[Reply]) -> list[Reply]:
    """The requests worth a look: answered questions of ordinary length, the most ordinary one first.

    Answers from the cache come last: there is less to see in them.
    """
    answered = [r for r in replies if not r.failed and r.trace_id and 20 <= len(r.query) <= 60]
    made = sorted((r for r in answered if not r.cached), key=lambda reply: reply.seconds)
    middle = len(made) // 2
    ordinary = [made[n] for n in sorted(range(len(made)), key=lambda n: abs(n - middle))]
    return [*ordinary, *(reply for reply in answered if reply.cached)]


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
    fields = " ".join(f"{key}={_brief(value)}" for key, value in line.items() if key not in _ALWAYS)
    room = terminal.width - len(f"  {time} {level:<7} {ids}  ")
    event = f"{line.get('event', '')!s:<17}"[:room]
    return (
        f"{terminal.paint(time, 'dim')} {terminal.paint(f'{level:<7}', _LEVELS.get(level, 'green'))} "
        f"{terminal.paint(ids, 'cyan')} {terminal.paint(event, 'bold')} "
        f"{terminal.paint(_cut(fields, room - len(event)), 'dim')}"
    ).rstrip()


def _brief(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _cut(text: str, room: int) -> str:
    text = " ".join(text.split())
    return text if len(text) <= room else text[: max(0, room - 1)] + "…" * (room > 1)


def show_red(terminal: Terminal, page: Page, itself: Mapping[str, Any], *, seconds: float) -> None:
    """Rate, errors and duration of the service, from its ``/metrics`` and as it reads them itself."""
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
    tokens, answers = page.total("llm_tokens_used_sum"), page.total("response_size_bytes_count")
    size = page.total("response_size_bytes_sum")
    hits = page.total("agent_cache_lookups_total", result="hit")
    cached = f", {hits:,.0f} from the cache" if hits else ""
    for note in (
        f"{answers:,.0f} answers{cached}: {tokens:,.0f} tokens, {size / 1024:,.0f} KiB of text",
        f"its own readings: {_reading(itself)}",
    ):
        terminal.line("  " + terminal.paint(note, "dim"))


def _reading(itself: Mapping[str, Any]) -> str:
    shown = {name: math.nan if value is None else value for name, value in itself.items()}
    return (
        f"{shown['per_second']:.1f}/s, {100 * shown['error_ratio']:.1f} % errors, "
        f"p95 {_milliseconds(shown['p95_s'])}, {shown['tokens']:,.0f} tokens"
    )


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
    counts = sorted(page.by("agent_errors_total", "error_type").items(), key=lambda item: (-item[1], item[0]))
    for kind, count in ((kind, count) for kind, count in counts if count):
        line = examples.get(kind, {})
        status = statuses.get(str(line.get("correlation_id")), "")
        rows.append((kind, f"{count:,.0f}", str(status), str(line.get("trace_id", ""))))
    terminal.table(("error", "count", "HTTP", "for example trace"), rows)


def show_databases(terminal: Terminal, page: Page, before: Page) -> None:
    """What the queries asked of PostgreSQL and Redis, and how the cache fared."""
    terminal.heading("Databases", "read back from /metrics")
    rows = [
        (call.system, call.name, f"{call.count:,}", _milliseconds(call.mean_s))
        for call in read_calls(page, before)
    ]
    terminal.table(("database", "operation", "calls", "mean"), rows, left=2)
    lookups = page.by("agent_cache_lookups_total", "result")
    if lookups:
        hits, misses = lookups.get("hit", 0), lookups.get("miss", 0)
        note = (
            f"cache: {hits:,.0f} hits, {misses:,.0f} misses, {page.total('cache_entries_total'):,.0f} entries"
        )
        terminal.line("  " + terminal.paint(note, "dim"))


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


def disagreements(
    replies: Sequence[Reply], page: Page, itself: Mapping[str, Any], *, has_cache: bool
) -> list[str]:
    """What does not fit between the replies that came, the numbers of ``/metrics`` and the readings."""
    found = []
    unanswered = sum(reply.status == 0 for reply in replies)
    if unanswered:
        found.append(f"{unanswered} queries got no answer from the service")
    failed, cached = sum(reply.failed for reply in replies), sum(reply.cached for reply in replies)
    answered = len(replies) - failed
    for name, number in {
        "agent_requests_total": len(replies),
        "agent_errors_total": failed,
        "agent_request_duration_seconds_count": len(replies),
        "response_size_bytes_count": answered,
        "llm_tokens_used_count": answered - cached,
        "agent_active_connections": 0,
    }.items():
        if page.total(name) != number:
            found.append(f"{name} is {page.total(name):g} on /metrics, but {number} were seen")
    hits = page.total("agent_cache_lookups_total", result="hit")
    if has_cache and hits != cached:
        found.append(f"the cache counts {hits:g} hits, but {cached} answers came from it")
    for name, number in {
        "requests": len(replies),
        "errors": failed,
        "error_ratio": failed / len(replies),
        "p95_s": page.quantile(0.95, "agent_request_duration_seconds"),
        "tokens": page.total("llm_tokens_used_sum"),
    }.items():
        if itself[name] is None or not math.isclose(itself[name], number):
            found.append(f"the service reads {name} = {itself[name]} of itself, but it is {number:g}")
    return found


def _milliseconds(seconds: float) -> str:
    return "-" if math.isnan(seconds) else f"{seconds * 1000:.1f} ms"
