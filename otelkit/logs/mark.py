"""Ids and bound fields on a line that somebody else's formatter has made."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from otelkit.logs.render_json import plain_text
from otelkit.processors.limits import cut

if TYPE_CHECKING:
    from otelkit.logs.event import Event

__all__ = ["marked"]

_TELLING_LENGTH = 8


def marked(line: str, event: Event) -> str:
    """The line with the ids and bound fields of its event.

    Args:
        line: As the application's formatter made it.
        event: What the line says.

    Returns:
        The line itself where all of them are on it already. Otherwise the missing ones are put into
        the object, for a line of JSON, or behind the first line as ``key=value``.
    """
    missing: dict[str, object] = {}
    if event.ids is not None and event.ids.trace_id not in line:
        missing.update(zip(event.ids._fields, event.ids, strict=True))
    for name in event.bound:
        value = event.fields.get(name)
        if not _shows(line, name, plain_text(value)):
            missing[name] = cut(value)
    if not missing:
        return line
    if line[:1] == "{" and line.rstrip()[-1:] == "}" and _is_object(line):
        inner = json.dumps(missing, ensure_ascii=False, default=plain_text)[1:-1]
        rest = line[1:]
        return f"{{{inner}{'' if rest.lstrip().startswith('}') else ', '}{rest}"
    first, end, rest = line.partition("\n")
    missing.pop("trace_flags", None)
    words = " ".join(f"{name}={plain_text(value)}" for name, value in missing.items())
    return f"{first} {words}{end}{rest}"


def _shows(line: str, name: str, text: str) -> bool:
    """Whether the field stands on the line: as a pair, or as a value too long to be there by chance."""
    if f"{name}={text}" in line or f'"{name}"' in line:
        return True
    return len(text) >= _TELLING_LENGTH and text in line


def _is_object(line: str) -> bool:
    try:
        return isinstance(json.loads(line), dict)
    except ValueError:
        return False
