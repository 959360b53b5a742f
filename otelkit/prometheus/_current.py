"""Which page is the page of this process."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from otelkit.prometheus._page import Page, render_host

if TYPE_CHECKING:
    from types import TracebackType

__all__ = ["Handle", "activate", "current", "render"]

# Replaced as a whole, so that a scrape reads it without a lock.
_active: tuple[Handle, ...] = ()
_lock = threading.Lock()


class Handle:
    """That a page is (or was) the current one; a context manager. See `activate`."""

    def __init__(self, page: Page) -> None:
        self.page = page

    def restore(self) -> None:
        """Make the page current that was so before; in any order, and idempotent."""
        global _active
        with _lock:
            _active = tuple(one for one in _active if one is not self)

    def __enter__(self) -> Page:
        return self.page

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.restore()


def activate(page: Page) -> Handle:
    """Make ``page`` the page of this process, which `asgi_app`, `serve` and `render` show.

    Returns:
        A handle that restores the former page, by ``restore()`` or as a context manager. Pages
        may be taken back in any order; the latest one that is left is the current one.
    """
    global _active
    handle = Handle(page)
    with _lock:
        _active = (*_active, handle)
    return handle


def current() -> Page | None:
    """The page of this process, None while no telemetry runs."""
    active = _active
    return active[-1].page if active else None


def render(accept: str = "") -> tuple[bytes, str]:
    """The current page, for a web framework of any kind.

    Args:
        accept: The ``Accept`` header of the request.

    Returns:
        The page and its content type; without telemetry, the host's own prometheus_client metrics.
        Never raises.
    """
    page = current()
    return render_host(accept) if page is None else page.render(accept)


def _after_fork_in_child() -> None:
    """The parent's page has the parent's counts, and another thread of it may have held the lock."""
    global _active, _lock
    _active = ()
    _lock = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
