"""One spool file, locked by this process for as long as it is open.

The lock (flock) belongs to the open descriptor: it ends with the process, however that ends, and two
spools of one process exclude each other too. It is never released but by closing, because an unlock
in a forked child would unlock the parent's file. It also ends when the application closes all
descriptors; then the file must be had again (`LockedFile.regain`) before more is done with it.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from typing import Literal, NamedTuple, TypeAlias

from otelkit.delivery.parcel import Parcel
from otelkit.delivery.spool import _format
from otelkit.delivery.spool._folder import Folder, lock
from otelkit.delivery.spool._format import FILE_HEADER, RECORD_HEADER, Stamp
from otelkit.delivery.spool._handle import Handle
from otelkit.delivery.spool._index import Entry, Index
from otelkit.delivery.spool._name import Name

__all__ = ["Hold", "Loaded", "LockedFile"]

_LARGEST = 1024 * 1024 * 1024  # no spool file is larger; bounds the reading of one that is
Hold: TypeAlias = Literal["ours", "later", "theirs", "vanished"]
"""What came of a file whose descriptor others have closed: it is locked again; it cannot be had now; a
live process has adopted it; it is not in the folder any more."""

_sync_data = getattr(os, "fdatasync", os.fsync)  # macOS has no fdatasync


class Loaded(NamedTuple):
    """What was found in a file that was taken over.

    Attributes:
        known: Whether the file is of a version that this code can read.
        items: Unsettled items in records that are whole.
        damaged_items: Items of records of which only the header is whole.
        damaged_bytes: Bytes that are no whole record.
    """

    known: bool
    items: int = 0
    damaged_items: int = 0
    damaged_bytes: int = 0


class LockedFile:
    """A file and the index of its unsettled records. One thread at a time, except `read`.

    After `pin` it stays readable: closing it waits for the last `unpin`.

    Attributes:
        name: What the name of the file says.
        index: Its unsettled records.
        end: Where the next record goes.
        torn: Whether there are remains of a failed write behind ``end``.
        gone: Whether it was closed.
        handle: Its descriptor; another one after `regain`.
        adopted: Whether it is a dead process's.
    """

    __slots__ = (
        "_cursor_kept",
        "_folder",
        "_pins",
        "_sequence",
        "adopted",
        "end",
        "gone",
        "handle",
        "index",
        "name",
        "torn",
    )

    def __init__(self, folder: Folder, name: Name, handle: Handle, *, adopted: bool) -> None:
        self._folder = folder
        self._pins = 0
        self._sequence = 0
        self._cursor_kept = True
        self.name = name
        self.index = Index()
        self.end = FILE_HEADER
        self.torn = False
        self.gone = False
        self.handle = handle
        self.adopted = adopted

    @classmethod
    def create(cls, folder: Folder, name: Name, *, durable: bool) -> LockedFile:
        """A new file; it has its final name only when it is locked, so that nobody adopts it.

        Raises:
            OSError: It could not be made; nothing of it is left.
        """
        handle = folder.create(name.temporary)
        try:
            lock(handle.number)
            _write(handle, _format.pack_file_header(name.stamp), 0)
            folder.rename(name.temporary, name.text)
            if durable:
                os.fsync(handle.number)
                os.fsync(folder.descriptor)
        except BaseException:
            folder.unlink(name.text)
            folder.close_new(name.temporary, handle)
            raise
        return cls(folder, name, handle, adopted=False)

    @classmethod
    def take(cls, folder: Folder, name: Name) -> LockedFile | None:
        """The file of a dead owner, locked; `load` it next; None when it cannot be had."""
        handle = folder.take(name.text)
        return None if handle is None else cls(folder, name, handle, adopted=True)

    def load(self) -> Loaded:
        """Find the unsettled records of a file that was taken over. Never raises.

        What it finds is worth nothing if the file is not `held` any more afterwards.
        """
        try:
            size = min(self.handle.status().st_size, _LARGEST)
        except OSError:
            return Loaded(known=False)
        stamp = self.name.stamp
        header = _format.read_file_header(self._pread(0, FILE_HEADER), stamp)
        if header.version not in {None, _format.VERSION}:
            return Loaded(known=False)
        self._cursor_kept = header.version is not None  # else records may begin where it would stand
        self._sequence = header.sequence
        self.end = size
        damaged_items = 0
        start = min(header.cursor, size)
        for found in _format.scan(self._pread, size, stamp, start=start):
            if found.intact:
                self.index.add(Entry(found.offset, RECORD_HEADER + found.head.length, found.head.items))
            else:
                damaged_items += found.head.items
        return Loaded(
            known=True,
            items=self.index.items,
            damaged_items=damaged_items,
            damaged_bytes=size - start - self.index.bytes,
        )

    @property
    def held(self) -> bool:
        """Whether the descriptor is still ours, and so the lock."""
        return self.handle.held

    def regain(self) -> Hold:
        """Open and lock the file again after others have closed its descriptor."""
        try:
            self.handle = self._folder.retake(self.name.text, self.handle)
        except FileNotFoundError:
            return "vanished"
        except BlockingIOError:
            return "theirs"
        except OSError:
            return "later"
        return "ours"

    def catch_up(self) -> int:
        """After `regain`: what another process has settled meanwhile is not ours any more; its bytes."""
        header = _format.read_file_header(self._pread(0, FILE_HEADER), self.name.stamp)
        self._sequence = max(self._sequence, header.sequence)
        _, size = self.index.drop(self.index.before(header.cursor) if self._cursor_kept else 0)
        self._keep_cursor()
        return size

    def append(self, parcels: Sequence[Parcel], *, durable: bool) -> None:
        """Write the records of ``parcels`` in one go.

        Raises:
            FileNotFoundError: The file was deleted, or closed, by others; none of them was stored.
            OSError: None of them was stored. What was written of them is cut off again; where that
                fails too the file is `torn` and must not be appended to.
        """
        stamp, offset = self.name.stamp, self.end
        data = b"".join([part for parcel in parcels for part in _format.pack_record(parcel, stamp)])
        try:
            _write(self.handle, data, offset)
            if durable:
                _sync_data(self.handle.number)
        except BaseException:
            self._cut_off()
            raise
        for parcel in parcels:
            size = RECORD_HEADER + len(parcel.body)
            self.index.add(Entry(offset, size, parcel.items))
            offset += size
        self.end = offset

    def _cut_off(self) -> None:
        try:
            os.ftruncate(self.handle.number, self.end)
        except OSError:
            self.torn = True

    def read(self, entries: Sequence[Entry]) -> list[Parcel]:
        """The parcels of ``entries`` up to the first that cannot be read. Never raises.

        Any thread, between `pin` and `unpin`.
        """
        parcels: list[Parcel] = []
        stamp = self.name.stamp
        for entry in entries:
            parcel = _parcel(self._pread(entry.offset, entry.size), entry, stamp)
            if parcel is None:
                break
            parcels.append(parcel)
        return parcels

    def settle(self, count: int) -> tuple[int, int]:
        """The first ``count`` records are done: move the cursor; returns their items and bytes."""
        done = self.index.drop(count)
        self._keep_cursor()
        return done

    def _keep_cursor(self) -> None:
        if not self._cursor_kept:
            return
        self._sequence += 1
        first = self.index.head(0)
        cursor = first[0].offset if first else self.end
        place, data = _format.pack_cursor(self._sequence, cursor, self.name.stamp)
        try:
            os.pwrite(self.handle.number, data, place)
        except OSError:
            pass  # after a crash they are sent again, which is better than to stop now

    def pin(self) -> None:
        """Keep the file open until `unpin`."""
        self._pins += 1

    def unpin(self) -> None:
        """The end of a `pin`."""
        self._pins -= 1
        if self.gone and self._pins == 0:
            self.abandon()

    def close(self) -> None:
        """Let go of the file; what is unsettled is for the next process."""
        self.gone = True
        if self._pins == 0:
            self.abandon()

    def delete(self) -> None:
        """Delete the file and let go of it; where deleting fails nothing unsettled is left in it."""
        self.settle(len(self.index))
        if self.held:  # else another process may have adopted it
            self._folder.unlink(self.name.text)
        self.close()

    def abandon(self) -> None:
        """Close the descriptor at once."""
        self.gone = True
        self.handle.close()

    def _pread(self, offset: int, size: int) -> bytes:
        try:
            return os.pread(self.handle.unasked, size, offset)
        except OSError:
            return bytes(size)  # a bad sector: no record is made of zeros, and the reading goes on


def _parcel(data: bytes, entry: Entry, stamp: Stamp) -> Parcel | None:
    """The parcel of a record; None when these bytes are not what the index promised."""
    head = _format.read_head(data[:RECORD_HEADER], stamp)
    if head is None or (RECORD_HEADER + head.length, head.items) != (entry.size, entry.items):
        return None
    body = data[RECORD_HEADER:]
    if not _format.is_body(body, head, stamp):
        return None
    return Parcel(stamp.signal, head.items, body, head.time_ns)


def _write(handle: Handle, data: bytes, offset: int) -> None:
    """Write all of ``data``; a short write is followed by the error that explains it."""
    rest = memoryview(data)
    while rest:
        if not _is_linked(handle):
            raise FileNotFoundError(errno.ENOENT, "the file was deleted or closed by others")
        written = os.pwrite(handle.unasked, rest, offset)
        if written == 0:
            raise OSError(errno.EIO, "nothing was written")
        rest = rest[written:]
        offset += written


def _is_linked(handle: Handle) -> bool:
    """Whether a file is in our hands, and can be found by others when they are empty."""
    try:
        return handle.status().st_nlink > 0
    except OSError:
        return False
