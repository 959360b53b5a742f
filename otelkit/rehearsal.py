"""What `otelkit.init` returns during a capture."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TYPE_CHECKING

from otelkit import _guard
from otelkit.delivery.accounting import Counts
from otelkit.runtime import Runtime, Stage, current, on_or_beneath

if TYPE_CHECKING:
    from otelkit.pipeline.plan import Plan
    from otelkit.settings import Settings

__all__ = ["Rehearsal"]


class Rehearsal(Runtime):
    """What `otelkit.init` returns during a capture: a runtime with no way out, as all is captured.

    It has neither parts nor threads. All that it does is in what `otelkit.init` gives to `on_close`,
    which is taken back when it is shut down, replaced by another `otelkit.init`, or the capture ends.
    """

    def __init__(self, settings: Settings, plan: Plan, stage: Stage) -> None:
        super().__init__(settings, dataclasses.replace(plan, disabled=True))
        self.plan = _without_ways_out(plan)
        self._stage = stage
        below = self.below
        # `otelkit.readings` asks whether those parts are the current ones: they run on meanwhile.
        self._parts = None if below is None else below._parts

    @property
    def below(self) -> Runtime | None:
        """The runtime that is current again after the capture."""
        return on_or_beneath(self._stage.beneath)

    def start(self) -> None:
        """Become the current runtime of the capture; one that was made in it before ends."""
        former = self._stage.take_place(self)
        if former is not None:
            former.shutdown()

    def flush(self, timeout_s: float = 5.0) -> bool:  # noqa: ARG002 - as that of `Runtime`
        """Nothing waits: True."""
        return True

    def shutdown(self, timeout_s: float | None = None) -> bool:  # noqa: ARG002 - as that of `Runtime`
        """Take back what `otelkit.init` has set; the capture goes on, and so does the runtime below."""
        if current() is self:
            below = self.below
            _guard.set_scrubber(self._stage.scrub if below is None else below.redactor.scrub)
        self._run_closers()
        self.ending = True
        self._stage.leave(self)
        return True

    def end(self, timeout_s: float | None = None, *, hurry: bool = False) -> bool:
        """The process ends inside the capture: end the runtime below, which may have something to send."""
        self.ending = True
        below = self.below
        return True if below is None else below.end(timeout_s, hurry=hurry)

    def stats(self) -> Mapping[str, Counts]:
        """Counts of nothing."""
        return {way.signal: Counts() for way in self.plan.ways}


def _without_ways_out(plan: Plan) -> Plan:
    ways = tuple(dataclasses.replace(way, otlp=None, named=(), users=0) for way in plan.ways)
    return dataclasses.replace(plan, ways=ways, prometheus=False, server=None, console=False, spool="off")
