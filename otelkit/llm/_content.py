"""Prompts and answers as the GenAI conventions want them on spans: JSON, redacted, bounded.

Source: https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/, "Recording content on
attributes".
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import Any

from otelkit.processors.limits import for_json, snapshot
from otelkit.processors.plain import items_of
from otelkit.processors.redact import Redactor

__all__ = ["MAX_TEXT", "input_messages", "output_messages", "system_instructions"]

MAX_TEXT = 4_000
"""Characters of one text in a prompt or an answer at most."""

_MAX_ALL = 30_000  # below the default limit of an attribute, which would cut the JSON somewhere
_DEFAULT = Redactor()


def input_messages(messages: Any) -> str:
    """A prompt: a text, or messages as any client takes them; the oldest that do not fit are left out."""
    several = items_of(messages) if issubclass(type(messages), (list, tuple)) else (messages,)
    kept: list[str] = []
    size = 0
    for message in reversed(several):
        line = _json(_message(message))
        size += len(line)
        if kept and size > _MAX_ALL:
            break
        kept.append(line)
    return f"[{','.join(reversed(kept))}]"


def output_messages(answers: Sequence[str], reasons: Sequence[str]) -> str:
    """An answer: the text of each choice, and why it ended."""
    padded = [*reasons, *[""] * len(answers)]
    return _json(
        tuple(
            {"role": "assistant", "parts": (_text(answer[:MAX_TEXT]),), "finish_reason": reason}
            for answer, reason in zip(answers, padded)
        )
    )


def system_instructions(system: Any) -> str:
    """The system prompt, given apart from the messages."""
    return _json(_parts(snapshot(system, max_length=MAX_TEXT)))


def _message(message: Any) -> dict[str, Any]:
    plain = snapshot(message, max_length=MAX_TEXT)
    if not isinstance(plain, dict):
        return {"role": "user", "parts": _parts(plain)}
    content = plain.get("parts", plain.get("content", ""))
    shown = {"role": plain.get("role", "user"), "parts": _parts(content)}
    for calls in ("tool_calls", "tool_call_id", "name"):
        if plain.get(calls):
            shown[calls] = plain[calls]
    return shown


def _parts(content: Any) -> tuple[Any, ...]:
    several = content if isinstance(content, tuple) else (content,)
    return tuple(_part(part) for part in several)


def _part(part: Any) -> Any:
    if isinstance(part, dict):
        found = part.get("text")
        return _text(found) if isinstance(found, str) and part.get("type", "text") == "text" else part
    return _text(part if isinstance(part, str) else str(part))


def _text(content: str) -> dict[str, str]:
    return {"type": "text", "content": content}


def _json(plain: Any) -> str:
    return json.dumps(for_json(_redactor().value("", plain)), ensure_ascii=False)


def _redactor() -> Redactor:
    """That of the runtime; the built-in rules while none runs."""
    module = sys.modules.get("otelkit.runtime")
    runtime = None if module is None else module.current()
    return _DEFAULT if runtime is None else runtime.redactor
