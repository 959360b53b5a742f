"""A shop for each test, and both ways to its numbers."""

from __future__ import annotations

import pytest
from shops import Shop

from otelkit.readings._source import Collected, Sdk


@pytest.fixture
def shop():
    return Shop()


@pytest.fixture(params=[Sdk, Collected], ids=["sdk", "collected"])
def source(request):
    """Both ways to the numbers."""
    return request.param
