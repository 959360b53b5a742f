"""The pages of documentation and what the tests read in them: code, output and links.

A fenced block's first word is its language. Of ``python`` blocks, the words after it say how it is
tested: ``no-run`` (only compiled). A block with the word ``output`` right after a ``python`` block
is what that prints; ``...`` in it stands for anything.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["DOCS", "HOME", "PAGES", "README", "Block", "examples", "links"]

HOME = Path(__file__).resolve().parents[2]
README = HOME / "README.md"
DOCS = tuple(sorted((HOME / "docs").glob("*.md")))
PAGES = (README, HOME / "CONTRIBUTING.md", HOME / "CHANGELOG.md", *DOCS)

_FENCE = re.compile(r"^```(?P<words>[^\n`]*)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\(<?([^)\s>]+)>?\)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """A ``python`` block: where it stands, its text, and what it prints if the page says so."""

    page: str
    line: int
    words: frozenset[str]
    text: str
    output: str | None

    @property
    def name(self) -> str:
        """``docs/logs.md:12``, for the name of a test."""
        return f"{self.page}:{self.line}"

    @property
    def is_test(self) -> bool:
        """Whether it holds test functions, which pytest is to run."""
        return re.search(r"^(async )?def test_", self.text, re.MULTILINE) is not None

    @property
    def imports(self) -> list[str]:
        """The packages that it imports, each once."""
        return sorted(set(re.findall(r"^(?:import|from) (\w+)", self.text, re.MULTILINE)))


def examples(page: Path) -> list[Block]:
    """The ``python`` blocks of a page."""
    text = page.read_text(encoding="utf-8")
    fences = list(_FENCE.finditer(text))
    found = []
    for fence, following in zip(fences, [*fences[1:], None]):
        language, *words = fence["words"].split() or [""]
        if language != "python":
            continue
        printed = following is not None and "output" in following["words"].split()
        found.append(
            Block(
                page=page.relative_to(HOME).as_posix(),
                line=text.count("\n", 0, fence.start()) + 1,
                words=frozenset(words),
                text=fence["text"],
                output=following["text"] if printed and following is not None else None,
            )
        )
    return found


def links(page: Path) -> list[str]:
    """The targets of a page's links to files, without the part after ``#``; code is left out."""
    prose = re.sub(r"`[^`\n]*`", "", _FENCE.sub("", page.read_text(encoding="utf-8")))
    targets = (target.partition("#")[0] for target in _LINK.findall(prose))
    return [
        target for target in targets if target and "://" not in target and not target.startswith("mailto:")
    ]
