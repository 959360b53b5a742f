"""The names of spool files: who may adopt one, what it holds, how old it is."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass

from otelkit.delivery.spool._format import Stamp

__all__ = ["Name", "identity_of"]

_NAME = re.compile(r"([0-9a-f]{16})-([a-z]{1,20})-([0-9]{1,19})-([0-9]{1,10})-([0-9a-f]{8})\.otlp", re.ASCII)


def identity_of(text: str) -> str:
    """What stands for an identity in names; the text cannot be told from it."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Name:
    """``<identity>-<signal>-<created_ns>-<pid>-<random>.otlp``.

    The pid is for people; whether the owner lives is told by its lock.
    """

    identity: str
    signal: str
    created_ns: int
    pid: int
    salt: int

    @classmethod
    def new(cls, identity: str, signal: str, created_ns: int) -> Name:
        """A name that no file has."""
        return cls(identity, signal, max(0, created_ns), os.getpid(), int.from_bytes(os.urandom(4), "big"))

    @classmethod
    def parse(cls, text: str) -> Name | None:
        """The name that ``text`` is; None for the name of a foreign file."""
        match = _NAME.fullmatch(text)
        if match is None:
            return None
        identity, signal, created_ns, pid, salt = match.groups()
        name = cls(identity, signal, int(created_ns), int(pid), int(salt, 16))
        return name if name.text == text else None

    @classmethod
    def parse_temporary(cls, text: str) -> Name | None:
        """The name that a file under the temporary name ``text`` was to get."""
        return cls.parse(text[1:-4]) if text.startswith(".") and text.endswith(".tmp") else None

    @property
    def text(self) -> str:
        """The name of the file."""
        return f"{self.identity}-{self.signal}-{self.created_ns}-{self.pid}-{self.salt:08x}.otlp"

    @property
    def temporary(self) -> str:
        """The name while the file is being made."""
        return f".{self.text}.tmp"

    @property
    def stamp(self) -> Stamp:
        """What the file's records carry."""
        return Stamp(self.signal, self.salt)
