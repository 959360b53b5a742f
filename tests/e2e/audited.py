"""The books of every runtime that has ended in a program under test, and what its spool holds."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from otelkit.delivery.spool import _format
from otelkit.delivery.spool._name import Name

__all__ = ["assert_audited"]


def assert_audited(folder: Path, spool: Path | None) -> None:
    """Each runtime's books in ``folder`` add up, and what they say is on disk is in ``spool``.

    Raises:
        AssertionError: An item is neither delivered nor counted.
    """
    balance: Counter[str] = Counter()
    for file in folder.glob("*.json"):
        for signal, told in json.loads(file.read_text(encoding="utf-8")).items():
            came = told["created"] + told["adopted"]
            names = ("delivered", "rejected", "sampled_out", "queued", "in_flight", "spooled")
            went = sum(told[name] for name in names) + sum(told["dropped"].values())
            assert came == went, f"{signal} of {file.name}: {told}"
            balance[signal] += told["spooled"] - told["adopted"]
    if spool is None:
        return
    on_disk = _on_disk(spool)
    # There may be more: of a process that was killed, or that left by os._exit.
    assert all(number <= on_disk[signal] for signal, number in balance.items()), (balance, on_disk)


def _on_disk(folder: Path) -> Counter[str]:
    """The unsettled items in the files of a spool, by signal, whoever's they are."""
    items: Counter[str] = Counter()
    for file in folder.glob("*.otlp"):
        name, data = Name.parse(file.name), file.read_bytes()
        assert name is not None, file
        start = min(_format.read_file_header(data[: _format.FILE_HEADER], name.stamp).cursor, len(data))
        for found in _format.scan(_reader(data), len(data), name.stamp, start=start):
            items[name.signal] += found.head.items
    return items


def _reader(data: bytes) -> Callable[[int, int], bytes]:
    return lambda offset, size: data[offset : offset + size]
