"""What the demo writes with: headings, tables and a progress bar; colours only on a terminal."""

from __future__ import annotations

import os
import shutil
import sys
import time
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Progress", "Terminal"]

_CODES = {"bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "cyan": "36"}
_BAR = 32


class Terminal:
    """A stream to write on, 80 to 100 columns wide.

    Args:
        stream: Where to write; by default stdout.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stdout
        reconfigure = getattr(self._stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")  # an old encoding costs a character, never the demo
        self.live = self._stream.isatty() and os.environ.get("TERM") != "dumb"
        self.colour = self.live and not os.environ.get("NO_COLOR")
        self.width = max(80, min(100, shutil.get_terminal_size((100, 24)).columns))

    def write(self, text: str) -> None:
        """Write and flush, exactly this text."""
        self._stream.write(text)
        self._stream.flush()

    def line(self, text: str = "") -> None:
        """Write a line."""
        self.write(text + "\n")

    def heading(self, title: str, note: str = "") -> None:
        """Begin a section."""
        rest = self.width - len(title) - len(note) - 4 - bool(note)
        rule = "─" * max(2, rest)
        self.line()
        self.line(
            f"{self.paint('──', 'dim')} {self.paint(title, 'bold')} "
            f"{self.paint(rule + (' ' + note if note else ''), 'dim')}"
        )

    def paint(self, text: str, *styles: str) -> str:
        """The text in these styles, on a terminal."""
        if not self.colour or not styles:
            return text
        return f"\x1b[{';'.join(_CODES[style] for style in styles)}m{text}\x1b[0m"

    def table(self, head: Sequence[str], rows: Sequence[Sequence[str]], *, left: int = 1) -> None:
        """Write aligned columns.

        Args:
            head: The titles.
            rows: The cells, without colours.
            left: So many columns from the left are words; the others are numbers.
        """
        widths = [max(len(row[n]) for row in (head, *rows)) for n in range(len(head))]

        def aligned(cells: Sequence[str]) -> str:
            return "   ".join(
                cell.ljust(width) if n < left else cell.rjust(width)
                for n, (cell, width) in enumerate(zip(cells, widths, strict=True))
            ).rstrip()

        self.line("  " + self.paint(aligned(head), "dim"))
        for row in rows:
            self.line("  " + aligned(row))


class Progress:
    """A bar that moves on a terminal, and a line at each quarter anywhere else.

    Args:
        terminal: Where it is shown.
        total: How many steps there are.
    """

    def __init__(self, terminal: Terminal, total: int) -> None:
        self._terminal = terminal
        self._total = total
        self._done = 0
        self._errors = 0
        self._started = time.monotonic()
        self._drawn = 0.0

    def step(self, *, error: bool) -> None:
        """One more step is done."""
        self._done += 1
        self._errors += error
        over = self._done == self._total
        if self._terminal.live:
            now = time.monotonic()
            if over or now - self._drawn >= 0.05:
                self._drawn = now
                self._terminal.write(f"\r  {self._bar()}  {self._text()}" + ("\n" if over else ""))
        elif over or self._done * 4 // self._total > (self._done - 1) * 4 // self._total:
            self._terminal.line(f"  {self._text()}")

    def _bar(self) -> str:
        full = _BAR * self._done // self._total
        paint = self._terminal.paint
        return paint("━" * full, "cyan") + paint(
            "━" * (_BAR - full) if self._terminal.colour else "-" * (_BAR - full), "dim"
        )

    def _text(self) -> str:
        rate = self._done / max(1e-9, time.monotonic() - self._started)
        return (
            f"{100 * self._done // self._total:3d} %  {self._done:>3}/{self._total} queries  "
            f"{self._errors:>3} errors  {rate:5.0f}/s"
        )
