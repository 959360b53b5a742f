"""One round of questions to all that is observed, within a time that no callback can exceed."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Sequence

from otelkit._clock import SYSTEM_CLOCK
from otelkit.measures._observed import Observed

__all__ = ["ask"]

_PLAIN_S = 0.5  # for all plain callbacks together
_STEP_S = 0.1  # after which the rest is asked by another thread, as one callback may block for ever
_ASYNC_S = 0.1  # for the loops: whoever collects may be what a loop waits for


def ask(observed: Sequence[Observed]) -> None:
    """Ask all, at once; return when all have answered, after 0.5 s at the latest.

    Who has not answered by then is not asked again until it has. At the end of the interpreter,
    when no thread starts any more, nobody plain is asked, and the last answers stand.
    """
    loops = [one for one in observed if one.is_async]
    for one in loops:
        one.post()
    plain = deque(one for one in observed if not one.is_async)
    if plain:
        _ask_plain(plain)
    until = SYSTEM_CLOCK.monotonic() + _ASYNC_S
    for one in loops:
        one.idle.wait(max(0.0, until - SYSTEM_CLOCK.monotonic()))


def _ask_plain(plain: deque[Observed]) -> None:
    until = SYSTEM_CLOCK.monotonic() + _PLAIN_S
    threads: list[threading.Thread] = []
    try:
        while plain and (left := until - SYSTEM_CLOCK.monotonic()) > 0:
            thread = threading.Thread(target=_work, args=(plain,), name="otelkit-observe", daemon=True)
            thread.start()
            threads.append(thread)
            thread.join(min(_STEP_S, left))
    except RuntimeError:  # no thread starts any more
        pass
    for thread in threads:
        thread.join(max(0.0, until - SYSTEM_CLOCK.monotonic()))
    plain.clear()


def _work(plain: deque[Observed]) -> None:
    while True:
        try:
            one = plain.popleft()
        except IndexError:
            return
        one.ask()
