"""The service looks at itself: its rate, errors, duration and tokens by `otelkit.readings`."""

from __future__ import annotations

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
    def begin(cls) -> Mirror:
        """From now on."""
        readings.start()
        return cls()

    def look(self) -> dict[str, Any]:
        """The numbers that the service could act on; None for a share of nothing."""
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
