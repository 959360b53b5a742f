"""A spool file as bytes: its header, its records, and finding the records again whatever happened.

Pure: nothing here touches a disk. The layouts are drawn in docs/spool.md. Numbers are little-endian.
Every checksum begins with the file's own random number (its `Stamp`), so that the content of one
spool file, told as telemetry and written into another, is never taken for records there.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from otelkit.delivery.parcel import Parcel

__all__ = [
    "CODES",
    "FILE_HEADER",
    "MAX_BODY",
    "RECORD_HEADER",
    "VERSION",
    "FileHeader",
    "Found",
    "Head",
    "Read",
    "Stamp",
    "is_body",
    "pack_cursor",
    "pack_file_header",
    "pack_record",
    "read_file_header",
    "read_head",
    "scan",
]

VERSION = 1
FILE_HEADER = 64
RECORD_HEADER = 32
MAX_BODY = 64 * 1024 * 1024
CODES = {"traces": 1, "logs": 2, "metrics": 3}

_FILE_MAGIC = b"otkspool"
_RECORD_MAGIC = b"\xf5\xd7\x0b\xa6"  # 0xf5 occurs in no UTF-8 text
_FILE = struct.Struct("<8sHHI")
_SLOT = struct.Struct("<QQI4x")
_RECORD = struct.Struct("<4sBBHIIQI")
_CRC = struct.Struct("<I")
_CHUNK = 64 * 1024
_CRC_CHUNK = 1024 * 1024
_CRC_STEP = 5 * 1024
_PATIENCE = 4  # times the size of a file, for sums of bodies that turn out broken

Read = Callable[[int, int], bytes]
"""Reads at an offset so many bytes, fewer at the end of the file; never raises."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """What makes records those of one file: its signal, and the random number in its name."""

    signal: str
    salt: int


@dataclass(frozen=True, slots=True)
class FileHeader:
    """What stands at the beginning of a file.

    Attributes:
        version: The format's version; None when the header cannot be read.
        cursor: Where the first unsettled record begins.
        sequence: How often the cursor has been moved.
    """

    version: int | None
    cursor: int
    sequence: int


@dataclass(frozen=True, slots=True)
class Head:
    """What a record's header says, its checksum being right."""

    length: int
    items: int
    time_ns: int
    crc: int


@dataclass(frozen=True, slots=True)
class Found:
    """A record found in a file: where, what its header says, and whether its body is whole."""

    offset: int
    head: Head
    intact: bool


def pack_file_header(stamp: Stamp) -> bytes:
    """The header of a new file, whose cursor was never moved."""
    start = _FILE.pack(_FILE_MAGIC, VERSION, FILE_HEADER, 0)[:-4]
    return (start + _CRC.pack(zlib.crc32(start, stamp.salt))).ljust(FILE_HEADER, b"\0")


def pack_cursor(sequence: int, cursor: int, stamp: Stamp) -> tuple[int, bytes]:
    """The ``sequence``-th position of the cursor: where to write it, and the bytes.

    Two places take turns, so that a torn write costs the newer position only.
    """
    crc = zlib.crc32(struct.pack("<QQ", sequence, cursor), stamp.salt)
    return _FILE.size + sequence % 2 * _SLOT.size, _SLOT.pack(sequence, cursor, crc)


def read_file_header(data: bytes, stamp: Stamp) -> FileHeader:
    """Read the first bytes of a file, whatever they are.

    A header that cannot be read lets the scan begin at the first byte; one without a readable
    cursor, at the first record. Then records are sent twice, never lost.
    """
    if len(data) < FILE_HEADER:
        return FileHeader(None, 0, 0)
    magic, version, _, crc = _FILE.unpack_from(data)
    if magic != _FILE_MAGIC or crc != zlib.crc32(data[: _FILE.size - 4], stamp.salt):
        return FileHeader(None, 0, 0)
    newest, cursor = 0, FILE_HEADER
    for place in (_FILE.size, _FILE.size + _SLOT.size):
        sequence, offset, crc = _SLOT.unpack_from(data, place)
        right = crc == zlib.crc32(data[place : place + 16], stamp.salt)
        if right and sequence > newest and offset >= FILE_HEADER:
            newest, cursor = sequence, offset
    return FileHeader(version, cursor, newest)


def pack_record(parcel: Parcel, stamp: Stamp) -> tuple[bytes, bytes]:
    """The header and the body of a parcel's record."""
    head = _RECORD.pack(
        _RECORD_MAGIC,
        VERSION,
        CODES[stamp.signal],
        0,
        len(parcel.body),
        parcel.items,
        max(0, parcel.time_ns),
        _checksum(parcel.body, stamp),
    )
    return head + _CRC.pack(zlib.crc32(head, stamp.salt)), parcel.body


