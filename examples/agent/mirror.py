"""The service looks at itself: its rate, errors, duration and tokens by `otelkit.readings`."""

from __future__ import annotations

import asyncio
import time
from typing import Any

from examples.agent.agent import ENDPOINT, METHOD
from otelkit import readings

__all__ = ["Mirror"]

_HERE = {"method": METHOD, "endpoint": ENDPOINT}


class Mirror:
    """The readings of one service since it began to serve; made by `begin`."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @classmethod
    async def begin(cls) -> Mirror:
        """From now on."""
        await asyncio.to_thread(readings.refresh)
        return cls()

    async def look(self) -> dict[str, Any]:
        """The numbers that the service could act on; None for a share of nothing."""
        # A service that watches itself takes what the last snapshot knows; here every query shall count.
        await asyncio.to_thread(readings.refresh)
        window_s = time.monotonic() - self._began
        errors = readings.Series("agent_requests", {"status": "error"})
        duration = "agent_request_duration_seconds"
        return {
            "requests": readings.increase("agent_requests", window_s, where=_HERE).value,
            "per_second": readings.rate("agent_requests", window_s, where=_HERE).value,
            "errors": readings.increase(errors, window_s, where=_HERE).value,
            "error_ratio": readings.ratio(errors, "agent_requests", window_s, where=_HERE).value,
            "p95_s": readings.quantile(duration, 0.95, window_s, where=_HERE).value,
            "tokens": readings.increase("llm_tokens_used_sum", window_s).value or 0.0,
        }
