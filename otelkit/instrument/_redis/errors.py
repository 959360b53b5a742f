"""What may be told of a redis error: its class and the server's code, never the server's words.

A server's error repeats what it was given (``ERR unknown command 'GTE', with args beginning with:
'my-key'``), and redis-py puts the command before the error of a pipeline. A code is one of those that
servers are known to send: a script may answer any word.
"""

from __future__ import annotations

from dataclasses import dataclass

from otelkit.processors.exceptions import class_name
from otelkit.processors.plain import safe_str

__all__ = ["Failure", "failure"]

_REDIS = "redis.exceptions"
_CHANGED = f"{_REDIS}.WatchError"
_MAX_MESSAGE = 300
_PIPELINE = " caused error: "
# Source: the errors of Redis 7 and 8 (`src/server.c`, shared objects, and `src/cluster.c`).
_KNOWN = """
    ASK BUSY BUSYGROUP BUSYKEY CLUSTERDOWN CROSSSLOT DENIED ERR EXECABORT INPROG IOERR LOADING MASTERDOWN
    MISCONF MOVED NOAUTH NOGOODSLAVE NOGROUP NOMASTERLINK NOPERM NOPROTO NOREPLICAS NOSCRIPT NOTBUSY
    NOTREADY OOM READONLY TRYAGAIN UNBLOCKED UNKILLABLE WRONGPASS WRONGTYPE
"""
_CODES = frozenset(_KNOWN.split())
# redis-py below 8 takes the code off the message and keeps only the class.
_CODE_OF_CLASS = {
    "AskError": "ASK",
    "BusyLoadingError": "LOADING",
    "ClusterCrossSlotError": "CROSSSLOT",
    "ClusterDownError": "CLUSTERDOWN",
    "ExecAbortError": "EXECABORT",
    "MasterDownError": "MASTERDOWN",
    "MovedError": "MOVED",
    "NoPermissionError": "NOPERM",
    "NoScriptError": "NOSCRIPT",
    "OutOfMemoryError": "OOM",
    "ReadOnlyError": "READONLY",
    "ResponseError": "ERR",
    "TryAgainError": "TRYAGAIN",
}
# Their message is redis-py's own: which address, what the operating system said.
_OWN_WORDS = frozenset({"ConnectionError", "MaxConnectionsError", "TimeoutError"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """How a command failed.

    Attributes:
        kind: The class of the exception, with its module.
        code: The server's code (``WRONGTYPE``); None where no server answered, or by none that is known.
        message: What else may be said of it; empty where nothing may.
        is_error: Whether it failed as the service sees it. Not so: a transaction whose watched key
            was changed (the answer that WATCH is for), and a call that was cancelled.
    """

    kind: str
    code: str | None = None
    message: str = ""
    is_error: bool = True

    @property
    def text(self) -> str:
        """For the description of a span's status."""
        short = self.kind.rpartition(".")[2]
        return f"{short}: {self.message}" if self.message else short

    @property
    def labels(self) -> dict[str, str]:
        """For span and measurement; empty for what is no error."""
        if not self.is_error:
            return {}
        found = {"error.type": self.kind}
        if self.code is not None:
            found["db.response.status_code"] = self.code
        return found


def failure(error: BaseException) -> Failure:
    """What may be told of the exception that a redis call raised; it is only looked at."""
    kind = class_name(type(error))
    if not isinstance(error, Exception) or kind == _CHANGED:
        return Failure(kind=kind, is_error=False)
    module, _, name = kind.rpartition(".")
    if module != _REDIS:
        return Failure(kind=kind)
    words = safe_str(error).rpartition(_PIPELINE)[2]
    code = _code(error, name, words)
    message = code or (words[:_MAX_MESSAGE] if name in _OWN_WORDS else "")
    return Failure(kind=kind, code=code, message=message)


def _code(error: Exception, name: str, words: str) -> str | None:
    given = getattr(error, "status_code", None)
    if given in _CODES:
        return str(given)
    first = words.split(" ", 1)[0]
    return first if name == "ResponseError" and first in _CODES else _CODE_OF_CLASS.get(name)
