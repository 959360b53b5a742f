"""structlog's logger that prints, for loggers of ours: to the stdout of the moment, and never raising."""

from __future__ import annotations

from typing import Any

from structlog import PrintLogger

from otelkit.logs.stdout import write_line
from otelkit.processors.plain import safe_str

__all__ = ["PresentStdout"]


class PresentStdout(PrintLogger):
    """Prints each line to the present ``sys.stdout``; one that cannot be written is counted.

    structlog's own needs a stdout where it is made, and raises into the application where it is closed.

    Args:
        name: The logger's, for processors that show it.
    """

    def __init__(self, name: str | None = None) -> None:  # no file to hold, and no lock of a file
        self.name = name

    def __getstate__(self) -> Any:
        return {"name": self.name}

    def __setstate__(self, state: Any) -> None:
        self.__dict__.update(state)

    def __deepcopy__(self, memodict: dict[str, object]) -> PresentStdout:
        return type(self)(self.name)

    def __repr__(self) -> str:
        return "<PresentStdout>"

    def msg(self, message: str) -> None:
        """Write one line."""
        write_line(safe_str(message))

    log = debug = info = warn = warning = msg
    fatal = failure = err = error = critical = exception = msg
