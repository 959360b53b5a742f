"""The spool: parcels go in at one end, leave at the other, and survive the process between."""

from __future__ import annotations

import errno
import os
import threading
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Literal

from otelkit._clock import SYSTEM_CLOCK, Clock
from otelkit.delivery.parcel import Parcel
from otelkit.delivery.spool._ages import Ages
from otelkit.delivery.spool._books import Books
from otelkit.delivery.spool._estate import Estate
from otelkit.delivery.spool._file import Loaded, LockedFile
from otelkit.delivery.spool._format import CODES, FILE_HEADER, MAX_BODY
from otelkit.delivery.spool._name import Name, identity_of
from otelkit.delivery.spool._shares import shares, size_of
from otelkit.delivery.spool._shelf import Shelf
from otelkit.delivery.spool._wanted import Wanted, read
from otelkit.delivery.spool._words import Batch, Damage, Evicted, Held, SpoolError, Tally

__all__ = ["Spool"]

_MIB = 1024 * 1024
_RECYCLE_BYTES = _MIB
_FILE_BYTES = 4 * _MIB
_FILES_PER_SPOOL = 64  # each of ours is an open descriptor
_FILES_PER_BATCH = 256
_SEARCH_BYTES = 16 * _MIB  # what is searched of each signal at once; the sender waits for it
_SEARCH_BYTES_PER_FILE = 64 * 1024  # files with nothing in them are work, too
_FILES_PER_AGE = 24  # a file takes records for this part of the greatest age, so that its age is theirs
_TEMPORARY_AGE_NS = 3600 * 10**9
_FULL = frozenset({errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)})


