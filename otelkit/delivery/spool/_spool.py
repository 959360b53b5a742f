"""The spool: parcels go in at one end, leave at the other, and survive the process between."""

from __future__ import annotations

import errno
import hashlib
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal, NamedTuple

from otelkit._clock import SYSTEM_CLOCK, Clock
from otelkit.delivery.parcel import Parcel
from otelkit.delivery.spool._books import Books
from otelkit.delivery.spool._file import Loaded, LockedFile
from otelkit.delivery.spool._folder import Listed
from otelkit.delivery.spool._format import CODES, FILE_HEADER, MAX_BODY, RECORD_HEADER
from otelkit.delivery.spool._index import Entry
from otelkit.delivery.spool._name import Name
from otelkit.delivery.spool._shelf import Shelf
from otelkit.delivery.spool._words import Batch, Damage, Evicted, Held, Slice, SpoolError, Tally

__all__ = ["Spool"]

_MIB = 1024 * 1024
_RECYCLE_BYTES = _MIB
_FILES_PER_BATCH = 256
_FILES_PER_AGE = 24  # a file takes records for this part of the greatest age, so that its age is theirs
_TEMPORARY_AGE_NS = 3600 * 10**9
_FULL = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})


class _Wanted(NamedTuple):
    """Records of one file that are to be read, and the number of the first."""

    file: LockedFile
    first: int
    entries: list[Entry]


