"""The pytest plugin: the fixture ``telemetry``. Loads nothing of the SDK until it is used."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from otelkit.testing import Telemetry


@pytest.fixture
def telemetry() -> Iterator[Telemetry]:
    """What the test's code tells, in memory; see `otelkit.testing.capture`."""
    from otelkit.testing import capture

    with capture() as captured:
        yield captured