class Spool:
    """An append-only log of encoded requests on disk, shared by nobody, inherited by siblings.

    Any thread may call any method, except `forget`. `append`, `settle`, `adopt` and `enforce`
    exclude each other; reading a batch's bytes and searching an adopted file do not hold up
    `append`; `held`, `damage` and `tallies` never wait for the disk. In a forked child that was
    not told to `forget`, the first call does it. Where the application has closed our descriptors,
    the next call opens the files again.

    Args:
        folder: Where the files lie; made, private, at the first `append`. Nothing is touched before.
            If others may enter it, a private folder in it is used. A relative path means what it
            means now.
        identities: By signal, who may adopt its files: a text of user, destination, service and
            environment. Only its hash is written down.
        max_bytes: How large the spool may get: this process's files at each `append`, those of the
            whole folder at each `enforce`.
        max_file_bytes: How large one file may get; at most a quarter of ``max_bytes``. A parcel
            that is larger has a file of its own. None for 4 MiB, or a 64th of ``max_bytes`` if that
            is more.
        max_age_s: How old, in seconds, a file may get before `enforce` deletes it.
        fsync: ``"batch"`` waits at each `append` until the disk has the data, so that it survives
            the machine; ``"none"`` survives the process.
        clock: Tells the ages of files: the wall clock until they are first seen, the monotonic
            one from then on.

    Raises:
        ValueError: ``identities`` names a signal that does not exist.
    """

    def __init__(
        self,
        *,
        folder: Path,
        identities: Mapping[str, str],
        max_bytes: int = 256 * _MIB,
        max_file_bytes: int | None = None,
        max_age_s: float = 86_400.0,
        fsync: Literal["none", "batch"] = "none",
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        unknown = sorted(set(identities) - set(CODES))
        if unknown:
            raise ValueError(f"identities has {unknown}; the signals are {sorted(CODES)}.")
        self._path = _absolute(folder)
        self._identities = {signal: identity_of(text) for signal, text in identities.items()}
        self._max_bytes = max_bytes
        if max_file_bytes is None:
            max_file_bytes = max(_FILE_BYTES, max_bytes // _FILES_PER_SPOOL)
        self._max_file_bytes = max(1, min(max_file_bytes, max_bytes // 4))
        self._max_age_ns = round(max_age_s * 1e9)
        self._durable = fsync == "batch"
        self._clock = clock
        self._begin_anew(closed=False)

    def _begin_anew(self, *, closed: bool) -> None:
        self._lock = threading.Lock()
        self._pid = os.getpid()
        self._shelf = Shelf(self._path, closed=closed)
        self._estate = Estate(self._lock, self._shelf, self._identities)
        self._books = Books(self._identities)
        self._ages = Ages(self._clock)

    @property
    def signals(self) -> Collection[str]:
        """The signals that have an identity."""
        return self._identities.keys()

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
            for share in shares(parcels, max_bytes=self._max_file_bytes):
                try:
                    self._store(share, evicted)
                except (OSError, SpoolError) as error:
                    first = first or error
                    failed.extend(share)
        if first is not None:
            raise SpoolError(self._failure(first), parcels=failed, evicted=evicted) from first
        return evicted

    def _store(self, share: Sequence[Parcel], evicted: dict[str, Evicted]) -> None:
        signal, size = share[0].signal, size_of(share)
        self._check(share, size)
        shelf = self._shelf
        live = shelf.live.get(signal)
        if live is not None and self._is_full(live, size):
            shelf.roll(signal)
        while shelf.files and shelf.bytes + FILE_HEADER + size > self._max_bytes:
            self._evict(shelf.files[0], evicted)
        try:
            self._write(share, signal)
        except OSError as error:
            live = shelf.live.get(signal)
            if live is not None and (live.torn or error.errno not in _FULL):
                shelf.roll(signal)
            raise
        items = sum(parcel.items for parcel in share)
        self._books.move(signal, appended=items, held_bytes=size)

    def _write(self, share: Sequence[Parcel], signal: str) -> None:
        live = self._shelf.live.get(signal)
        if live is not None:
            try:
                live.append(share, durable=self._durable)
                return
            except FileNotFoundError:  # what is in it can still be read, or had again
                self._shelf.roll(signal)
                self._regain()
        self._new_file(signal).append(share, durable=self._durable)

    def _check(self, share: Sequence[Parcel], size: int) -> None:
        signal = share[0].signal
        if self._shelf.closed:
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
        return too_large or self._is_old(live)

    def _is_old(self, file: LockedFile) -> bool:
        return self._ages.of(file.name) * _FILES_PER_AGE > self._max_age_ns

    def _new_file(self, signal: str) -> LockedFile:
        name = Name.new(self._identities[signal], signal, self._clock.time_ns())
        self._ages.of(name)
        return self._shelf.begin(name, durable=self._durable)

    def _failure(self, error: Exception) -> str:
        if isinstance(error, SpoolError):
            return str(error)
        return (
            f"the spool in {self._path} cannot be written: {error}. "
            "Make the folder writable for this user and its disk large enough, or give another one by "
            "spool_dir= (OTELKIT_SPOOL_DIR); spool='off' (OTELKIT_SPOOL) does without."
        )

    def _regain(self) -> None:
        """Have all files in hand, or know what became of them; the caller holds the lock."""
        for file, hold in self._shelf.regain():
            signal, items, size = file.name.signal, file.index.items, file.index.bytes
            if hold == "ours":
                self._books.move(signal, held_bytes=-file.catch_up())
                self._retire(file)
            elif hold == "theirs":  # the items stay in `held`, as what a process leaves behind does
                self._books.move(signal, held_bytes=-size)
            elif hold == "vanished":
                self._books.move(signal, damaged=items, held_bytes=-size, damaged_bytes=size)

    # Out: the sender.

    def read(self, signal: str, *, backlog: bool, max_bytes: int) -> Batch | None:
        """The oldest unsettled parcels; they stay, and reading again gives them again.

        Records that cannot be read any more are passed over and counted as damaged.

        Args:
            signal: Of which signal.
            backlog: From the files that are finished or adopted, several if they are small, and
                those are adopted that `adopt` has found and left for later; else
                from the file that this process is writing. A file becomes backlog when it is full,
                so after a failure read again instead of keeping the batch.
            max_bytes: How large the records may be together; one parcel is given at any size.

        Returns:
            None when nothing waits.
        """
        self._after_fork()
        if backlog:
            self._adopt_more((signal,))
        while wanted := self._pin(signal, backlog=backlog, max_bytes=max_bytes):
            try:
                slices, parcels = read(wanted)
            finally:
                self._unpin(wanted)
            if parcels:
                return Batch(signal, tuple(parcels), backlog, tuple(slices))
            self._pass_over(wanted[0])
        return None

    def _pin(self, signal: str, *, backlog: bool, max_bytes: int) -> list[Wanted]:
        """The files and records of the next batch; the files stay open until they are unpinned."""
        with self._lock:
            wanted = self._choose(signal, backlog=backlog, max_bytes=max_bytes)
            if not all(file.held for file, *_ in wanted):
                self._regain()
                wanted = self._choose(signal, backlog=backlog, max_bytes=max_bytes)
            for file, *_ in wanted:
                file.pin()
        return wanted

    def _choose(self, signal: str, *, backlog: bool, max_bytes: int) -> list[Wanted]:
        wanted: list[Wanted] = []
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
            wanted.append(Wanted(file, file.handle, file.index.first, entries))
            if len(entries) < len(file.index):
                break
        return wanted

    def _unpin(self, wanted: Sequence[Wanted]) -> None:
        with self._lock:
            for file, *_ in wanted:
                file.unpin()

    def _pass_over(self, wanted: Wanted) -> None:
        """The first wanted record cannot be read."""
        file, handle, first, _ = wanted
        with self._lock:
            if file.gone or file.index.first != first:
                return  # evicted or settled meanwhile
            if file.handle is not handle or not file.held:
                return  # closed by others meanwhile, which says nothing about the record
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
            cap has evicted some of them meanwhile, or the application has closed our descriptors and
            they are another process's now, or gone; those are counted there.
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
        """Delete a file that has nothing left; a live one when it is worth it, and none that is lost."""
        live = self._shelf.live.get(file.name.signal) is file
        small = file.end < min(_RECYCLE_BYTES, self._max_file_bytes)
        if file.index or (live and small and not self._is_old(file)):
            return
        if file.held:
            self._shelf.drop(file)

    # Files of others, and caps.

    def adopt(self) -> Mapping[str, int]:
        """Take over the files of dead processes that had one of our identities. Never raises.

        At most 16 of each signal at once, the oldest, as each is an open descriptor, and no more when
        16 MiB of a signal have been searched; `read` takes over the others as those are settled.

        Returns:
            The items taken over by this call, by signal: the unsettled ones. Those among them that
            turn out damaged at once are counted in `damage` too.
        """
        self._after_fork()
        if not all(file.held for file in tuple(self._shelf.files)) or self._shelf.lost:
            with self._lock:
                self._regain()
        self._estate.find()
        return self._adopt_more(self._identities)

    def _adopt_more(self, signals: Iterable[str]) -> dict[str, int]:
        """Adopt of what was found as many as may be open, and as much as may be searched, at once."""
        adopted: dict[str, int] = {}
        for signal in signals:
            searched = 0
            while searched < _SEARCH_BYTES and (name := self._estate.next(signal)) is not None:
                searched += _SEARCH_BYTES_PER_FILE
                file = self._estate.take(name)
                if file is None:
                    continue
                loaded = file.load()
                searched += file.end
                items = loaded.items + loaded.damaged_items
                if self._keep_loaded(file, loaded) and items:
                    adopted[signal] = adopted.get(signal, 0) + items
        return adopted

    def _keep_loaded(self, file: LockedFile, loaded: Loaded) -> bool:
        """Whether the file's items are ours now."""
        with self._lock:
            self._shelf.loading.discard(file)
            if self._shelf.closed or not loaded.known or not file.held:
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
        for name, size, file in files:
            expired = self._ages.of(name) > self._max_age_ns
            if not expired and total <= self._max_bytes:
                continue
            gone = (
                self._evict_own(file, evicted) if file else self._evict_other(name, evicted, expired=expired)
            )
            total -= size if gone else 0
        return evicted

    def _survey(self) -> list[tuple[Name, int, LockedFile | None]]:
        """All spool files, the oldest first; removes what was left of unfinished ones."""
        listed = self._estate.listing()
        files: dict[Name, tuple[Name, int, LockedFile | None]] = {}
        for name, size, temporary in listed:
            if not temporary:
                files[name] = (name, size, None)
            elif self._ages.of(name) > _TEMPORARY_AGE_NS:
                self._estate.remove_temporary(name)
        with self._lock:
            files.update((file.name, (file.name, file.end, file)) for file in self._shelf.files)
            self._ages.keep(files.keys() | {name for name, _, _ in listed})
            for file in self._shelf.lost:  # ours, but not in our hands
                files.pop(file.name, None)
        return sorted(files.values(), key=lambda file: file[0].created_ns)

    def _evict(self, file: LockedFile, evicted: dict[str, Evicted]) -> None:
        if not file.held:
            self._regain()
        if file not in self._shelf.files:
            return  # done with, or lost: what can be had again may go another time
        items, size = file.index.items, file.index.bytes
        self._shelf.drop(file)
        if items:
            self._books.move(file.name.signal, evicted=items, held_bytes=-size)
            _count(evicted, file.name.signal, own=items)

    def _evict_own(self, file: LockedFile, evicted: dict[str, Evicted]) -> bool:
        with self._lock:
            self._evict(file, evicted)
            return True

    def _evict_other(self, name: Name, evicted: dict[str, Evicted], *, expired: bool) -> bool:
        file = self._estate.take(name)
        if file is None:
            return False
        loaded = file.load()
        items = loaded.items + loaded.damaged_items
        with self._lock:
            self._shelf.loading.discard(file)
            if not file.held or (not loaded.known and not expired):
                file.close()  # of a newer version, which may come back for it
                return False
            file.delete()
            if items:
                self._books.move(name.signal, adopted=items, evicted=items)
                _count(evicted, name.signal, others=items)
        return True

    # What is known.

    def held(self) -> Mapping[str, Held]:
        """What this process holds now, unsettled, by signal; after `close`, what it left behind.

        Items that another process has adopted, because our descriptors were closed by others, stay
        among them, without their bytes: they were left behind earlier.
        """
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
            if not self._shelf.closed:
                self._regain()
                self._shelf.close()

    def forget(self) -> None:
        """In a forked child: close what was inherited, so that the parent's locks end with the parent.

        Nothing is deleted or written. Afterwards the spool is as new, and the child's own.
        """
        self._shelf.abandon()
        self._begin_anew(closed=self._shelf.closed)

    def _after_fork(self) -> None:
        if self._pid != os.getpid():
            self.forget()


def _absolute(path: Path) -> Path:
    """Where a path leads now; a daemon changes its working folder."""
    try:
        return path.absolute()
    except OSError:
        return path  # the working folder was deleted


def _count(evicted: dict[str, Evicted], signal: str, *, own: int = 0, others: int = 0) -> None:
    before = evicted.get(signal, Evicted())
    evicted[signal] = Evicted(before.own + own, before.others + others)