class Spool:
    """An append-only log of encoded requests on disk, shared by nobody, inherited by siblings.

    Any thread may call any method, except `forget`. `append`, `settle`, `adopt` and `enforce`
    exclude each other; reading a batch's bytes and searching an adopted file do not hold up
    `append`; `held`, `damage` and `tallies` never wait for the disk. In a forked child that was
    not told to `forget`, the first call does it.

    Args:
        folder: Where the files lie; made, private, at the first `append`. Nothing is touched before.
        identities: By signal, who may adopt its files: a text of user, destination, service and
            environment. Only its hash is written down.
        max_bytes: How large the spool may get: this process's files at each `append`, those of the
            whole folder at each `enforce`.
        max_file_bytes: How large one file may get; at most a quarter of ``max_bytes``. A parcel
            that is larger has a file of its own.
        max_age_s: How old, in seconds, a file may get before `enforce` deletes it.
        fsync: ``"batch"`` waits at each `append` until the disk has the data, so that it survives
            the machine; ``"none"`` survives the process.
        clock: Tells the ages of files.

    Raises:
        ValueError: ``identities`` names a signal that does not exist.
    """

    def __init__(
        self,
        *,
        folder: Path,
        identities: Mapping[str, str],
        max_bytes: int = 256 * _MIB,
        max_file_bytes: int = 4 * _MIB,
        max_age_s: float = 86_400.0,
        fsync: Literal["none", "batch"] = "none",
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        unknown = sorted(set(identities) - set(CODES))
        if unknown:
            raise ValueError(f"identities has {unknown}; the signals are {sorted(CODES)}.")
        self._path = folder
        self._identities = {
            signal: hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:16]
            for signal, text in identities.items()
        }
        self._max_bytes = max_bytes
        self._max_file_bytes = max(1, min(max_file_bytes, max_bytes // 4))
        self._max_age_ns = round(max_age_s * 1e9)
        self._durable = fsync == "batch"
        self._clock = clock
        self._closed = False
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._shelf = Shelf(self._path)
        self._books = Books(self._identities)

    # In: the courier.

    def append(self, parcels: Sequence[Parcel]) -> Mapping[str, Evicted]:
        """Store parcels, in their order for each signal; each file gets all of its share or nothing.

        Args:
            parcels: Of any signals that have an identity; none is fine.

        Returns:
            By signal, what had to be evicted so that this process's files stay below ``max_bytes``.

        Raises:
            SpoolError: Some were not stored; it holds them. A later append tries again from scratch.
        """
        self._after_fork()
        evicted: dict[str, Evicted] = {}
        failed: list[Parcel] = []
        first: Exception | None = None
        with self._lock:
            for share in self._shares(parcels):
                try:
                    self._store(share, evicted)
                except (OSError, SpoolError) as error:
                    first = first or error
                    failed.extend(share)
        if first is not None:
            raise SpoolError(self._failure(first), parcels=failed, evicted=evicted) from first
        return evicted

    def _shares(self, parcels: Sequence[Parcel]) -> Iterator[list[Parcel]]:
        """Parcels that go into one file: of one signal, and not larger together than a file."""
        for signal in dict.fromkeys(parcel.signal for parcel in parcels):
            share: list[Parcel] = []
            size = FILE_HEADER
            for parcel in parcels:
                if parcel.signal != signal:
                    continue
                more = _size((parcel,))
                if share and size + more > self._max_file_bytes:
                    yield share
                    share, size = [], FILE_HEADER
                share.append(parcel)
                size += more
            yield share

    def _store(self, share: Sequence[Parcel], evicted: dict[str, Evicted]) -> None:
        signal, size = share[0].signal, _size(share)
        self._check(share, size)
        shelf = self._shelf
        live = shelf.live.get(signal)
        if live is not None and self._is_full(live, size):
            shelf.roll(signal)
        while shelf.files and shelf.bytes + FILE_HEADER + size > self._max_bytes:
            self._evict(shelf.files[0], evicted)
        live = shelf.live.get(signal) or self._new_file(signal)
        try:
            live.append(share, durable=self._durable)
        except OSError as error:
            if live.torn or error.errno not in _FULL:
                shelf.roll(signal)
            raise
        items = sum(parcel.items for parcel in share)
        self._books.move(signal, appended=items, held_bytes=size)

    def _check(self, share: Sequence[Parcel], size: int) -> None:
        signal = share[0].signal
        if self._closed:
            raise SpoolError("the spool is closed.")
        if signal not in self._identities:
            raise SpoolError(
                f"the spool has no identity for {signal!r}, only for {sorted(self._identities)}."
            )
        if max(len(parcel.body) for parcel in share) > MAX_BODY or FILE_HEADER + size > self._max_bytes:
            raise SpoolError(
                f"a request of {size} bytes is too large for the spool, which takes {self._max_bytes} bytes "
                f"and single requests of {MAX_BODY}. Make batches smaller or the spool larger."
            )

    def _is_full(self, live: LockedFile, size: int) -> bool:
        too_large = live.end > FILE_HEADER and live.end + size > self._max_file_bytes
        return too_large or self._is_old(live) or live.deleted

    def _is_old(self, file: LockedFile) -> bool:
        return (self._clock.time_ns() - file.name.created_ns) * _FILES_PER_AGE > self._max_age_ns

    def _new_file(self, signal: str) -> LockedFile:
        name = Name.new(self._identities[signal], signal, self._clock.time_ns())
        return self._shelf.begin(name, durable=self._durable)

    def _failure(self, error: Exception) -> str:
        if isinstance(error, SpoolError):
            return str(error)
        return (
            f"the spool in {self._path} cannot be written: {error}. "
            "Make the folder writable for this user and its disk large enough, or give another folder."
        )

    # Out: the sender.

    def read(self, signal: str, *, backlog: bool, max_bytes: int) -> Batch | None:
        """The oldest unsettled parcels; they stay, and reading again gives them again.

        Records that cannot be read any more are passed over and counted as damaged.

        Args:
            signal: Of which signal.
            backlog: From the files that are finished or adopted, several if they are small; else
                from the file that this process is writing. A file becomes backlog when it is full,
                so after a failure read again instead of keeping the batch.
            max_bytes: How large the records may be together; one parcel is given at any size.

        Returns:
            None when nothing waits.
        """
        self._after_fork()
        while wanted := self._pin(signal, backlog=backlog, max_bytes=max_bytes):
            try:
                slices, parcels = _read(wanted)
            finally:
                self._unpin(wanted)
            if parcels:
                return Batch(signal, tuple(parcels), backlog, tuple(slices))
            self._pass_over(wanted[0])
        return None

    def _pin(self, signal: str, *, backlog: bool, max_bytes: int) -> list[_Wanted]:
        """The files and records of the next batch; the files stay open until they are unpinned."""
        wanted: list[_Wanted] = []
        with self._lock:
            live = self._shelf.live.get(signal)
            lane = (file for file in self._shelf.files if file.name.signal == signal and file.index)
            for file in lane:
                if (file is live) is backlog:
                    continue
                entries = file.index.head(max_bytes)
                size = sum(entry.size for entry in entries)
                if wanted and (size > max_bytes or len(wanted) == _FILES_PER_BATCH):
                    break
                max_bytes -= size
                file.pin()
                wanted.append(_Wanted(file, file.index.first, entries))
                if len(entries) < len(file.index):
                    break
        return wanted

    def _unpin(self, wanted: Sequence[_Wanted]) -> None:
        with self._lock:
            for file, _, _ in wanted:
                file.unpin()

    def _pass_over(self, wanted: _Wanted) -> None:
        """The first wanted record cannot be read."""
        file, first, _ = wanted
        with self._lock:
            if file.gone or file.index.first != first:
                return  # evicted or settled meanwhile
            items, size = file.settle(1)
            self._books.move(file.name.signal, damaged=items, held_bytes=-size, damaged_bytes=size)
            self._retire(file)

    def settle(self, batch: Batch, *, parcels: int | None = None) -> int:
        """Say that parcels of ``batch`` are done: they are never given again.

        Args:
            batch: What `read` gave.
            parcels: How many of them, the first ones; default all.

        Returns:
            The items that are settled by this call. It is less than what was asked for only when a
            cap has evicted some of them meanwhile; those are counted there.
        """
        self._after_fork()
        left = len(batch.parcels) if parcels is None else parcels
        settled = 0
        with self._lock:
            for file, first, count in batch.slices:
                share = min(left, count)
                left -= share
                settled += self._settle(file, first + share)
        return settled

    def _settle(self, file: LockedFile, until: int) -> int:
        count = until - file.index.first
        if file.gone or count <= 0:
            return 0
        items, size = file.settle(count)
        self._books.move(file.name.signal, settled=items, held_bytes=-size)
        self._retire(file)
        return items

    def _retire(self, file: LockedFile) -> None:
        """Delete a file that has nothing left; a live one when it is worth it."""
        live = self._shelf.live.get(file.name.signal) is file
        small = file.end < min(_RECYCLE_BYTES, self._max_file_bytes)
        if file.index or (live and small and not self._is_old(file)):
            return
        self._shelf.drop(file)

    # Files of others, and caps.

    def adopt(self) -> Mapping[str, int]:
        """Take over the files of dead processes that had one of our identities. Never raises.

        Returns:
            The items taken over, by signal: the unsettled ones. Those among them that turn out
            damaged at once are counted in `damage` too.
        """
        self._after_fork()
        adopted: dict[str, int] = {}
        held = self._names()
        for name, _, temporary in self._listing():
            if temporary or name in held or self._identities.get(name.signal) != name.identity:
                continue
            file = self._take(name)
            if file is None:
                continue
            loaded = file.load()
            items = loaded.items + loaded.damaged_items
            if self._keep_loaded(file, loaded) and items:
                adopted[name.signal] = adopted.get(name.signal, 0) + items
        return adopted

    def _listing(self) -> list[Listed]:
        """The files of the folder; none when it cannot be opened: only `append` complains."""
        with self._lock:
            try:
                return [] if self._closed else self._shelf.folder(make=False).listing()
            except (OSError, SpoolError):
                return []

    def _names(self) -> set[Name]:
        with self._lock:
            return {file.name for file in self._shelf.files}

    def _take(self, name: Name) -> LockedFile | None:
        """Lock a dead process's file; `forget` knows of it while it is being searched."""
        with self._lock:
            try:
                file = None if self._closed else LockedFile.take(self._shelf.folder(make=False), name)
            except (OSError, SpoolError):
                return None
            if file is not None:
                self._shelf.loading.add(file)
            return file

    def _keep_loaded(self, file: LockedFile, loaded: Loaded) -> bool:
        """Whether the file's items are ours now."""
        with self._lock:
            self._shelf.loading.discard(file)
            if self._closed or not loaded.known:
                file.close()
                return False
            self._books.move(
                file.name.signal,
                adopted=loaded.items + loaded.damaged_items,
                damaged=loaded.damaged_items,
                held_bytes=file.index.bytes,
                damaged_bytes=loaded.damaged_bytes,
            )
            self._shelf.keep(file)
            self._retire(file)
            return True

    def enforce(self) -> Mapping[str, Evicted]:
        """Delete what is too old, and the oldest files while all together are too large. Never raises.

        Counts every spool file of this user in the folder, whoever made it. Files that a live
        process holds are its own business and are left alone.

        Returns:
            By signal, the items that this has cost.
        """
        self._after_fork()
        evicted: dict[str, Evicted] = {}
        files = self._survey()
        total = sum(size for _, size, _ in files)
        too_old_ns = self._clock.time_ns() - self._max_age_ns
        for name, size, file in files:
            expired = name.created_ns < too_old_ns
            if not expired and total <= self._max_bytes:
                break
            gone = (
                self._evict_own(file, evicted) if file else self._evict_other(name, evicted, expired=expired)
            )
            total -= size if gone else 0
        return evicted

    def _survey(self) -> list[tuple[Name, int, LockedFile | None]]:
        """All spool files, the oldest first; removes what was left of unfinished ones."""
        files: dict[Name, tuple[Name, int, LockedFile | None]] = {}
        for name, size, temporary in self._listing():
            if not temporary:
                files[name] = (name, size, None)
            elif self._clock.time_ns() - name.created_ns > _TEMPORARY_AGE_NS:
                self._remove_temporary(name)
        with self._lock:
            files.update((file.name, (file.name, file.end, file)) for file in self._shelf.files)
        return sorted(files.values(), key=lambda file: file[0].created_ns)

    def _remove_temporary(self, name: Name) -> None:
        with self._lock:
            try:
                self._shelf.folder(make=False).remove(name.temporary)
            except (OSError, SpoolError):
                pass  # the folder has gone, and the file with it

    def _evict(self, file: LockedFile, evicted: dict[str, Evicted]) -> None:
        items, size = file.index.items, file.index.bytes
        self._shelf.drop(file)
        if items:
            self._books.move(file.name.signal, evicted=items, held_bytes=-size)
            _count(evicted, file.name.signal, own=items)

    def _evict_own(self, file: LockedFile, evicted: dict[str, Evicted]) -> bool:
        with self._lock:
            if not file.gone:
                self._evict(file, evicted)
            return True

    def _evict_other(self, name: Name, evicted: dict[str, Evicted], *, expired: bool) -> bool:
        file = self._take(name)
        if file is None:
            return False
        loaded = file.load()
        items = loaded.items + loaded.damaged_items
        with self._lock:
            self._shelf.loading.discard(file)
            if not loaded.known and not expired:
                file.close()  # of a newer version, which may come back for it
                return False
            file.delete()
            if items:
                self._books.move(name.signal, adopted=items, evicted=items)
                _count(evicted, name.signal, others=items)
        return True

    # What is known.

    def held(self) -> Mapping[str, Held]:
        """What this process holds now, unsettled, by signal; after `close`, what it left behind."""
        return {signal: Held(tally.held, tally.held_bytes) for signal, tally in self.tallies().items()}

    def damage(self) -> Mapping[str, Damage]:
        """What could not be read, since the process began, by signal."""
        return {
            signal: Damage(tally.damaged, tally.damaged_bytes) for signal, tally in self.tallies().items()
        }

    def tallies(self) -> Mapping[str, Tally]:
        """All counts of all signals in one snapshot."""
        self._after_fork()
        return self._books.snapshot()

    # The end.

    def close(self) -> None:
        """Let go of all files; what is unsettled stays for the next process, the rest is deleted."""
        self._after_fork()
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._shelf.close()

    def forget(self) -> None:
        """In a forked child: close what was inherited, so that the parent's locks end with the parent.

        Nothing is deleted or written. Afterwards the spool is as new, and the child's own.
        """
        self._shelf.abandon()
        self._begin_anew()

    def _after_fork(self) -> None:
        if self._pid != os.getpid():
            self.forget()


def _size(parcels: Sequence[Parcel]) -> int:
    """How many bytes the records of ``parcels`` take."""
    return sum(RECORD_HEADER + len(parcel.body) for parcel in parcels)


def _count(evicted: dict[str, Evicted], signal: str, *, own: int = 0, others: int = 0) -> None:
    before = evicted.get(signal, Evicted())
    evicted[signal] = Evicted(before.own + own, before.others + others)


def _read(wanted: Sequence[_Wanted]) -> tuple[list[Slice], list[Parcel]]:
    """Read up to the first record that cannot be read."""
    slices: list[Slice] = []
    parcels: list[Parcel] = []
    for file, first, entries in wanted:
        found = file.read(entries)
        if found:
            slices.append(Slice(file, first, len(found)))
            parcels += found
        if len(found) < len(entries):
            break
    return slices, parcels
