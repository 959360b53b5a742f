"""One call at a time over an HTTP/2 connection: h2 keeps the protocol, this module the bytes moving."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from h2 import events
from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.exceptions import H2Error
from h2.settings import SettingCodes, Settings

from otelkit.delivery.transport._failures import Failure, NotTaken, Unanswered
from otelkit.delivery.transport._goaway import GoAwayFilter
from otelkit.delivery.transport._line import Stream
from otelkit.delivery.transport._mismatch import TLS_PORT, is_tls

__all__ = ["Call", "Session"]

_SIZE = 65_536
_MAX_BODY = 65_536
_MAX_FIELDS = 65_536


@dataclass(slots=True)
class Call:
    """One request and what has come back for it.

    Attributes:
        stream: Its number in the connection.
        fields: The headers and trailers of the response, with lower-case names.
        body: At most 64 KiB of its data.
        ended: Whether the response is complete.
        reset: The error code of HTTP/2 with which the peer broke it off, or None. A server also
            breaks off what is left of a request that it has answered.
    """

    stream: int
    fields: dict[str, str] = field(default_factory=dict)
    body: bytearray = field(default_factory=bytearray)
    ended: bool = False
    reset: int | None = None


class Session:
    """The client's side of an HTTP/2 connection over ``stream``.

    Pings and settings are answered while a call waits, and what came in the meantime is read before
    the next one (`alive`); there is no thread in between.

    Args:
        stream: The bytes, in both directions.
        silence: What to say when the peer ends the connection before it has said anything.

    Raises:
        Failure: From every method but `close`.
    """

    def __init__(self, stream: Stream, *, silence: str = "") -> None:
        self._stream = stream
        self._silence = silence
        self._filter = GoAwayFilter()
        self._began = False
        self._sent_all = True
        self._call = Call(0)
        self._h2 = H2Connection(H2Configuration(client_side=True))
        self._h2.local_settings = Settings(
            client=True,
            initial_values={SettingCodes.ENABLE_PUSH: 0, SettingCodes.MAX_HEADER_LIST_SIZE: _MAX_FIELDS},
        )
        self._handlers: dict[type, Callable[[Any], None]] = {
            events.ResponseReceived: self._on_fields,
            events.TrailersReceived: self._on_fields,
            events.DataReceived: self._on_data,
            events.StreamEnded: self._on_end,
            events.StreamReset: self._on_reset,
        }
        with _worded():
            self._h2.initiate_connection()
            self._flush_or_read_on()

    def call(self, fields: Sequence[tuple[str, str]], parts: Sequence[bytes]) -> Call:
        """Send a request whose body is ``parts``, one after the other, and wait for the response.

        Raises:
            Unanswered: The connection ended before the response began.
            NotTaken: The peer ends the connection and did not process the request.
        """
        with _worded():
            call = self._call = Call(self._h2.get_next_available_stream_id())
            try:
                self._h2.send_headers(call.stream, fields)
                self._sent_all = False
                self._send(call, parts)
            except Unanswered:
                pass  # Why the connection ended may be waiting to be read.
            while not call.ended:
                self._receive()
        return call

    def alive(self) -> bool:
        """Whether another call may be sent, as far as can be seen without waiting."""
        try:
            with _worded():
                while self._receive(wait=False):
                    pass
        except Failure:
            return False
        return self._sent_all and self._filter.last_stream is None

    def close(self) -> None:
        """Close the stream."""
        self._stream.close()

    def _send(self, call: Call, parts: Sequence[bytes]) -> None:
        self._flush()
        for index, part in enumerate(parts):
            rest = memoryview(part)
            while rest:
                room = self._room(call)
                if call.ended:
                    return
                piece, rest = rest[:room], rest[room:]
                last = not rest and index == len(parts) - 1
                self._h2.send_data(call.stream, piece, end_stream=last)
                self._flush()
                self._sent_all = last
                while not call.ended and self._receive(wait=False):
                    pass

    def _room(self, call: Call) -> int:
        """How many bytes may be sent now; waits until there are some or the call has ended."""
        while not call.ended:
            room = min(self._h2.local_flow_control_window(call.stream), self._h2.max_outbound_frame_size)
            if room > 0:
                return room
            self._receive()
        return 0

    def _flush(self) -> None:
        if data := self._h2.data_to_send():
            self._stream.send(data)

    def _receive(self, *, wait: bool = True) -> bool:
        """Take what has arrived; False when that is nothing and it is not to wait."""
        try:
            data = self._stream.receive(_SIZE, wait=wait)
        except Unanswered as failure:
            if self._began or not isinstance(failure.__cause__, OSError):
                raise
            raise Unanswered(f"{failure}{self._after_silence()}") from failure
        if data is None:
            return False
        if not data:
            self._end()
        if not self._began:
            self._begin(data)
        for event in self._h2.receive_data(self._filter.feed(data)):
            handler = self._handlers.get(type(event))
            if handler is not None:
                handler(event)
        self._check()
        self._flush_or_read_on()
        return True

    def _flush_or_read_on(self) -> None:
        try:
            self._flush()
        except Unanswered:
            pass  # As in `call`: the next read tells.

    def _begin(self, data: bytes) -> None:
        """Look at the first bytes of the peer's."""
        if data.startswith(b"HTTP/1"):
            raise Failure("the peer speaks HTTP/1, not HTTP/2; a port of OTLP over HTTP would answer so")
        if is_tls(data):
            raise Failure(f"the peer answers with an alert of TLS, not HTTP/2; {TLS_PORT}")
        self._began = True

    def _after_silence(self) -> str:
        return f"; {self._silence}" if self._silence and not self._began else ""

    def _end(self) -> None:
        if self._call.fields:
            raise Failure("the connection was closed in the midst of an answer")
        reason = f" ({self._filter.reason})" if self._filter.reason else ""
        raise Unanswered(f"the connection was closed without an answer{reason}{self._after_silence()}")

    def _check(self) -> None:
        last = self._filter.last_stream
        if last is not None and last < self._call.stream and not self._call.ended:
            reason = f": {self._filter.reason}" if self._filter.reason else ""
            raise NotTaken(f"the peer ends the connection (GOAWAY, error {self._filter.error}{reason})")

    def _on_fields(self, event: events.ResponseReceived | events.TrailersReceived) -> None:
        if event.stream_id == self._call.stream:
            for name, value in event.headers or ():
                self._call.fields[_text(name)] = _text(value)

    def _on_data(self, event: events.DataReceived) -> None:
        self._h2.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
        if event.stream_id == self._call.stream:
            self._call.body += event.data[: _MAX_BODY - len(self._call.body)]

    def _on_end(self, event: events.StreamEnded) -> None:
        if event.stream_id == self._call.stream:
            self._call.ended = True

    def _on_reset(self, event: events.StreamReset) -> None:
        if event.stream_id == self._call.stream:
            self._call.reset = int(event.error_code or 0)
            self._call.ended = True


def _text(raw: bytes | str) -> str:
    return raw if isinstance(raw, str) else raw.decode("utf-8", "replace")


@contextmanager
def _worded() -> Iterator[None]:
    """Put h2's complaints about the peer into words."""
    try:
        yield
    except H2Error as error:
        raise Failure(f"the peer breaks the HTTP/2 protocol ({error or type(error).__name__})") from error