def _checksum(body: bytes, stamp: Stamp) -> int:
    """The checksum of a body, without letting go of the interpreter.

    `zlib.crc32` releases it for more than 5 KB. Getting it back takes up to 5 ms (the switch interval)
    while the application is busy, which is a hundred times as long as the sum of 200 KB.
    """
    crc, view = stamp.salt, memoryview(body)
    for at in range(0, len(view), _CRC_STEP):
        crc = zlib.crc32(view[at : at + _CRC_STEP], crc)
    return crc


def read_head(data: bytes, stamp: Stamp) -> Head | None:
    """The header of a record of this file; None when these bytes are none."""
    if len(data) < RECORD_HEADER or not data.startswith(_RECORD_MAGIC):
        return None
    if _CRC.unpack_from(data, _RECORD.size)[0] != zlib.crc32(data[: _RECORD.size], stamp.salt):
        return None
    _, version, code, _, length, items, time_ns, crc = _RECORD.unpack_from(data)
    if version != VERSION or code != CODES.get(stamp.signal) or length > MAX_BODY:
        return None
    return Head(length, items, time_ns, crc)


def is_body(body: bytes, head: Head, stamp: Stamp) -> bool:
    """Whether ``body`` is what the record's header was written for."""
    return len(body) == head.length and _checksum(body, stamp) == head.crc


def scan(read: Read, size: int, stamp: Stamp, *, start: int) -> Iterator[Found]:
    """Find the records of a file, whatever is in it; damage costs the records that it touches.

    After a record that is not whole the search goes on behind its header, not behind its supposed
    end: a record torn by a crash may have whole ones behind it. So bodies are summed more than once
    when there is a broken one around them. What was written is broken once at most, and a file in
    which broken bodies come to several times its size was made to keep us busy: in the rest of it
    the search goes on behind the supposed end. So what is read is at most ten times the size, and a
    little for small files.

    Args:
        read: Reads from the file.
        size: The size of the file.
        stamp: What the records carry.
        start: Where to begin.
    """
    search = _Search(read, size, stamp)
    position, patience = start, _PATIENCE * size + _CHUNK
    while (hit := search.next(position)) is not None:
        offset, head = hit
        position = offset + RECORD_HEADER
        end = position + head.length
        fits = end <= size
        intact = fits and _crc(read, position, head.length, stamp) == head.crc
        yield Found(offset, head, intact)
        if fits and not intact:
            patience -= head.length
        if intact or (fits and patience < 0):
            position = end


class _Search:
    """Looks for record headers, from the beginning to the end; keeps the chunk that it looks through."""

    def __init__(self, read: Read, size: int, stamp: Stamp) -> None:
        self._read = read
        self._size = size
        self._stamp = stamp
        self._begin = self._end = 0  # a header that begins between the two is in the chunk
        self._chunk = b""

    def next(self, position: int) -> tuple[int, Head] | None:
        """The first record header at or after ``position``, which is not before the last one."""
        if position >= self._end:  # most records follow one another
            head = read_head(self._read(position, RECORD_HEADER), self._stamp)
            if head is not None:
                return position, head
        while position + RECORD_HEADER <= self._size:
            if position >= self._end:
                self._begin, self._end = position, position + _CHUNK
                self._chunk = self._read(position, _CHUNK + RECORD_HEADER - 1)
            hit = self._in_chunk(position - self._begin)
            if hit is not None:
                return hit
            position = self._end
        return None

    def _in_chunk(self, start: int) -> tuple[int, Head] | None:
        chunk, last = self._chunk, _CHUNK + len(_RECORD_MAGIC) - 1
        at = chunk.find(_RECORD_MAGIC, start, last)
        while at >= 0:
            head = read_head(chunk[at : at + RECORD_HEADER], self._stamp)
            if head is not None:
                return self._begin + at, head
            at = chunk.find(_RECORD_MAGIC, at + 1, last)
        return None


def _crc(read: Read, offset: int, length: int, stamp: Stamp) -> int | None:
    """The checksum of a body; None when the file is too short."""
    crc, end = stamp.salt, offset + length
    while offset < end:
        chunk = read(offset, min(_CRC_CHUNK, end - offset))
        if not chunk:
            return None
        crc = zlib.crc32(chunk, crc)
        offset += len(chunk)
    return crc
