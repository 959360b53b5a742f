"""GOAWAY frames, taken out of the bytes before h2 sees them.

h2 takes the first GOAWAY for the end of the connection and refuses every frame after it
(python-hyper/h2#1181), while RFC 9113, section 6.8, has the requests below the frame's number go
on: that is how a gRPC server with a maximum connection age says goodbye.
"""

from __future__ import annotations

import struct

__all__ = ["GoAwayFilter"]

_HEAD = 9  # RFC 9113, section 4.1: length (24 bits), type, flags, stream
_GOAWAY = 0x7
_CONTENT = struct.Struct(">II")  # last stream, error code; then text
_MAX_FRAME = 16_384  # our SETTINGS allow no more


class GoAwayFilter:
    """Passes bytes on frame by frame, and keeps what the GOAWAY frames among them say.

    Attributes:
        last_stream: The highest request that the peer will answer; None before a GOAWAY.
        error: Its error code; 0 is a graceful end.
        reason: Its debug text.
    """

    def __init__(self) -> None:
        self.last_stream: int | None = None
        self.error = 0
        self.reason = ""
        self._held = bytearray()

    def feed(self, data: bytes) -> bytes:
        """The complete frames in what has come so far, without GOAWAY."""
        held = self._held
        held += data
        passed = bytearray()
        while len(held) >= _HEAD:
            length = int.from_bytes(held[:3], "big")
            if length > _MAX_FRAME:
                passed += held  # h2 finds the fault and words it
                held.clear()
            elif len(held) < _HEAD + length:
                break
            elif held[3] == _GOAWAY:
                self._note(bytes(held[_HEAD : _HEAD + length]))
                del held[: _HEAD + length]
            else:
                passed += held[: _HEAD + length]
                del held[: _HEAD + length]
        return bytes(passed)

    def _note(self, content: bytes) -> None:
        if len(content) >= _CONTENT.size:
            last, self.error = _CONTENT.unpack_from(content)
            self.last_stream = last & 0x7FFF_FFFF
            self.reason = content[_CONTENT.size :].decode("utf-8", "replace")
