"""The demo: start the service, ask it everything, show what its telemetry knows, end."""

from __future__ import annotations

import argparse
import json
import sys
import time

from examples.agent import report
from examples.agent.drive import Reply, ask_all, get, load_queries
from examples.agent.launch import Service, ServiceFailedError, destination
from examples.agent.readback import Page
from examples.agent.terminal import Progress, Terminal

_TRIES = 50


def main() -> int:
    """Run the demo.

    Returns:
        0 when every query was answered and all numbers agree, else 1.
    """
    parser = argparse.ArgumentParser(
        prog="python -m examples.agent",
        description=__doc__,
        epilog="DATABASE_URL keeps passages and history in PostgreSQL, REDIS_URL answers in Redis.",
    )
    parser.add_argument("--concurrency", type=int, default=4, help="queries at a time (default 4)")
    concurrency = max(1, parser.parse_args().concurrency)
    terminal = Terminal()
    service = Service()
    try:
        with service:
            return _show(terminal, service, concurrency)
    except ServiceFailedError as error:
        terminal.line(terminal.paint(f"The service failed: {error}", "red"))
        return 1
    except KeyboardInterrupt:
        return 130
    finally:
        sys.stderr.writelines(service.errors)


def _show(terminal: Terminal, service: Service, concurrency: int) -> int:
    _introduce(terminal, service)
    queries = load_queries()
    if service.has_cache:
        queries *= 2  # so that there is something to find in it
    progress = Progress(terminal, len(queries))

    def on_reply(reply: Reply) -> None:
        progress.step(error=reply.failed)

    has_stores = service.has_database or service.has_cache
    before = Page(get(service.port, "/metrics/") if has_stores else "")
    started = time.monotonic()
    replies = ask_all(service.port, queries, concurrency=concurrency, on_reply=on_reply)
    seconds = time.monotonic() - started
    itself = json.loads(get(service.port, "/readings"))
    page = Page(get(service.port, "/metrics/"))
    chosen, tree = _look(terminal, service, replies)
    last = service.end()
    if not last["counts"]:
        terminal.line("\n  telemetry is disabled, so there is nothing to show\n")
        return 0

    if chosen is not None:
        report.show_trace(terminal, chosen, tree)
        report.show_logs(terminal, chosen, service.lines)
    report.show_red(terminal, page, itself, seconds=seconds)
    report.show_errors(terminal, page, replies, service.lines)
    if has_stores:
        report.show_databases(terminal, page, before)
    report.show_counts(terminal, last["counts"], to=destination() or "in memory")
    problems = report.disagreements(replies, page, itself, has_cache=service.has_cache)
    return _conclude(terminal, problems, complete=last["complete"], sent=len(replies))


def _introduce(terminal: Terminal, service: Service) -> None:
    where = " in PostgreSQL" if service.has_database else ""
    cache = ", answers in Redis" if service.has_cache else ""
    to = destination() or "kept in memory, OTEL_EXPORTER_OTLP_ENDPOINT is not set"
    terminal.heading("An agent that knows Python's language reference")
    terminal.line(f"  {service.passages:,} passages{where}{cache}, at http://127.0.0.1:{service.port}")
    terminal.line(f"  telemetry: {to}")
    terminal.line()


def _look(terminal: Terminal, service: Service, replies: list[Reply]) -> tuple[Reply | None, str]:
    """An ordinary request and its trace; with few traces sampled it takes a few tries."""
    for reply in report.choices(replies)[:_TRIES]:
        tree = get(service.port, f"/traces/{reply.trace_id}?colour={terminal.colour}")
        if tree:
            return reply, tree
    return None, ""


def _conclude(terminal: Terminal, problems: list[str], *, complete: bool, sent: int) -> int:
    terminal.line()
    for problem in problems:
        terminal.line(terminal.paint(f"  ✗ {problem}", "red"))
    if not problems:
        terminal.line(terminal.paint(f"  ✓ all {sent} queries are on /metrics, none is missing", "green"))
        terminal.line(terminal.paint("  ✓ the service reads the same numbers of itself", "green"))
    if complete:
        terminal.line(terminal.paint("  ✓ everything that was created was delivered", "green"))
    else:
        terminal.line(terminal.paint("  ! not everything was delivered, see the counts above", "yellow"))
    terminal.line()
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
